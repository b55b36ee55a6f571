"""One run that many processes write at once: this one is primary, the others are started by it."""

import os
import subprocess
import sys
from pathlib import Path

import wandb
from reporting import project, report

P = project()
WRITERS, ROWS = int(sys.argv[2]), int(sys.argv[3])

# One process that has the SDK imported, and forks: each child makes a service of its own, as on a machine of its own.
OTHERS = """
import multiprocessing, sys
import wandb

project, writers, rows = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
context = multiprocessing.get_context("fork")
all_there = context.Barrier(writers - 1)

def write(number):
    run = wandb.init(
        project=project, id="shared",
        settings=wandb.Settings(
            mode="shared", x_primary=False, x_label=f"rank-{number}", x_update_finish_state=False,
            x_disable_stats=number > 1, init_timeout=200,
        ),
    )
    print(f"worker {number} speaks")
    all_there.wait(200)
    for row in range(rows):
        run.log({f"loss/{number}": row, "writer": number, "row": row})
    run.summary[f"mine/{number}"] = number
    run.finish()

processes = [context.Process(target=write, args=(number,)) for number in range(1, writers)]
for process in processes:
    process.start()
for process in processes:
    process.join()
sys.exit(any(process.exitcode for process in processes))
"""

run = wandb.init(
    project=P,
    id="shared",
    config={"primary": True},
    settings=wandb.Settings(mode="shared", x_primary=True, x_label="rank-0"),
)
print("primary speaks")
# Children use their parent's service unless they know of none.
elsewhere = {name: value for name, value in os.environ.items() if name != "WANDB_SERVICE"}
with Path("others.log").open("w") as log:
    code = subprocess.run(
        [sys.executable, "-c", OTHERS, P, str(WRITERS), str(ROWS)],
        stdout=log,
        stderr=subprocess.STDOUT,
        env=elsewhere,
        check=False,
    ).returncode
for row in range(ROWS):
    run.log({"loss/0": row, "writer": 0, "row": row})
run.summary["mine/0"] = 0
run.finish()
report({"failed": Path("others.log").read_text()[-3000:] if code else None})
