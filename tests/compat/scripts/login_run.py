"""Logs one run with whatever is in the environment; says where it went."""

import sys

import wandb
from reporting import project, report

run = wandb.init(project=project(), id=sys.argv[2], settings=wandb.Settings(init_timeout=60))
run.log({"loss": 0.5})
run.finish()
report({"entity": run.entity, "path": run.path})
