"""A run whose script starts another script, which makes a run of its own."""

import subprocess
import sys

import wandb
from reporting import project, report

CHILD = """
import sys, wandb
run = wandb.init(project=sys.argv[1], id="the-child", job_type="evaluation", reinit=True)
run.log({"score": 0.75})
run.finish()
"""
run = wandb.init(project=project(), id="the-parent", job_type="training")
run.log({"loss": 1.0})
code = subprocess.run([sys.executable, "-c", CHILD, project()], check=False).returncode
run.log({"loss": 0.5})
run.finish()
report({"code": code})
