"""Reads a run by its path; says which one it is and what it logged."""

import sys

import wandb
from reporting import report

run = wandb.Api().run(sys.argv[2])
report({"id": run.id, "path": run.path, "loss": [row["loss"] for row in run.scan_history(keys=["loss"])]})
