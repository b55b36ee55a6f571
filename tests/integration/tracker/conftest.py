"""What the tracker's integration tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.tracker.process import TrackerProcess


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackerProcess]:
    """A running tracker, shared by a module: tests take sources and runs of their own."""
    with TrackerProcess(tmp_path_factory.mktemp("tracker") / "data") as process:
        yield process
