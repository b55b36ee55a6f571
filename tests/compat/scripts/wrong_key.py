"""What a script sees with a key that nobody has."""

import wandb
from reporting import project, raised, report

report(
    {
        "init": raised(wandb.init, project=project(), settings=wandb.Settings(init_timeout=30)),
        "api": raised(lambda: list(wandb.Api(timeout=30).runs(project()))),
    }
)
