"""The installed Chromium, headless, with nothing but the tracker to talk to."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Literal

from playwright.sync_api import Browser, Page, expect, sync_playwright

CHROMIUM: Final = "/usr/bin/chromium"
ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-quic",
    "--disable-component-update",
    "--disable-sync",
)
DEADLINE: Final = 30_000  # milliseconds that a slow machine may take for what normally takes a blink


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser process."""
    expect.set_options(timeout=DEADLINE)
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        try:
            yield made
        finally:
            made.close()


def new_page(made: Browser, url: str, scheme: Literal["light", "dark"] = "light") -> Page:
    """A page in a session of its own, on the login page of the tracker at `url`."""
    context = made.new_context(
        base_url=url, viewport={"width": 1280, "height": 800}, color_scheme=scheme, timezone_id="UTC", locale="en-GB"
    )
    context.set_default_timeout(DEADLINE)
    page = context.new_page()
    page.goto("/")
    return page


def log_in(page: Page, key: str) -> None:
    """Through the login form; waits for the runs table."""
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("table", name="Runs").wait_for()


def wait_for_script(page: Page, script: str, argument: Any = None) -> None:
    """Until the script gives something true.

    Playwright's own waiting looks from within the page, where its policy forbids evaluating texts.
    """
    deadline = time.monotonic() + 30
    while not page.evaluate(script, argument):
        assert time.monotonic() < deadline, f"not within 30 s: {script}"
        page.wait_for_timeout(20)
