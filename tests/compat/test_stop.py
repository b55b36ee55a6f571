"""Stopping a run from outside."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from tests.compat.conftest import Area
from tests.compat.sdk import Sdk, tail
from tests.integration.tracker.process import KEY

STOP = "mutation StopRun($id: ID!) { stopRun(input: {id: $id}) { clientMutationId success } }"
RUN = "query Run($project: String!, $name: String!) { project(name: $project) { run(name: $name) { id state } } }"


def ask(base: str, query: str, **variables: Any) -> Any:
    """One GraphQL request, as the web page or an agent would send it."""
    answer = httpx.post(
        f"{base}/graphql", json={"query": query, "variables": variables}, auth=("api", KEY), trust_env=False, timeout=30
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def _make(sdk: Sdk) -> dict[str, Any]:
    """By the release's own API where it can stop a run, else by the request that the page sends."""
    by_api = tuple(map(int, sdk.release.split("."))) >= (0, 28)
    project = f"stop-{sdk.release}"
    folder = sdk.folder("stop")
    process = sdk.start("stop", project, folder=folder, WANDB__FILE_STREAM_TRANSMIT_INTERVAL="1")
    deadline = time.monotonic() + 60
    while "TRAINING" not in (folder / "output").read_text():
        assert process.poll() is None, tail(folder)
        assert time.monotonic() < deadline, tail(folder)
        time.sleep(0.1)
    if by_api:
        sdk.run("stop_it", project)
    else:
        run = ask(sdk.base, RUN, project=project, name="stoppable")["data"]["project"]["run"]
        assert ask(sdk.base, STOP, id=run["id"])["data"]["stopRun"]["success"] is True
    said = sdk.finish(process, folder)
    return {"said": said, "runs": sdk.run("dump", project)}


@pytest.fixture
def stopped(area: Area) -> dict[str, Any]:
    """What the script said, and its run."""
    found: dict[str, Any] = area("stop", _make)
    return found


def test_stop_reaches_the_script(stopped: dict[str, Any]) -> None:
    """As KeyboardInterrupt, within the SDK's polling."""
    assert stopped["said"]["ended"] == "KeyboardInterrupt"
    assert stopped["said"]["took"] < 60


def test_stop_through_the_api(stopped: dict[str, Any]) -> None:
    """`Run.stop()`, in the releases that have it."""
    assert stopped["said"]["ended"] == "KeyboardInterrupt"


def test_stopped_run_is_killed(stopped: dict[str, Any]) -> None:
    assert stopped["runs"]["stoppable"]["state"] == "killed"
