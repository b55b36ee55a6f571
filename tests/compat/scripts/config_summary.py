"""Config and summary: all ways to set them."""

import argparse

import numpy as np
import wandb
from reporting import plain, project, raised, report

P = project()
out = {}

run = wandb.init(project=P, id="config", config={"lr": 0.1, "model": {"name": "mlp", "size": {"in": 8}}})
out["item"] = run.config["lr"]
out["attribute"] = run.config.lr
run.config.batch = 16
run.config["epochs"] = 3
run.config.update({"lr": 0.2, "extra": [1, 2]}, allow_val_change=True)
out["change_refused"] = raised(run.config.update, {"batch": 32})
run.config.setdefaults({"batch": 99, "new_default": "yes"})
run.config["array"] = np.float64(1.5)
run.config["unicode ключ"] = "значение"
run.config["dotted.key"] = {"a.b": 1}
out["keys"] = sorted(run.config.keys())
if hasattr(run, "pin_config_keys"):
    run.pin_config_keys(["lr"])
    out["pinned"] = True
run.log({"x": 1})
run.finish()

arguments = argparse.Namespace(alpha=0.5, nested={"k": 1})
with wandb.init(project=P, id="namespace", config=arguments) as run:
    out["namespace"] = plain(dict(run.config))

with wandb.init(project=P, id="allowed", config={"a": 1}, allow_val_change=True) as run:
    run.config.update({"a": 2}, allow_val_change=True)
    run.config.update(argparse.Namespace(b=3))

with wandb.init(project=P, id="summary") as run:
    for loss in (0.5, 0.25, 0.75):
        run.log({"loss": loss, "nested": {"value": loss}})
    run.summary["best"] = 0.25
    run.summary.update({"note": "text", "deep": {"er": {"est": 1}}})
    run.summary["loss"] = 0.01
    run.summary["deep"]["other"] = 2
    run.summary["gone"] = 1
    del run.summary["gone"]
    run.summary["array"] = np.arange(3)
    out["summary_deep"] = plain({key: run.summary["deep"][key] for key in list(run.summary["deep"].keys())})
    out["summary_read"] = run.summary["best"]
    out["summary_get"] = run.summary.get("absent", "default")
    out["summary_keys"] = sorted(run.summary.keys())

with wandb.init(project=P, id="config-after-log") as run:
    run.log({"x": 1})
    run.config["late"] = True
report(out)
