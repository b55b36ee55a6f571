"""Stops a run of another process."""

import wandb
from reporting import project, report

wandb.Api(timeout=30).run(f"{project()}/stoppable").stop()
report({})
