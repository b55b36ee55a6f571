"""Many processes that write one run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.compat.conftest import Area
from tests.compat.sdk import CURRENT, Areas, Sdk, hasty_tracker

WRITERS, ROWS = 4, 20


@pytest.fixture(scope="session")
def soon_over(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A tracker that gives the other writers one second, and not a minute, to fall silent after one said it is over."""
    with hasty_tracker(tmp_path_factory.mktemp("shared"), OTHERS_SECONDS=1.0) as base:
        yield base


@pytest.fixture
def made(area: Area, soon_over: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The run that all wrote."""

    def make(sdk: Sdk) -> dict[str, Any]:
        here = Sdk(sdk.release, soon_over, tmp_path_factory.mktemp("writers"))
        project = f"shared-{sdk.release}"
        said = here.run("shared", project, str(WRITERS), str(ROWS))
        return {"said": said, **here.run("dump", project)["shared"]}

    found: dict[str, Any] = area("shared", make)
    return found


def complete(run: dict[str, Any], writers: int, rows: int) -> None:
    """Every row of every writer is there once, in its writer's order, at a step of its own."""
    steps = [row["_step"] for row in run["rows"]]
    assert steps == list(range(writers * rows))
    for writer in range(writers):
        own = [row["row"] for row in run["rows"] if row["writer"] == writer]
        assert own == list(range(rows))


def test_every_row_of_every_writer(made: dict[str, Any]) -> None:
    assert made["said"]["failed"] is None
    complete(made, WRITERS, ROWS)


def test_shared_summary_is_merged(made: dict[str, Any]) -> None:
    assert {f"mine/{number}": number for number in range(WRITERS)}.items() <= made["summary"].items()


def test_shared_config_is_the_primarys(made: dict[str, Any]) -> None:
    assert made["config"] == {"primary": True}


def test_shared_run_finishes_once(made: dict[str, Any]) -> None:
    assert made["state"] == "finished"


def test_shared_console_of_each_writer(made: dict[str, Any]) -> None:
    assert {f"output_rank-{number}.log" for number in range(WRITERS)} <= set(made["files"])


@pytest.mark.timeout(600)
def test_sixty_four_writers(areas: Areas) -> None:
    """In the current release only: 64 processes at once, each with the SDK's own service."""
    project = "shared-64"
    sdk = areas.sdk(CURRENT)
    said = sdk.run("shared", project, "64", "5")
    assert said["failed"] is None
    complete(sdk.run("dump", project)["shared"], 64, 5)
