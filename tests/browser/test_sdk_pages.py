"""What `import wandb` logs, as a person sees it: written by the real client, shown in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.browsing import log_in, new_page, wait_for_script
from tests.browser.conftest import Complaints, Filled
from tests.browser.sdk import EVIL, LIVE, PROJECT, WHOLE, live_run, log_runs
from tests.browser.served import ADMIN_KEY
from tests.browser.test_hostile import hacked
from tests.browser.test_pages import wait_until_drawn

# What the browser says of its own when it did what our policies ask of it.
_REFUSED = re.compile("Blocked script execution|Content Security Policy|404")


@pytest.fixture(scope="module", autouse=True)
def logged(filled: Filled, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The runs of sdk_training.py."""
    log_runs(filled.served.url, tmp_path_factory.mktemp("sdk"))


@pytest.fixture
def writer(chromium: Browser, filled: Filled) -> Iterator[Page]:
    """A page of the administrator, who may change runs."""
    page = new_page(chromium, filled.served.url)
    log_in(page, ADMIN_KEY)
    yield page
    page.context.close()


class TestTheAddressesThatTheClientPrints:
    def test_the_run(self, page: Page) -> None:
        page.goto(WHOLE)
        expect(page.get_by_role("heading", level=1)).to_have_text("proud-otter")
        panel = page.get_by_role("tabpanel")
        for text in (
            "vision/digits/whole",
            "ablation",
            "baseline",
            "optimizer.name",
            "adamw",
            "train",
            "CPython",
            "0.31.0",
        ):
            expect(panel).to_contain_text(text)
        expect(panel).to_contain_text(re.compile(r"train/loss\.min\s*0\.[23]"))
        expect(panel).to_contain_text("Loss is flat")
        expect(page.locator(".strip")).to_contain_text("Exit code0")

    def test_the_project_lists_its_runs(self, page: Page) -> None:
        page.goto(PROJECT)
        expect(page.get_by_role("heading", level=1)).to_have_text("digits")
        table = page.get_by_role("table", name="Runs")
        for title, state in (("proud-otter", "Finished"), ("misty-fjord", "Failed")):
            row = table.get_by_role("row").filter(has_text=title)
            for text in (state, "SDK", "ablation"):
                expect(row).to_contain_text(text)
        expect(table).not_to_contain_text("ResNet-50 DDP")

    def test_a_sweep(self, page: Page) -> None:
        page.goto(f"{PROJECT}/sweeps/s1")
        expect(page.get_by_text("This sweep has no runs that are yours to see.")).to_be_visible()

    def test_both_kinds_stand_in_one_list(self, page: Page) -> None:
        table = page.get_by_role("table", name="Runs")
        expect(table).to_contain_text("proud-otter")
        expect(table).to_contain_text("ResNet-50 DDP")
        page.get_by_label("Kind").select_option("sdk")
        expect(table).not_to_contain_text("ResNet-50 DDP")
        expect(page).to_have_url(re.compile("kind=sdk"))

    def test_a_project_that_is_not_there(self, page: Page, complaints: Complaints) -> None:
        page.goto("/vision/nosuch")
        expect(page.get_by_text("There is no such project")).to_be_visible()
        complaints.said.clear()  # the browser's own word on the 404


class TestCharts:
    def test_sections_by_prefix_and_the_axis_that_the_code_defined(self, page: Page) -> None:
        page.goto(f"{WHOLE}?tab=charts")
        for section in ("Charts", "train", "val", "System: memory_percent"):
            expect(page.get_by_role("button", name=section, exact=True)).to_be_visible()
        expect(page.get_by_role("article", name="val/accuracy")).to_contain_text("epoch")
        expect(page.get_by_role("article", name="train/loss")).to_contain_text("step")
        wait_until_drawn(page, "train/loss", 1)

    def test_hidden_metrics_are_shown_when_asked(self, page: Page) -> None:
        page.goto(f"{WHOLE}?tab=charts")
        expect(page.get_by_role("article", name="grad_norm")).to_be_visible()
        expect(page.get_by_role("article", name="epoch", exact=True)).to_have_count(0)
        page.get_by_role("button", name="Show 1 hidden").click()
        expect(page.get_by_role("article", name="epoch", exact=True)).to_be_visible()

    def test_any_metric_on_x_smoothing_and_logarithm(self, page: Page) -> None:
        page.goto(f"{WHOLE}?tab=charts&key=train/loss")
        card = page.get_by_role("article", name="train/loss")
        page.get_by_label("Horizontal axis").select_option("metric:epoch")
        expect(card).to_contain_text("epoch")
        expect(page).to_have_url(re.compile("x=metric%3Aepoch"))
        expect(card.locator("canvas")).to_be_visible()
        page.get_by_label("Smoothing").fill("0.9")
        expect(page).to_have_url(re.compile(r"smooth=0\.9"))
        page.get_by_role("button", name="Log scale").click()
        expect(page).to_have_url(re.compile("y=log"))
        wait_until_drawn(page, "train/loss", 1)

    def test_runs_of_a_project_over_each_other(self, page: Page) -> None:
        page.goto(f"{PROJECT}?tab=charts&key=train/loss")
        card = page.get_by_role("article", name="train/loss")
        expect(card.locator(".legend .entry")).to_have_count(4)
        page.get_by_role("checkbox", name="Show calm-birch").uncheck()
        expect(card.locator(".legend .entry")).to_have_count(3)
        expect(card).not_to_contain_text("calm-birch")


