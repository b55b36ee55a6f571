"""A run as the overview page shows it, from a script in a Git repository."""

import platform
import socket
import subprocess
import sys
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
