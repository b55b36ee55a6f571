"""What jobs write never runs in the tracker's origin."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.browsing import wait_for_script
from tests.browser.conftest import Complaints, Filled
from tests.browser.fill import HOSTILE_FILE, HOSTILE_LINE, HOSTILE_PAGE


def hacked(page: Page) -> bool:
    """Whether a script that came from a job ran."""
    return bool(page.evaluate("window.outriderHacked === true"))


def test_a_script_in_a_log_line_is_a_line(page: Page, filled: Filled) -> None:
    page.goto(f"{filled.failed}?tab=logs&unit=1.0.0&stream=stderr")
    expect(page.get_by_role("log")).to_contain_text(HOSTILE_LINE)
    assert page.locator(".line script, .line img").count() == 0
    assert not hacked(page)


def test_markup_in_names_notes_config_and_reasons_is_text(page: Page, filled: Filled) -> None:
    evil = "<img src=x onerror='window.outriderHacked=true'>"
    path = filled.filler.put_run(
        "hostile-run-01",
        displayName=evil,
        notes=evil,
        tags=[evil],
        config={evil: evil},
        group=evil,
        reason=evil,
        state="Failed",
        failure={"rank": 1, "reason": evil, "message": evil, "pod": evil, "lastWords": [evil, "\x1b]0;title\x07words"]},
    )
    page.goto(path)
    expect(page.get_by_role("heading", level=1)).to_have_text(evil)
    expect(page.get_by_role("alert", name="What failed first")).to_contain_text(evil)
    expect(page.locator(".notes")).to_have_text(evil)
    page.goto("/?q=hostile-run")
    expect(page.get_by_role("table", name="Runs")).to_contain_text(evil)
    assert page.locator("img").count() == 0
    assert not hacked(page)


def test_a_hostile_file_is_saved_and_not_shown(page: Page, filled: Filled, tmp_path: Path) -> None:
    page.goto(f"{filled.failed}?tab=files")
    expect(page.get_by_role("table", name="Files")).to_contain_text(HOSTILE_FILE)
    with page.expect_download() as started:
        page.get_by_role("link", name=f"Download {HOSTILE_FILE}").click()
    started.value.save_as(tmp_path / "saved")
    assert (tmp_path / "saved").read_bytes() == HOSTILE_PAGE
    assert started.value.suggested_filename == "_img src=x onerror=window.outriderHacked=true_.html"
    assert page.locator("img").count() == 0
    assert not hacked(page)


def test_even_opened_as_a_frame_it_does_not_run(page: Page, filled: Filled, complaints: Complaints) -> None:
    """A page of ours that were made to embed the file would still not show it: frames are forbidden."""
    page.goto(f"{filled.failed}?tab=files")
    url = page.get_by_role("link", name=f"Download {HOSTILE_FILE}").get_attribute("href")
    page.evaluate(
        """(url) => {
          const frame = document.createElement("iframe");
          frame.src = url;
          document.body.append(frame);
        }""",
        url,
    )
    expect(page.get_by_role("table", name="Files")).to_be_visible()
    assert not hacked(page)
    complaints.said.clear()  # the browser says that it refused, in words of its own


def test_the_policy_stops_a_script_that_got_into_the_page(page: Page, complaints: Complaints) -> None:
    """The last line of defence works: an inline script and an inline handler are refused by the browser."""
    page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "window.outriderHacked = true";
          document.body.append(script);
          const holder = document.createElement("div");
          holder.innerHTML = "<img src='/nosuch.png' onerror='window.outriderHacked = true'>";
          document.body.append(holder);
        }"""
    )
    wait_for_script(page, "document.querySelector('img').complete")
    assert not hacked(page)
    assert any("Content Security Policy" in said for said in complaints.said)
    complaints.said.clear()
