"""Which tests stay together on one worker: those that share a cluster's installation, or a browser.

By path, as all that pytest-xdist's scheduler knows of a test is its id.
"""

from __future__ import annotations

import re

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.scheduler.protocol import Scheduling

GROUPS = {
    # What is installed on the nodes is one for all, and some of these tests break it on purpose.
    "tests/e2e/": "nodes",
    "tests/integration/test_cluster.py": "nodes",
    "tests/integration/test_images.py": "nodes",
    "tests/integration/chart/": "chart",
    # The browser is started once a module.
    "tests/browser/": "browser",
}


# What the scripts of one SDK release wrote is read by many tests: made once on one worker.
RELEASE = re.compile(r"tests/compat/.*[\[-](\d+\.\d+\.\d+)[\]-]")


def group_of(nodeid: str) -> str:
    """The group of a test; its own id where it may run anywhere."""
    if found := RELEASE.match(nodeid):
        return f"sdk {found[1]}"
    return next((group for path, group in GROUPS.items() if nodeid.startswith(path)), nodeid)


class Together(LoadScopeScheduling):  # type: ignore[misc]  # xdist ships no types
    """Groups stay on one worker, the largest first; everything else goes where there is time."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    """xdist's hook."""
    return Together(config, log)
