"""What a run's page shows under "Overview", as the SDK and its machine told it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import httpx
import pytest

from tests.compat.conftest import Area
from tests.compat.sdk import Sdk
from tests.integration.tracker.process import TrackerProcess


def _make(sdk: Sdk) -> dict[str, Any]:
    project = f"overview-{sdk.release}"
    said = sdk.run("overview", project)
    return {"project": project, "said": said, "run": sdk.run("dump", project)["overview"]}


@pytest.fixture
def made(area: Area) -> dict[str, Any]:
    """What the script knew of itself, and its run."""
    found: dict[str, Any] = area("overview", _make)
    return found


@pytest.fixture
def run(made: dict[str, Any]) -> dict[str, Any]:
    """The run as it was read."""
    found: dict[str, Any] = made["run"]
    return found


def test_run_name(run: dict[str, Any]) -> None:
    assert run["name"] == "Overview"


def test_description(run: dict[str, Any]) -> None:
    assert run["notes"] == "described"


def test_privacy(made: dict[str, Any], tracker: TrackerProcess) -> None:
    """Private is the default: without a key nothing of it is told."""
    query = 'query Q($project: String!) { project(name: $project, entityName: "admin") { id } }'
    variables = {"project": made["project"]}
    answer = httpx.post(
        f"{tracker.base}/graphql", json={"query": query, "variables": variables}, trust_env=False, timeout=30
    )
    assert answer.status_code in {200, 401}
    if answer.status_code == 200:
        assert not (answer.json().get("data") or {}).get("project")


def test_tags(run: dict[str, Any]) -> None:
    assert run["tags"] == ["seen"]


def test_author(run: dict[str, Any]) -> None:
    assert run["user"] == "admin"


def test_state(run: dict[str, Any]) -> None:
    assert run["state"] == "finished"


def test_start_time_and_duration(run: dict[str, Any]) -> None:
    """Times are ISO 8601 in UTC; the duration is from the start to the last heartbeat."""
    created, heartbeat = (datetime.fromisoformat(run[name]) for name in ("created_at", "heartbeat_at"))
    assert 0 <= (heartbeat - created).total_seconds() < 60
    assert run["summary"]["_runtime"] >= 0


def test_run_path(made: dict[str, Any]) -> None:
    assert made["run"]["path"] == ["admin", made["project"], "overview"]


def test_host_name(made: dict[str, Any]) -> None:
    assert made["run"]["metadata"]["host"] == made["said"]["host"]


def test_operating_system(run: dict[str, Any]) -> None:
    assert run["metadata"]["os"].startswith("Linux")


def test_python_version(made: dict[str, Any]) -> None:
    assert made["said"]["python"] in made["run"]["metadata"]["python"]
    assert made["run"]["internal"]["python_version"] == made["said"]["python"]


def test_python_executable(made: dict[str, Any]) -> None:
    assert made["run"]["metadata"]["executable"] == made["said"]["executable"]


def test_system_hardware(run: dict[str, Any]) -> None:
    assert run["metadata"]["cpu_count"] >= 1
    assert int(run["metadata"]["memory"]["total"]) > 0


def test_cli_version(made: dict[str, Any]) -> None:
    assert made["run"]["internal"]["cli_version"] == made["said"]["version"]


def test_job_type(run: dict[str, Any]) -> None:
    assert run["job_type"] == "train"


def test_group(run: dict[str, Any]) -> None:
    assert run["group"] == "g"


def test_git_commit(made: dict[str, Any]) -> None:
    assert made["run"]["metadata"]["git"]["commit"] == made["said"]["commit"]


def test_program(made: dict[str, Any]) -> None:
    assert made["run"]["metadata"]["program"].endswith(made["said"]["program"])


def test_config(run: dict[str, Any]) -> None:
    assert run["config"] == {"lr": 0.1}


def test_summary(run: dict[str, Any]) -> None:
    assert run["summary"]["loss"] == 0.5
