"""Runs without a server; `wandb sync` sends them later."""

from pathlib import Path

import numpy as np
import wandb
from reporting import plain, project, report

out = {}
Path("kept.txt").write_text("kept\n")
run = wandb.init(
    project=project(), id="offline", mode="offline", config={"lr": 0.1}, tags=["off"], name="Offline", notes="n"
)
out["offline"] = run.offline
out["url"] = run.url
out["methods"] = {
    name: plain(getattr(run, name)()) if hasattr(type(run), name) else "absent"
    for name in ("get_url", "get_project_url", "get_sweep_url")
}
for step in range(20):
    run.log({"loss": 1 / (step + 1)})
run.log({"picture": wandb.Image(np.zeros((4, 4, 3), dtype=np.uint8))})
run.save("kept.txt")
run.summary["best"] = 0.05
print("said offline")
out["dir"] = str(Path(run.dir).parent)
run.finish(exit_code=0)
second = wandb.init(project=project(), id="offline-failed", mode="offline")
second.log({"x": 1})
out["dir2"] = str(Path(second.dir).parent)
second.finish(exit_code=1)
report(out)
