"""run.watch in each SDK release; Lightning and Transformers in the current one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.compat.integrations import torch_root
from tests.compat.sdk import CURRENT, DEADLINE, INTEGRATIONS, SCRIPTS, Areas, ScriptError, environment, tail
from tools.sdk_venvs import lock_of

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(autouse=True)
def _torch() -> None:
    """In CI there is a PyTorch; elsewhere its absence is told."""
    if reason := torch_root.lacking():
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


def run(areas: Areas, release: str, lock: Path, script: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a script said inside, and the runs of its project as they are read outside."""
    sdk, project = areas.sdk(release), f"{script}-{release}"
    work, root = sdk.folder(script), torch_root.root()
    shutil.copy(INTEGRATIONS / f"{script}.py", work)
    shutil.copy(SCRIPTS / "reporting.py", work)
    inside = {name: value.replace(str(work), "/work") for name, value in environment(work, sdk.base).items()}
    inside |= {"COMPAT_REPORT": "/work/report", "PYTHONPATH": torch_root.packages(root, lock), "WANDB_PROJECT": project}
    with (work / "output").open("w") as output:
        code = subprocess.run(
            torch_root.command(root, work, f"{script}.py", project),
            env=inside,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=DEADLINE,
            check=False,
        ).returncode
    if code:
        raise ScriptError(f"{script} ended with {code}:\n{tail(work)}")
    return json.loads((work / "report").read_text()), sdk.run("dump", project)


def test_watch(areas: Areas, release: str) -> None:
    """Histograms of gradients and parameters every second step, until unwatch."""
    said, runs = run(areas, release, lock_of(release), "watch")
    rows = runs["watch"]["rows"]
    assert len(said["parameters"]) == 4
    for name in said["parameters"]:
        for kind in ("gradients", "parameters"):
            found = [row[f"{kind}/{name}"] for row in rows if f"{kind}/{name}" in row]
            assert len(found) == 3
            assert all(value["_type"] == "histogram" for value in found)
    assert len([row for row in rows if "loss" in row]) == 6


@pytest.mark.parametrize("release", [CURRENT])
def test_lightning(areas: Areas, release: str) -> None:
    """One run; its x axis is Lightning's global step."""
    said, runs = run(areas, release, torch_root.LOCK, "lightning_loop")
    (found,) = runs.values()
    assert (found["id"], found["name"], found["state"]) == ("lightning", "line", "finished")
    assert found["config"] == {"given": True, "lr": 0.1}
    train = [(row["trainer/global_step"], row["train/loss"]) for row in found["rows"] if "train/loss" in row]
    assert [step for step, _ in train] == [1, 3, 5, 7, 9, 11, 13, 15]
    val = [row["val/loss"] for row in found["rows"] if "val/loss" in row]
    assert len(val) == 4
    assert val[-1] == pytest.approx(said["val"])
    assert val == sorted(val, reverse=True)
    assert said["steps"] == 16
    metrics = found["internal"]["m"]
    assert any(one.get("1") == "trainer/global_step" for one in metrics)


@pytest.mark.parametrize("release", [CURRENT])
def test_hugging_face(areas: Areas, release: str) -> None:
    """One run, named as the arguments say; every entry of the Trainer's own log is a row at its step."""
    said, runs = run(areas, release, torch_root.LOCK, "hugging_face")
    (found,) = runs.values()
    assert (found["name"], found["state"]) == ("tiny-bert", "finished")
    logged = {row["train/global_step"]: row["train/loss"] for row in found["rows"] if "train/loss" in row}
    assert logged == {one["step"]: pytest.approx(one["loss"]) for one in said["history"] if "loss" in one}
    assert sorted(logged) == [2, 4, 6]
    evaluated = {row["train/global_step"]: row["eval/loss"] for row in found["rows"] if "eval/loss" in row}
    assert evaluated == {one["step"]: pytest.approx(one["eval_loss"]) for one in said["history"] if "eval_loss" in one}
    assert found["config"]["max_steps"] == 6
    assert found["config"]["vocab_size"] == 20
