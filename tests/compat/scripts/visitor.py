"""Somebody who is no member: reads a public project, and cannot read or write another one."""

import sys

import wandb
from reporting import raised, report

entity, public, hidden = sys.argv[1:4]
api = wandb.Api(timeout=30)
report(
    {
        "viewer": api.viewer.username,
        "public": [run.id for run in api.runs(f"{entity}/{public}")],
        "hidden": raised(lambda: list(api.runs(f"{entity}/{hidden}"))),
        "hidden run": raised(api.run, f"{entity}/{hidden}/overview"),
        "write": raised(wandb.init, entity=entity, project=public, settings=wandb.Settings(init_timeout=30)),
    }
)
