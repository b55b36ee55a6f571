"""A run with every argument of init, its attributes, and what is there of methods that only ask."""

import inspect
import os
import time
from pathlib import Path

import wandb
from reporting import missing, plain, project, raised, report

CONFIG = {"lr": 0.1, "layers": 3, "model": {"name": "mlp", "sizes": [8, 4]}, "debug": True, "none": None}


def attribute(run, name):
    """The attribute, or that there is none in this release."""
    return plain(getattr(run, name)) if hasattr(type(run), name) else missing(name)


def answer(run, name, *arguments, **named):
    """What the method says, or that there is none in this release."""
    return plain(getattr(run, name)(*arguments, **named)) if hasattr(type(run), name) else missing(name)


out = {"before": {"run": wandb.run is None, "log": raised(wandb.log, {"a": 1})}}
Path("elsewhere").mkdir()
began = time.time()
run = wandb.init(
    project=project(),
    id="everything",
    name="A name of its own",
    notes="# Notes\n\nsecond line with $x^2$",
    tags=["baseline", "night"],
    group="fold-group",
    job_type="train",
    config=dict(CONFIG, secret="not sent", left="out"),
    config_exclude_keys=["secret", "left"],
    dir="elsewhere",
    resume=None,
    mode="online",
    save_code=True,
    settings=wandb.Settings(console="off"),
)
out["began"] = began
out["is_active"] = wandb.run is run
out["attributes"] = {
    name: attribute(run, name)
    for name in [
        "config",
        "dir",
        "disabled",
        "entity",
        "group",
        "id",
        "job_type",
        "mode",
        "name",
        "notes",
        "offline",
        "path",
        "project",
        "project_url",
        "resumed",
        "start_time",
        "starting_step",
        "step",
        "sweep_id",
        "sweep_url",
        "tags",
        "url",
        "history",
        "summary",
    ]
}
raised(setattr, run.settings, "run_id", "other")
out["settings_id"] = run.settings.run_id
out["methods"] = {
    "project_name": answer(run, "project_name"),
    "get_url": answer(run, "get_url"),
    "get_project_url": answer(run, "get_project_url"),
    "get_sweep_url": answer(run, "get_sweep_url"),
    "to_html": answer(run, "to_html", height=333, hidden=True),
    "display": answer(run, "display", height=420, hidden=False),
    "detach": answer(run, "detach") if hasattr(type(run), "detach") else missing("detach"),
}
run.log({"loss": 0.5})
run.log({"loss": 0.25})
out["step_after"] = run.step
out["config_after"] = plain(dict(run.config))
status = run.status()
out["status"] = type(status).__name__
out["status_fields"] = [name for name in ("sync_items_total", "sync_items_pending") if hasattr(status, name)]
run.name = "Renamed"
run.notes = "rewritten"
run.tags += ("later",)
run.finish()
out["after"] = {"run": wandb.run is None}

with wandb.init(
    project=project(), id="with-statement", config_include_keys=["kept"], config={"kept": 1, "dropped": 2}
) as second:
    second.log({"x": 1})
    out["second_id"] = second.id
    out["second_name"] = second.name
out["after_with"] = wandb.run is None

third = wandb.init(project=project())
out["random_id"], out["random_name"] = third.id, third.name
if "join" in dir(type(third)):
    third.join(exit_code=0)
else:
    third.finish(exit_code=0)

disabled = wandb.init(project=project(), mode="disabled")
disabled.log({"x": 1})
out["disabled"] = disabled.disabled
disabled.finish()

fourth = wandb.init(project=project(), id="quiet", reinit=True)
first_of_two = fourth.id
if "quiet" in inspect.signature(fourth.finish).parameters:
    fourth.finish(quiet=True)
else:
    fourth.finish()

# The project may be left out: the client's own default has to be accepted and named.
os.environ.pop("WANDB_PROJECT", None)
nameless = wandb.init(id=f"nameless-{project()}")
out["default_project"] = nameless.project
out["default_path"] = nameless.path
nameless.finish()

one = wandb.init(project=project(), id="two-at-once-a", reinit="create_new")
two = wandb.init(project=project(), id="two-at-once-b", reinit="create_new")
one.log({"which": 1})
two.log({"which": 2})
one.log({"which": 10})
one.finish()
two.finish()
report(out)
