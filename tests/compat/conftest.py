"""A served tracker, and every supported SDK release against it.

A test that takes `sdk` runs once for each release. What the scripts of an area wrote and read is made once for each
release (`area`), and each test asserts its own part of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.compat.sdk import Areas, Sdk
from tests.integration.tracker.process import TrackerProcess
from tools.sdk_venvs import RELEASES

HERE = Path(__file__).parent
# Which releases are tried: "all" (`make compat`), or else the current one, as every process of a client costs seconds.
CHOICE = "OUTRIDER_SDK_RELEASES"

Area = Callable[[str, Callable[[Sdk], Any]], Any]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves older releases for `make compat`; a mere list of the tests has them all."""
    if os.environ.get(CHOICE) == "all" or config.option.collectonly:
        return
    older = [item for item in items if isinstance(item, pytest.Function) and _release(item) in RELEASES[1:]]
    config.hook.pytest_deselected(items=older)
    left = set(older)
    items[:] = [item for item in items if item not in left]


def _release(item: pytest.Function) -> str | None:
    callspec = getattr(item, "callspec", None)
    return None if callspec is None or HERE not in item.path.parents else callspec.params.get("release")


@pytest.fixture(scope="session")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackerProcess]:
    """One tracker for all."""
    with TrackerProcess(tmp_path_factory.mktemp("tracker") / "data") as process:
        yield process


@pytest.fixture(scope="session")
def areas(tracker: TrackerProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Areas]:
    """What was made so far."""
    made = Areas(tracker, tmp_path_factory.mktemp("sdk"))
    yield made
    made.close()


@pytest.fixture(params=RELEASES)
def release(request: pytest.FixtureRequest) -> str:
    """Each supported release."""
    return str(request.param)


@pytest.fixture
def sdk(areas: Areas, release: str) -> Sdk:
    """The scripts' runner of the release."""
    return areas.sdk(release)


@pytest.fixture
def area(areas: Areas, release: str) -> Area:
    """`area(name, make)`: what `make(sdk)` gave, made once for this release."""
    return lambda name, make: areas.get(release, name, make)
