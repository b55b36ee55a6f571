"""resume=never, allow, must, auto; rewind; fork; an id that is used again."""

import math
import os
import subprocess
import sys

import wandb
from reporting import plain, project, raised, report

P = project()
out = {}


def log(run, values):
    """Some rows."""
    for value in values:
        run.log({"loss": value})


def seen(run):
    """What a script sees of its own run."""
    return {"resumed": run.resumed, "starting_step": run.starting_step, "step": run.step, "id": run.id}


with wandb.init(
    project=P, id="allowed", resume="allow", config={"lr": 1, "kept": "yes"}, tags=["one"], notes="first notes"
) as run:
    out["allow_new"] = seen(run)
    log(run, [0.5, 0.4, 0.3])
    run.summary["best"] = 0.3
with wandb.init(project=P, id="allowed", resume="allow") as run:
    out["allow_again"] = seen(run)
    out["allow_summary"] = run.summary.get("best")
    out["allow_config"] = plain(dict(run.config))
    out["allow_tags"] = plain(run.tags)
    log(run, [0.2, 0.1])
    out["allow_step_after"] = run.step
with wandb.init(project=P, id="allowed", resume="must") as run:
    out["must_again"] = seen(run)
    log(run, [0.05])
out["must_missing"] = raised(wandb.init, project=P, id="never-made", resume="must")
wandb.teardown()
with wandb.init(project=P, id="never", resume="never") as run:
    out["never_new"] = seen(run)
    log(run, [1])
out["never_existing"] = raised(wandb.init, project=P, id="never", resume="never")
wandb.teardown()

with wandb.init(project=P, id="reused") as run:
    log(run, [1, 2])
with wandb.init(project=P, id="reused") as run:
    out["reused"] = seen(run)
    log(run, [3])

with wandb.init(project=P, id="parent", config={"parent": True}) as run:
    for step in range(10):
        run.log({"value": step, "kept": step < 5})
    run.summary["mine"] = "parent"
with wandb.init(project=P, id="child", fork_from="parent?_step=4", config={"child": 1}) as run:
    out["fork"] = seen(run)
    out["fork_config"] = plain(dict(run.config))
    for step in range(3):
        run.log({"value": 100 + step})
with wandb.init(project=P, id="grandchild", fork_from="child?_step=6") as run:
    out["fork_of_fork"] = seen(run)
    run.log({"value": 1000})
out["fork_bad"] = raised(wandb.init, project=P, fork_from="parent")
wandb.teardown()

with wandb.init(project=P, id="rewound", config={"lr": 1, "kept": "yes"}) as run:
    for step in range(10):
        run.log({"value": step})
with wandb.init(project=P, resume_from="rewound?_step=6", config={"lr": 2}) as run:
    out["rewind"] = seen(run)
    out["rewind_config"] = plain(dict(run.config))
    run.log({"value": 60})
    run.log({"value": 70})
out["rewind_missing"] = raised(wandb.init, project=P, resume_from="not-there?_step=3")
wandb.teardown()


def summed(run, steps):
    """Rows of keys that a summary tells of in different ways."""
    run.define_metric("all", summary="min,max,mean,last")
    run.define_metric("hidden", summary="none")
    run.define_metric("many/*", summary="max")
    run.define_metric("nested.low", summary="min")
    for step in range(steps):
        row = {
            "plain": float(step),
            "all": 100 if step == 3 else step,
            "hidden": step,
            "many/a": -step,
            "nested": {"low": step, "deep": {"plain": step}},
            "text": f"t{step}",
            "list": [step, step + 1],
            "flag": step < 5,
            "nan": math.nan if step == 4 else step,
        }
        run.log(row | ({"once": 1} if step == 0 else {"rare": step} if step in {2, 8} else {}))


with wandb.init(project=P, id="five-rows") as run:
    summed(run, 5)
with wandb.init(project=P, id="ten-rows") as run:
    summed(run, 10)
    run.summary["by-hand"] = 1
with wandb.init(project=P, id="forked-at-five", fork_from="ten-rows?_step=4") as run:
    pass
with wandb.init(project=P, id="rewound-to-five") as run:
    summed(run, 10)
    run.summary["by-hand"] = 1
with wandb.init(project=P, resume_from="rewound-to-five?_step=4") as run:
    run.log({"plain": 50})
wandb.teardown()

CRASHING = """
import os, sys, wandb
run = wandb.init(project=sys.argv[1], resume="auto")
print("ID", run.id, run.resumed, run.starting_step, flush=True)
for value in (1, 2):
    run.log({"loss": value})
api = wandb.Api()
import time
for _ in range(150):
    api.flush()
    if api.run(f"{sys.argv[1]}/{run.id}").lastHistoryStep >= 1:
        break
    time.sleep(0.1)
os._exit(1)
"""
FOLLOWING = """
import sys, wandb
run = wandb.init(project=sys.argv[1], resume="auto")
print("ID", run.id, run.resumed, run.starting_step, flush=True)
run.log({"loss": 3})
run.finish()
"""


def child(source, **environment):
    """A script of its own, as a scheduler would start it again; the words after ID."""
    ended = subprocess.run(
        [sys.executable, "-c", source, P],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        env={**os.environ, **environment},
    )
    words = [line.split()[1:] for line in ended.stdout.splitlines() if line.startswith("ID ")]
    return words[0] if words else [ended.stdout[-500:], ended.stderr[-1500:]]


os.environ.pop("WANDB_RUN_ID", None)
out["auto_first"] = child(CRASHING, WANDB__FILE_STREAM_TRANSMIT_INTERVAL="0.2")
out["auto_second"] = child(FOLLOWING)
out["environment"] = child(FOLLOWING.replace('resume="auto"', ""), WANDB_RUN_ID="allowed", WANDB_RESUME="must")
report(out)
