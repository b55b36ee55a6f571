"""Offline runs, synced later, and once more."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.compat.conftest import Area
from tests.compat.sdk import DEADLINE, Sdk, environment
from tools.sdk_venvs import python_of


def _sync(sdk: Sdk, folder: str, project: str) -> str:
    command = python_of(sdk.release).with_name("wandb")
    work = sdk.folder("sync")
    ended = subprocess.run(
        [str(command), "sync", "--include-synced", "--project", project, folder],
        cwd=work, env=environment(work, sdk.base), capture_output=True, text=True, timeout=DEADLINE, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def _make(sdk: Sdk) -> dict[str, Any]:
    project = f"offline-{sdk.release}"
    said = sdk.run("offline", project)
    _sync(sdk, said["dir"], project)
    _sync(sdk, said["dir2"], project)
    once = sdk.run("dump", project)
    for marker in Path(said["dir"]).glob("*.synced"):
        marker.unlink()  # so that it is really sent again
    _sync(sdk, said["dir"], project)
    return {"said": said, "once": once, "twice": sdk.run("dump", project)}


@pytest.fixture
def made(area: Area) -> dict[str, Any]:
    """What the script said, and the runs after one and two syncs."""
    found: dict[str, Any] = area("offline", _make)
    return found


def test_offline_has_no_address(made: dict[str, Any]) -> None:
    said = made["said"]
    assert (said["offline"], said["url"]) == (True, None)
    assert set(said["methods"].values()) <= {None, "absent"}


def test_sync(made: dict[str, Any]) -> None:
    run = made["once"]["offline"]
    assert [row["loss"] for row in run["rows"] if "loss" in row] == [1 / (step + 1) for step in range(20)]
    assert (run["name"], run["tags"], run["notes"], run["config"]) == ("Offline", ["off"], "n", {"lr": 0.1})
    assert run["summary"]["best"] == 0.05
    assert run["state"] == "finished"
    assert "kept.txt" in run["files"]
    assert any(name.startswith("media/images/picture") for name in run["files"])


def test_sync_keeps_the_exit_code(made: dict[str, Any], release: str) -> None:
    """`wandb sync` of releases before 0.28 always says 0."""
    says = tuple(map(int, release.split("."))) >= (0, 28)
    assert made["once"]["offline-failed"]["state"] == ("failed" if says else "finished")


def test_sync_twice_changes_nothing(made: dict[str, Any]) -> None:
    kept = ("rows", "config", "tags", "name", "state")
    once, twice = made["once"]["offline"], made["twice"]["offline"]
    assert {key: twice[key] for key in kept} == {key: once[key] for key in kept}
    assert {name: one["size"] for name, one in twice["files"].items()}.items() >= {
        name: once["files"][name]["size"] for name in ("kept.txt",)
    }.items()
