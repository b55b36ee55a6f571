"""Keys, teams and visibility, as a script meets them."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import httpx
import pytest

from tests.compat.conftest import Area
from tests.compat.sdk import Areas, Sdk
from tests.integration.tracker.process import TrackerProcess


@pytest.fixture
def said(area: Area) -> dict[str, Any]:
    """What a script of a team's member said."""
    found: dict[str, Any] = area("accounts", lambda sdk: sdk.run("accounts", f"accounts-{sdk.release}"))
    return found


@pytest.fixture
def visitor(areas: Areas, area: Area, release: str, said: dict[str, Any]) -> dict[str, Any]:
    """What somebody saw who belongs to nothing, after the team's project was made public on the tracker's machine."""

    def make(sdk: Sdk) -> Any:
        name = f"visitor-{release}".replace(".", "-")
        hidden = f"hidden-{release}"
        (key,) = re.findall(r"API key: (\S+)", command(areas.tracker, "user", "add", name))
        command(areas.tracker, "project", "set", f"{said['team']}/accounts-{release}", "--visibility", "public")
        sdk.run("overview", hidden)
        return sdk.run("visitor", said["team"], f"accounts-{release}", hidden, WANDB_API_KEY=key)

    found: dict[str, Any] = area("visitor", make)
    return found


def command(tracker: TrackerProcess, *words: str) -> str:
    """`outrider-tracker …` beside the running tracker; what it prints."""
    data = tracker.log.parent / "data"
    ended = subprocess.run(
        [sys.executable, "-m", "outrider_tracker", *words, "--data", str(data)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_team_entity(said: dict[str, Any], release: str) -> None:
    assert said["entity"] == said["team"]
    assert said["path"] == f"{said['team']}/accounts-{release}/in-team"
    assert said["read"] == {"state": "finished", "rows": 1}


def test_entity_that_is_not_there(said: dict[str, Any]) -> None:
    assert said["foreign"] is not None


def test_public_project(visitor: dict[str, Any], release: str) -> None:
    """Everybody with a key reads it, and only members write."""
    assert visitor["viewer"] == f"visitor-{release}".replace(".", "-")
    assert visitor["public"] == ["in-team"]
    assert visitor["write"] is not None


def test_project_of_others_is_hidden(visitor: dict[str, Any]) -> None:
    assert visitor["hidden"] is not None
    assert visitor["hidden run"] is not None


def test_wrong_key(area: Area) -> None:
    """The SDK refuses, and nothing is logged as somebody else."""
    wrong = area("wrong key", lambda sdk: sdk.run("wrong_key", f"accounts-{sdk.release}", WANDB_API_KEY="f" * 40))
    assert wrong["init"] is not None
    assert wrong["api"] is not None


def test_wrong_key_is_answered_401(tracker: TrackerProcess) -> None:
    query, wrong = {"query": "{ viewer { id } }"}, ("api", "f" * 40)
    answer = httpx.post(f"{tracker.base}/graphql", json=query, auth=wrong, trust_env=False, timeout=30)
    assert answer.status_code == 401
