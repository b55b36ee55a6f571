"""What all tests share."""

import gc
from collections.abc import Iterator

import pytest

pytest_plugins = ["tests.cluster_fixtures", "tests.scheduling"]


@pytest.fixture(scope="module", autouse=True)
def nothing_left_open() -> Iterator[None]:
    """What a module forgot to close is reported in that module, and not in whichever one the collector runs in."""
    yield
    gc.collect()
