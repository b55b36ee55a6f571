"""A served tracker with a failed Run of four ranks, shared by the tests of a module."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.browser.fill import Filler, Source, failed_run
from tests.browser.served import ADMIN_KEY, STRANGER_KEY, VIEWER_KEY, Served, serving


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The tracker."""
    with serving(tmp_path_factory.mktemp("tracker")) as made:
        yield made


@pytest.fixture(scope="module")
def filler(served: Served) -> Iterator[Filler]:
    """Its controller and sidecars."""
    made = Filler.at(served.url, ADMIN_KEY)
    with made.client:
        yield made


@pytest.fixture(scope="module")
def failed(filler: Filler) -> tuple[str, list[Source]]:
    """The API path of the failed Run, and its pods."""
    page, sources = failed_run(filler)
    return "/api/v1/runs" + page.replace("/runs/", "/"), sources


@pytest.fixture(scope="module")
def ada(served: Served) -> Iterator[httpx.Client]:
    """A viewer of the Run's entity."""
    with httpx.Client(base_url=served.url, headers={"Authorization": f"Bearer {VIEWER_KEY}"}, timeout=30) as made:
        yield made


@pytest.fixture(scope="module")
def bob(served: Served) -> Iterator[httpx.Client]:
    """A member of another entity."""
    with httpx.Client(base_url=served.url, headers={"Authorization": f"Bearer {STRANGER_KEY}"}, timeout=30) as made:
        yield made


@pytest.fixture(scope="module")
def stream_of(ada: httpx.Client, failed: tuple[str, list[Source]]) -> Callable[[int, str], int]:
    """The id of a rank's stream."""

    def find(rank: int, kind: str) -> int:
        for item in ada.get(f"{failed[0]}/ranks").json()["items"]:
            if item["rank"] == rank:
                return int(next(stream["id"] for stream in item["streams"] if stream["kind"] == kind))
        raise KeyError(rank)

    return find
