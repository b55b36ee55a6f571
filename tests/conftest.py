"""What all tests share."""

import gc
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# Machines here are shared: how long an example takes says nothing about the code.
settings.register_profile("outrider", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("outrider")

pytest_plugins = ["tests.cluster_fixtures", "tests.scheduling"]


@pytest.fixture(scope="module", autouse=True)
def nothing_left_open() -> Iterator[None]:
    """What a module forgot to close is reported in that module, and not in whichever one the collector runs in."""
    yield
    gc.collect()
