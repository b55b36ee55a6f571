"""Runs to be searched: twelve, two of them failed, with configs, summaries, tags and groups."""

import wandb
from reporting import project, report

P = project()
for number in range(12):
    run = wandb.init(
        project=P,
        id=f"r{number:02}",
        name=f"run-{number:02}",
        group="even" if number % 2 == 0 else "odd",
        job_type="train" if number < 9 else "eval",
        tags=["all"] + (["special"] if number % 3 == 0 else []),
        config={
            "lr": 10.0**-number,
            "number": number,
            "opt": {"name": "adam" if number < 6 else "sgd"},
            "text": f"t{number}",
        },
        notes="the first" if number == 0 else None,
        settings=wandb.Settings(console="off", x_disable_stats=True),
    )
    run.log({"loss": 1.0 / (number + 1), "acc": number / 12})
    if number == 0:
        for step in range(1, 300):
            row = {"loss": 1.0 / (step + 1), "step_squared": step * step}
            if step % 10 == 0:
                row["sparse"] = step
            run.log(row)
    run.finish(exit_code=1 if number in (3, 7) else 0)
report({})
