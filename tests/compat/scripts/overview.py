"""A run as the overview page shows it, from a script in a Git repository."""

import platform
import socket
import subprocess
import sys
import time
from pathlib import Path

import wandb
from reporting import project, report

subprocess.run(["git", "init", "-q", "."], check=True)
subprocess.run(
    ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-q", "--allow-empty", "-m", "first"],
    check=True,
)
commit = subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
run = wandb.init(
    project=project(),
    id="overview",
    notes="described",
    tags=["seen"],
    job_type="train",
    name="Overview",
    group="g",
    config={"lr": 0.1},
)
run.log({"loss": 0.5})
# The client looks at the machine beside the training; a run that ends before it has looked says nothing of it.
metadata, deadline = Path(run.dir) / "wandb-metadata.json", time.monotonic() + 20
while time.monotonic() < deadline and not (metadata.exists() and "cpu_count" in metadata.read_text()):
    time.sleep(0.1)
run.finish()
report(
    {
        "host": socket.gethostname(),
        "python": platform.python_version(),
        "executable": sys.executable,
        "commit": commit,
        "program": Path(__file__).name,
        "version": wandb.__version__,
        "url": run.url,
    }
)
