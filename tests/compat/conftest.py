"""A served tracker, and every supported SDK release against it.

A test that takes `sdk` runs once for each release. What the scripts of an area wrote and read is made once for each
release (`area`), and each test asserts its own part of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.compat.sdk import Areas, Sdk
from tests.integration.tracker.process import TrackerProcess
from tools.sdk_venvs import RELEASES

Area = Callable[[str, Callable[[Sdk], Any]], Any]


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
