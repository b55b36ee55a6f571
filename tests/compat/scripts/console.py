"""Output of every kind, and samples of the machine."""

import sys
import time

import wandb
from reporting import missing, project, report

out = {}
api = wandb.Api(timeout=30)
run = wandb.init(
    project=project(),
    id="console",
    settings=wandb.Settings(console="wrap", x_stats_sampling_interval=0.5, x_file_stream_transmit_interval=1.0),
)
print("a first line")
print("to stderr", file=sys.stderr)
for done in range(0, 101, 10):
    print(f"\rprogress {done}%", end="", flush=True)
    time.sleep(0.02)
print()
for number in range(40):
    print(f"line {number}")
print("Grüße ✓")
print("\x1b[31mred\x1b[0m")
if hasattr(run, "write_logs"):
    run.write_logs("written by write_logs\n")
    out["write_logs"] = "used"
else:
    out["write_logs"] = missing("write_logs")
print("an unfinished last line", end="", flush=True)
for _ in range(150):  # the client looks at the machine beside this, and not any more once the run is over
    api.flush()
    if len(api.run(f"{project()}/console").history(stream="events", pandas=False)) >= 2:
        break
    time.sleep(0.2)
run.finish()

labelled = wandb.init(project=project(), id="quiet", settings=wandb.Settings(console="off", x_disable_stats=True))
print("not captured")
labelled.finish()
report(out)
