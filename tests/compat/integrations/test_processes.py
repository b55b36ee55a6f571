"""Runs of several processes, and several runs of one process."""

from __future__ import annotations

from typing import Any

import pytest

from tests.compat.conftest import Area
from tests.compat.sdk import Sdk


def _both(script: str, area: Area, release: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the script said, and the project's runs."""

    def make(sdk: Sdk) -> Any:
        project = f"{script}-{release}"
        return sdk.run(script, project), sdk.run("dump", project)

    said, runs = area(script, make)
    return said, runs


def test_eight_processes(area: Area, release: str) -> None:
    """Eight runs in one group, each with its own rank's name and values."""
    said, runs = _both("ranks", area, release)
    assert said["codes"] == [0] * 8
    assert sorted(run["name"] for run in runs.values()) == [f"rank-{rank}" for rank in range(8)]
    for run in runs.values():
        rank = run["config"]["rank"]
        assert (run["name"], run["group"], run["job_type"], run["state"]) == (f"rank-{rank}", "ddp", "rank", "finished")
        assert [row["epoch"] for row in run["rows"]] == [0, 1, 2]
        assert [row["loss"] for row in run["rows"]] == [rank + 1 / (epoch + 1) for epoch in range(3)]
        axis = next(one for one in run["internal"]["m"] if one.get("1") == "loss")
        assert run["internal"]["m"][int(axis["5"]) - 1]["1"] == "epoch"


def test_subprocess(area: Area, release: str) -> None:
    """The child's run is another one, and the parent's goes on."""
    said, runs = _both("parent", area, release)
    assert said["code"] == 0
    assert sorted(runs) == ["the-child", "the-parent"]
    assert [row["loss"] for row in runs["the-parent"]["rows"]] == [1.0, 0.5]
    assert [row["score"] for row in runs["the-child"]["rows"]] == [0.75]
    assert {run["state"] for run in runs.values()} == {"finished"}


def test_kfold(area: Area, release: str) -> None:
    """finish and init again, in one process."""
    said, runs = _both("kfold", area, release)
    assert sorted(run["name"] for run in runs.values()) == [f"fold-{fold}" for fold in range(5)]
    assert {run["group"] for run in runs.values()} == {"iris"}
    for run in runs.values():
        assert [row["epoch"] for row in run["rows"]] == [0, 1, 2, 3]
        assert run["summary"]["accuracy"] == pytest.approx(said["scores"][run["config"]["fold"]])
