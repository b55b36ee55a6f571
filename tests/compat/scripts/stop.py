"""Trains until somebody stops it."""

import time

import wandb
from reporting import project, report

run = wandb.init(project=project(), id="stoppable")
ended = "by itself"
began = time.time()
print("TRAINING", flush=True)
try:
    for step in range(700):
        run.log({"x": step})
        time.sleep(0.1)
except KeyboardInterrupt:
    ended = "KeyboardInterrupt"
took = time.time() - began
run.finish(exit_code=255 if ended == "KeyboardInterrupt" else 0)
report({"ended": ended, "took": took})