class TestMedia:
    def test_images_with_captions_at_each_step(self, page: Page, complaints: Complaints) -> None:
        page.goto(f"{WHOLE}?tab=media&key=samples")
        card = page.get_by_role("article", name="samples")
        expect(card.locator("img")).to_have_count(3)
        expect(card).to_contain_text("digit 2, 2")
        wait_for_script(
            page,
            "[...document.querySelectorAll('article img')].every((each) => each.complete && each.naturalWidth === 96)",
        )
        card.get_by_role("slider").fill("0")
        expect(card).to_contain_text("digit 2, 0")
        assert complaints.said == []

    def test_a_histogram_and_a_custom_chart_are_drawn(self, page: Page) -> None:
        page.goto(f"{WHOLE}?tab=media&key=weights")
        expect(page.get_by_role("img", name="Histogram of weights").locator("rect")).to_have_count(64)
        page.goto(f"{WHOLE}?tab=media&key=recall")
        card = page.get_by_role("article", name="recall", exact=True)
        expect(card).to_contain_text("Precision over recall")
        expect(card.locator("polyline")).to_have_count(1)

    def test_a_table_by_pages(self, page: Page) -> None:
        page.goto(f"{WHOLE}?tab=media&key=predictions")
        card = page.get_by_role("article", name="predictions")
        expect(card).to_contain_text("rows 1\u201325 of 60")
        expect(card.locator("tbody tr")).to_have_count(25)
        card.get_by_role("button", name="Next rows").click()
        expect(card).to_contain_text("rows 26\u201350 of 60")
        expect(card).to_contain_text("text 30")


class TestLogs:
    def test_lines_with_colours_and_level(self, page: Page) -> None:
        page.goto(f"{WHOLE}?tab=logs")
        log = page.get_by_role("log")
        expect(log).to_contain_text("epoch 19 loss=0.213")
        expect(log.locator(".fg-green")).to_have_text("epoch 19")
        expect(log.locator(".line", has_text="the loader is slow").locator(".text")).to_have_class(re.compile("fg-red"))

    def test_lines_appear_and_change_while_one_watches(self, page: Page, filled: Filled, tmp_path: Path) -> None:
        with live_run(filled.served.url, tmp_path) as training:
            page.goto("/?q=live-one")
            expect(page.get_by_role("link", name="live-one")).to_be_visible()
            page.goto(f"{LIVE}?tab=logs")
            log = page.get_by_role("log")
            expect(log).to_contain_text("ready")
            training.say("the training goes on")
            expect(log).to_contain_text("the training goes on")
            training.say("bar")
            expect(log.locator(".line", has_text="progress")).to_have_text(re.compile("progress 100%"))
            expect(log.locator(".line", has_text="progress")).to_have_count(1)


class TestFiles:
    def test_every_file_is_there_to_save(self, page: Page) -> None:
        page.goto(f"{WHOLE}?tab=files")
        table = page.get_by_role("table", name="Files")
        for name in ("config.yaml", "output.log", "requirements.txt", "wandb-metadata.json", "evil.svg"):
            expect(table).to_contain_text(name)
        with page.expect_download() as started:
            table.get_by_role("link", name="Download config.yaml").click()
        assert b"adamw" in started.value.path().read_bytes()


