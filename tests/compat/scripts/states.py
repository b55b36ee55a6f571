"""How runs end. The last one ends with the script itself, by an exception that nobody catches."""

import time
from datetime import timedelta

import wandb
from reporting import project, report

P = project()
out = {}
api = wandb.Api(timeout=30)


def state(name):
    """The state that others see."""
    api.flush()
    return api.run(f"{P}/{name}").state


def becomes(name, wanted):
    """Whether a run is seen in that state, now or soon."""
    for _ in range(100):
        if state(name) == wanted:
            return True
        time.sleep(0.1)
    return False


run = wandb.init(project=P, id="finished")
out["while_running"] = state("finished")
run.finish()
wandb.init(project=P, id="finished-zero").finish(exit_code=0)
wandb.init(project=P, id="failed").finish(exit_code=1)
wandb.init(project=P, id="failed-137").finish(exit_code=137)

run = wandb.init(project=P, id="preempted")
run.mark_preempting()
out["preempting_at_once"] = becomes("preempted", "preempting")
run.finish(exit_code=1)

run = wandb.init(project=P, id="preempting-but-done")
wandb.mark_preempting()
run.finish(exit_code=0)

run = wandb.init(project=P, id="alerts")
run.alert(title="Low accuracy", text="It fell to 0.1", level=wandb.AlertLevel.WARN, wait_duration=30)
run.alert(title="Plain", text="no level")
run.alert("Text level", "as a word", level="ERROR")
run.alert("Duration", "a timedelta", level="INFO", wait_duration=timedelta(minutes=5))
run.alert("Duration", "too soon after the last of that title", level="INFO", wait_duration=timedelta(minutes=5))
run.finish()

try:
    with wandb.init(project=P, id="with-exception"):
        raise RuntimeError("in the with statement")
except RuntimeError:
    pass
report(out)
last = wandb.init(project=P, id="uncaught")
last.log({"x": 1})
raise RuntimeError("nobody catches this")
