"""Ends in one of the ways that a training script does without finish."""

import os
import signal
import sys

import wandb
from reporting import project, report

how = sys.argv[2]
run = wandb.init(project=project(), id=os.environ.get("COMPAT_ID", how))
run.log({"x": 1})
report({"id": run.id, "pid": os.getpid()})
if how == "exit-0":
    sys.exit(0)
if how == "exit-3":
    sys.exit(3)
if how == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
