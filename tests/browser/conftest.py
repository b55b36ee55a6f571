"""One served tracker and one browser for all pages; each test has a session of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page

from outrider_tracker.api.web import STATIC
from tests.browser.browsing import browser, log_in, new_page
from tests.browser.fill import Filler, Source, failed_run, other_runs, running_run
from tests.browser.served import ADMIN_KEY, VIEWER_KEY, Served, serving


@dataclass(frozen=True)
class Filled:
    """The tracker with a failed Run of four ranks, a running one, and others."""

    served: Served
    filler: Filler
    failed: str
    running: str
    live: Source


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    """Filled through the real doors."""
    assert (STATIC / "index.html").is_file(), "the web UI is not built: run `make web` first"
    with serving(tmp_path_factory.mktemp("tracker")) as served:
        filler = Filler.at(served.url, ADMIN_KEY)
        with filler.client:
            other_runs(filler)
            failed, _ = failed_run(filler)
            running, live = running_run(filler)
            yield Filled(served, filler, failed, running, live)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser process; for one module at most: while Playwright's loop runs, asyncio tests have none."""
    with browser() as made:
        yield made


@pytest.fixture
def stranger(chromium: Browser, filled: Filled) -> Iterator[Page]:
    """A page of nobody: it shows the login."""
    page = new_page(chromium, filled.served.url)
    yield page
    page.context.close()


@dataclass(frozen=True)
class Complaints:
    """What the page's console and its scripts complained about."""

    said: list[str]


@pytest.fixture
def complaints() -> Complaints:
    """Empty at the beginning; `page` fills it."""
    return Complaints([])


@pytest.fixture
def page(stranger: Page, complaints: Complaints) -> Iterator[Page]:
    """A page of ada, on the runs table. Fails the test if a script broke or the page's policy was violated."""
    log_in(stranger, VIEWER_KEY)
    stranger.on("pageerror", lambda error: complaints.said.append(f"script error: {error}"))
    stranger.on("console", lambda message: complaints.said.append(message.text) if message.type == "error" else None)
    yield stranger
    assert complaints.said == []