class TestChanges:
    def test_a_viewer_has_no_buttons_for_them(self, page: Page) -> None:
        page.goto(WHOLE)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert page.get_by_role("button", name="Edit").count() == 0
        assert page.get_by_role("button", name="Stop").count() == 0

    def test_name_notes_and_tags(self, writer: Page) -> None:
        writer.goto(f"{PROJECT}/runs/a-fast")
        writer.get_by_role("button", name="Edit").click()
        writer.get_by_label("Name").fill("swift-heron")
        writer.get_by_label("Notes").fill("two\nlines")
        writer.get_by_label(re.compile("^Tags")).fill("x, y ,x,")
        writer.get_by_role("button", name="Save").click()
        expect(writer.get_by_role("heading", level=1)).to_have_text("swift-heron")
        writer.reload()
        expect(writer.locator(".notes")).to_have_text("two\nlines")
        expect(writer.locator(".panel .tag")).to_have_text(["x", "y"])

    def test_stop_interrupts_the_training(self, writer: Page, filled: Filled, tmp_path: Path) -> None:
        with live_run(filled.served.url, tmp_path) as training:
            writer.goto("/?q=live-one")
            expect(writer.get_by_role("row").filter(has_text="live-one")).to_contain_text("Running")
            writer.goto(LIVE)
            writer.on("dialog", lambda dialog: dialog.accept())
            with training.held():  # it may ask at any moment whether it is to stop, and be over before one looks
                writer.get_by_role("button", name="Stop").click()
                expect(writer.get_by_role("button", name="Stopping")).to_be_visible()
            expect(writer.locator(".title .badge")).to_have_text("Killed", timeout=90_000)


class TestHostile:
    """Names, notes, tags, tables, HTML and SVG that want to run a script in the tracker's pages."""

    def test_markup_is_text_on_every_tab(self, page: Page) -> None:
        signs = {"overview": "text=adamw", "charts": "canvas", "logs": ".line", "files": "text=config.yaml"}
        for tab, sign in signs.items():
            page.goto(f"{WHOLE}?tab={tab}")
            expect(page.locator(sign).first).to_be_visible()
            assert page.locator("img[src=x]").count() == 0
            assert not hacked(page), tab
        page.goto(WHOLE)
        expect(page.locator(".notes")).to_contain_text(EVIL)
        expect(page.locator(".panel .tags")).to_contain_text(EVIL)
        page.goto(f"{WHOLE}?tab=logs")
        expect(page.get_by_role("log")).to_contain_text(EVIL)

    def test_a_table_is_text(self, page: Page) -> None:
        page.goto(f"{WHOLE}?tab=media&key=predictions")
        card = page.get_by_role("article", name="predictions")
        expect(card.locator("thead")).to_contain_text(EVIL)
        expect(card.locator("tbody")).to_contain_text(EVIL)
        assert page.locator("img[src=x]").count() == 0
        assert not hacked(page)

    def test_html_is_shown_without_its_scripts_until_one_asks(self, page: Page, complaints: Complaints) -> None:
        page.goto(f"{WHOLE}?tab=media&key=report")
        frame = page.frame_locator("iframe")
        expect(frame.locator("#said")).to_have_text("made without a script")
        page.get_by_role("button", name="Run its scripts").click()
        expect(frame.locator("#said")).to_have_text("a script ran")
        assert not hacked(page)
        origin = page.frames[-1].evaluate("window.origin")
        assert origin == "null"
        assert all(_REFUSED.search(said) for said in complaints.said), complaints.said
        complaints.said.clear()

    def test_html_and_svg_opened_by_themselves_have_no_origin_of_ours(self, page: Page, complaints: Complaints) -> None:
        page.goto(f"{WHOLE}?tab=media&key=report")
        html = page.locator("iframe").get_attribute("src")
        svg = f"/api/v1/runs{PROJECT}/whole/files/content?name=evil.svg&show=media"
        for address in (f"{html}".replace("show=page", "show=scripts"), svg):
            page.goto(address)
            assert page.evaluate("window.origin") == "null", address
            assert page.evaluate("(() => { try { return document.cookie } catch { return 'none' } })()") == "none"
        assert all(_REFUSED.search(said) for said in complaints.said), complaints.said
        complaints.said.clear()

    def test_an_svg_is_drawn_and_does_nothing(self, page: Page) -> None:
        page.goto(WHOLE)
        width = page.evaluate(
            """(address) => new Promise((done) => {
              const image = new Image();
              image.onload = () => done(image.naturalWidth);
              image.onerror = () => done(-1);
              image.src = address;
              document.body.append(image);
            })""",
            f"/api/v1/runs{PROJECT}/whole/files/content?name=evil.svg&show=media",
        )
        assert width == 40
        assert not hacked(page)
