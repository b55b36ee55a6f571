"""One run that many processes write: the first is primary, the others are started by it."""

import os
import subprocess
import sys
import time
from pathlib import Path

import wandb
from reporting import project, report

P = project()
WRITERS, ROWS = int(sys.argv[2]), int(sys.argv[3])

WORKER = """
import sys
import wandb
project, number, rows = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
run = wandb.init(
    project=project, id="shared",
    settings=wandb.Settings(mode="shared", x_primary=False, x_label=f"rank-{number}",
        x_update_finish_state=False, x_disable_stats=number > 1),
)
print(f"worker {number} speaks")
for row in range(rows):
    run.log({f"loss/{number}": row, "writer": number, "row": row})
run.summary[f"mine/{number}"] = number
run.finish()
"""

run = wandb.init(
    project=P,
    id="shared",
    config={"primary": True},
    settings=wandb.Settings(mode="shared", x_primary=True, x_label="rank-0"),
)
print("primary speaks")
# Each on a machine of its own would have a service of its own; here that must be said, as children use their parent's.
elsewhere = {name: value for name, value in os.environ.items() if name != "WANDB_SERVICE"}
# A few at a time: each is a process with a service of its own, and the machine has few cores.
left, going, failed = list(range(1, WRITERS)), [], []
while left or going:
    while left and len(going) < 8:
        number = left.pop(0)
        with open(f"worker-{number}.log", "w") as log:
            worker = subprocess.Popen(
                [sys.executable, "-c", WORKER, P, str(number), str(ROWS)],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=elsewhere,
            )
        going.append((number, worker))
    for number, worker in list(going):
        if worker.poll() is not None:
            going.remove((number, worker))
            if worker.returncode:
                failed.append([number, worker.returncode, Path(f"worker-{number}.log").read_text()[-1500:]])
    time.sleep(0.02)
for row in range(ROWS):
    run.log({"loss/0": row, "writer": 0, "row": row})
run.summary["mine/0"] = 0
run.finish()
report({"failed": failed})
