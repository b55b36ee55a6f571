"""Every way of logging scalars, and every argument of define_metric."""

import inspect
import math

import wandb
from reporting import missing, project, raised, report

P = project()
out = {}

with wandb.init(project=P, id="implicit") as run:
    out["starting_step"] = run.starting_step
    steps = []
    for value in (0.5, 0.25, 0.125):
        run.log({"loss": value})
        steps.append(run.step)
    out["implicit_steps"] = steps

with wandb.init(project=P, id="explicit") as run:
    run.log({"a": 1}, step=5)
    run.log({"b": 2}, step=5)
    run.log({"a": 3}, step=7)
    run.log({"a": 99}, step=3)
    run.log({"b": 4}, step=7)
    run.log({"a": 5}, step=7, commit=True)
    run.log({"a": 6})
    out["explicit_step"] = run.step

with wandb.init(project=P, id="partial") as run:
    run.log({"a": 1}, commit=False)
    run.log({"b": 2}, commit=False)
    run.log({"c": 3})
    run.log({"a": 4})
    run.log({"a": 5, "tail": 1}, commit=False)

with wandb.init(project=P, id="nested") as run:
    run.log({"train": {"loss": 0.5, "deep": {"er": 1}}, "a/b/c": 7})
    run.log({"train": {"loss": 0.25}, "a/b/c": 8, "dotted.name": 3})

with wandb.init(project=P, id="values") as run:
    run.log(
        {
            "nan": math.nan,
            "inf": math.inf,
            "minus": -math.inf,
            "int": 2**53 + 1,
            "negative": -7,
            "whole": 2.0,
            "tiny": 1e-300,
            "text": "Grüße ✓",
            "yes": True,
            "no": False,
            "nothing": None,
            "list": [1, 2, 3],
            "empty": {},
        }
    )

with wandb.init(project=P, id="errors") as run:
    out["bad"] = {
        "text": raised(run.log, "text"),
        "list": raised(run.log, [1]),
        "number key": raised(run.log, {1: 2}),
        "text step": raised(run.log, {"a": 1}, step="one"),
    }
    run.log({"good": 1})

if "sync" in inspect.signature(wandb.sdk.wandb_run.Run.log).parameters:
    with wandb.init(project=P, id="sync") as run:
        run.log({"a": 1}, sync=True)
        run.log({"a": 2}, sync=False)
    out["sync"] = "used"
else:
    out["sync"] = missing("log(sync)")

with wandb.init(project=P, id="many") as run:
    for step in range(250):
        run.log({"loss": 1 / (step + 1), "step_squared": step * step})

with wandb.init(project=P, id="wide") as run:
    run.log({f"key/{number:03}": number for number in range(300)})

with wandb.init(project=P, id="metrics") as run:
    run.define_metric("epoch", hidden=True)
    run.define_metric("val/*", step_metric="epoch")
    run.define_metric("acc", summary="max")
    run.define_metric("err", summary="min,max,mean,last")
    run.define_metric("quiet", summary="none")
    run.define_metric("first", step_metric="epoch", step_sync=False, summary="last")
    run.define_metric("merged", summary="min")
    run.define_metric("merged", summary="max", overwrite=False)
    run.define_metric("replaced", summary="min")
    run.define_metric("replaced", summary="max", overwrite=True)
    run.define_metric("synced", step_metric="epoch", step_sync=True)
    with_best = {}
    if "goal" in inspect.signature(run.define_metric).parameters:
        run.define_metric("best_up", summary="best", goal="maximize")
        run.define_metric("best_down", summary="best", goal="minimize")
        out["goal"] = "used"
    else:
        out["goal"] = missing("define_metric(goal)")
    run.define_metric("copied", summary="copy")
    for epoch, (up, down) in enumerate([(1, 3), (5, 1), (2, 2)]):
        run.log(
            {
                "epoch": epoch,
                "val/acc": up / 10,
                "acc": up,
                "err": up,
                "quiet": up,
                "first": up,
                "merged": up,
                "replaced": up,
                "best_up": up,
                "best_down": down,
                "copied": up,
            }
        )
        run.log({"synced": up})
report(out)
