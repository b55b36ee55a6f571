"""The states of a run: how it ends, and what it says on the way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.compat.conftest import Area
from tests.compat.sdk import Sdk, hasty_tracker
from tests.integration.tracker.process import KEY, TrackerProcess, until


def _make(sdk: Sdk) -> dict[str, Any]:
    project = f"states-{sdk.release}"
    said = sdk.run("states", project, ends_with=1)
    sdk.run("exits", project, "exit-0")
    sdk.run("exits", project, "exit-3", ends_with=3)
    return {"said": said, "runs": sdk.run("dump", project)}


@pytest.fixture
def made(area: Area) -> dict[str, Any]:
    """What the scripts said, and the project's runs."""
    found: dict[str, Any] = area("states", _make)
    return found


def test_running(made: dict[str, Any]) -> None:
    assert made["said"]["while_running"] == "running"


def test_finished(made: dict[str, Any]) -> None:
    assert [made["runs"][name]["state"] for name in ("finished", "finished-zero", "exit-0")] == ["finished"] * 3


def test_failed_by_exit_code(made: dict[str, Any]) -> None:
    assert [made["runs"][name]["state"] for name in ("failed", "failed-137")] == ["failed"] * 2


def test_failed_by_exception(made: dict[str, Any]) -> None:
    assert [made["runs"][name]["state"] for name in ("uncaught", "with-exception")] == ["failed"] * 2
    assert len(made["runs"]["uncaught"]["rows"]) == 1


def test_failed_by_sys_exit(made: dict[str, Any]) -> None:
    assert made["runs"]["exit-3"]["state"] == "failed"


def test_mark_preempting(made: dict[str, Any]) -> None:
    """Seen at once; preempted if the process then ends badly."""
    assert made["said"]["preempting_at_once"] is True
    assert made["runs"]["preempted"]["state"] == "preempted"


def test_preempting_and_yet_done(made: dict[str, Any]) -> None:
    assert made["runs"]["preempting-but-done"]["state"] == "finished"


def test_alert(made: dict[str, Any], tracker: TrackerProcess) -> None:
    """Every form arrives with its level; one of a title that comes again too soon does not. No client reads them."""
    run = made["runs"]["alerts"]
    assert run["state"] == "finished"
    answer = tracker.client.get(f"/api/v1/runs/{'/'.join(run['path'])}/alerts").raise_for_status()
    assert [(each["title"], each["text"], each["severity"]) for each in reversed(answer.json()["items"])] == [
        ("Low accuracy", "It fell to 0.1", "WARN"),
        ("Plain", "no level", "INFO"),
        ("Text level", "as a word", "ERROR"),
        ("Duration", "a timedelta", "INFO"),
    ]


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a tracker that gives a silent run up after three seconds, and not after five minutes."""
    with hasty_tracker(tmp_path_factory.mktemp("hasty"), LOST_SECONDS=3.0) as base:
        yield base


def test_crashed(hasty: str, release: str, tmp_path: Path) -> None:
    """A process that was killed says nothing more: its run is crashed, until it is resumed."""
    sdk = Sdk(release, hasty, tmp_path)
    project = f"crash-{release}"
    sdk.run("exits", project, "killed", ends_with=-9)
    query = 'query Q($project: String!) { project(name: $project) { run(name: "killed") { state } } }'

    def state() -> str:
        answer = httpx.post(
            f"{hasty}/graphql",
            json={"query": query, "variables": {"project": project}},
            auth=("api", KEY),
            trust_env=False,
            timeout=30,
        )
        return str(answer.json()["data"]["project"]["run"]["state"])

    until(lambda: state() == "crashed", "the run is lost")
    sdk.run("exits", project, "exit-0", WANDB_RESUME="must", COMPAT_ID="killed")
    assert state() == "finished"
