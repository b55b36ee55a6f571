"""The SDK's own `wandb.Api()`, unmodified, in a process of its own, reading what a door wrote."""

from __future__ import annotations

import json
import math
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.compat.sdk import DEADLINE, environment
from tests.integration.tracker.process import TrackerProcess
from tests.integration.tracker.wandb_read.door import Door
from tools.sdk_venvs import RELEASES, python_of

SCRIPT = """
import json, sys
import wandb

project, report = sys.argv[1:]
api = wandb.Api(timeout=30)
out = {}
run = api.run(f"admin/{project}/r")
out["scan"] = [[row["_step"], str(row.get("bad"))] for row in run.scan_history(page_size=11)]
out["keys"] = [row["rare"] for row in run.scan_history(keys=["x", "rare"], page_size=25)]
out["range"] = [row["x"] for row in run.scan_history(keys=["_step", "x"], min_step=30, max_step=45, page_size=7)]
out["sampled"] = len(run.history(samples=20, pandas=False))
out["events"] = len(run.history(stream="system", samples=5, pandas=False))
out["internal"] = run._project_internal_id
if hasattr(run, "console_logs"):
    out["lines"] = [[line.number, line.level, line.content] for line in run.console_logs(per_page=3)]
    out["last"] = [line.number for line in run.console_logs(last=2)]
# Each page is asked for when the one before it is used up; meanwhile other runs begin.
seen = []
for run in api.runs(f"admin/{project}", order="+created_at", per_page=4, filters={"config.kind": "old"}):
    seen.append(run.id)
    if len(seen) in (2, 6):
        api.create_run(run_id=f"new{len(seen)}", project=project, entity="admin")
out["seen"] = seen
out["count"] = len(wandb.Api().runs(f"admin/{project}"))
with open(report, "w") as file:
    json.dump(out, file)
"""


@pytest.mark.parametrize("release", [RELEASES[0], RELEASES[-1]])
def test_reads_of_the_client(tracker: TrackerProcess, tmp_path: Path, release: str) -> None:
    door = Door(tracker.base, project=f"client-{release}")
    for number in range(10):
        door.make("r" if number == 0 else f"r{number}", config={"kind": {"value": "old"}})
    rows: list[dict[str, Any]] = [{"_step": step, "x": step} for step in range(60)]
    for row in rows[::10]:
        row["rare"] = row["_step"]
    rows[7]["bad"] = math.nan
    door.rows("r", rows)
    door.rows("r", [{"_wandb": True, "_timestamp": 1.7e9 + n, "system.cpu": n} for n in range(9)], "wandb-events.jsonl")
    lines = [f"{'ERROR ' if n == 1 else ''}2024-01-31T12:00:0{n}.000000 line {n}" for n in range(5)]
    assert door.stream("r", files={"output.log": {"offset": 0, "content": lines}}).status_code == 200

    script, report = tmp_path / "script.py", tmp_path / "report.json"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [str(python_of(release)), str(script), door.project, str(report)],
        cwd=tmp_path,
        env=environment(tmp_path, tracker.base),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    out = json.loads(report.read_text())
    assert out["scan"] == [[step, "nan" if step == 7 else "None"] for step in range(60)]
    assert out["keys"] == [0, 10, 20, 30, 40, 50]
    assert out["range"] == list(range(30, 45))
    assert (out["sampled"], out["events"]) == (20, 5)
    assert out["internal"] > 0
    if release != RELEASES[-1]:  # 0.19 has no console_logs
        assert out["lines"] == [[n, "error" if n == 1 else "", f"line {n}"] for n in range(5)]
        assert out["last"] == [3, 4]
    assert out["seen"] == ["r", *(f"r{number}" for number in range(1, 10))]
    assert out["count"] == 12
    door.close()
