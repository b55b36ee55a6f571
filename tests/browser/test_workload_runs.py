"""A Run and what its training code logs through the W&B client, from a pod, shown as one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.browsing import log_in, new_page
from tests.browser.conftest import Filled
from tests.browser.fill import EVENTS, SAMPLES, metric_lines, rank_stream, start_events, text_labels
from tests.browser.sdk import PROJECT, log_runs
from tests.browser.served import ADMIN_KEY
from tests.browser.test_pages import wait_until_drawn

RUN: Final = "mnist-4c1d9e02"
PAGE: Final = f"{PROJECT}/runs/{RUN}"
PRINTED: Final = f"{PROJECT}/runs/k3v9x2m1"  # the address that the client prints


@dataclass(frozen=True)
class Pod:
    """A pod of a Run of one rank, and how its code logs."""

    filled: Filled
    uid: str
    folder: Path

    def log(self, identity: str, name: str) -> None:
        """One `wandb.init()` to `finish()`, with the pod's own token."""
        served = self.filled.served
        key = served.cluster.token(self.uid, "vision")
        log_runs(served.url, self.folder / identity, "pod", identity, name, key=key)


def make_run(filled: Filled, folder: Path, run: str) -> Pod:
    """A Run of one pod that writes logs and metrics, without any SDK."""
    filler = filled.filler
    begin = filler.now - 60
    filler.put_run(
        run,
        name="mnist",
        displayName="mnist",
        project="digits",
        ago=60.0,
        tags=["from-spec"],
        config={"lr": 0.5, "nodes": 1},
        ranks={"expected": 1, "running": 1, "succeeded": 0, "failed": 0, "lost": 0},
    )
    source = filler.source(f"uid-of-{run}", "mnist-0", "gpu-node-03", run)
    source.jsonl("train/0/events", start_events(begin, [0], 1), EVENTS)
    source.write(rank_stream(0, "stdout"), b"seen by the sidecar\n", text_labels(0, "stdout"))
    source.jsonl("train/0/samples", metric_lines(0, begin, filler.now), SAMPLES)
    source.save("out/report.json", b"{}")
    return Pod(filled, source.uid, folder)


@pytest.fixture(scope="module", autouse=True)
def logged(filled: Filled, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The Run, with one SDK run."""
    make_run(filled, tmp_path_factory.mktemp("pod"), RUN).log("k3v9x2m1", "brisk-falcon")


def test_the_printed_address_leads_to_the_run(page: Page) -> None:
    page.goto(PRINTED)
    expect(page).to_have_url(re.compile(f"{re.escape(PAGE)}$"))
    expect(page.get_by_role("heading", level=1)).to_have_text("brisk-falcon")
    expect(page.locator(".title .badge")).to_have_text("Running")  # the Run; its code has finished
    expect(page.get_by_role("tab", name="Ranks")).to_be_visible()


def test_back_leaves_the_run_instead_of_returning_to_it(page: Page) -> None:
    page.goto("/vision/digits")
    page.goto(PRINTED)
    expect(page).to_have_url(re.compile(f"{re.escape(PAGE)}$"))
    page.go_back()
    expect(page).to_have_url(re.compile("/vision/digits$"))


def test_the_overview_has_what_both_say(page: Page) -> None:
    page.goto(PRINTED)
    panel = page.get_by_role("tabpanel")
    config = panel.locator(".card").filter(has=page.get_by_role("heading", name="Config"))
    expect(config.get_by_role("row").filter(has_text="lr")).to_contain_text("0.02")  # what the code ran with
    expect(config).to_contain_text("nodes")
    expect(config).to_contain_text("seed")
    for text in (
        "from-spec",
        "from-code",
        "Said by the code.",
        "Job mnist",
        "train/loss.min",
        "Loss is flat",
        "0.31.0",
    ):
        expect(panel).to_contain_text(text)


def test_charts_of_the_code_and_of_the_pods(page: Page) -> None:
    page.goto(f"{PRINTED}?tab=charts")
    expect(page).to_have_url(re.compile(f"{re.escape(PAGE)}\\?tab=charts$"))
    expect(page.get_by_role("article", name="train/loss")).to_be_visible()
    wait_until_drawn(page, "train/loss", 1)
    page.get_by_role("group", name="From").get_by_role("button", name="Pods").click()
    expect(page.get_by_role("article", name="proc.memory.rssMB", exact=True)).to_be_visible()
    expect(page.get_by_role("article", name="train/loss")).to_have_count(0)


def test_media_logs_and_files(page: Page) -> None:
    page.goto(f"{PAGE}?tab=media")
    expect(page.get_by_role("article", name="samples").locator("img")).to_have_count(1)
    page.get_by_role("tab", name="Logs").click()
    origin = page.get_by_role("group", name="From")
    expect(page.get_by_role("log")).to_contain_text("seen by the sidecar")
    origin.get_by_role("button", name="Training code").click()
    expect(page.get_by_role("log")).to_contain_text("printed by the code")
    page.goto(f"{PAGE}?tab=files")
    files = page.get_by_role("table", name="Files")
    expect(files).to_contain_text("wandb-metadata.json")
    origin.get_by_role("button", name="Pods").click()
    expect(files).to_contain_text("out/report.json")


def test_one_row_of_the_list_stands_for_both(page: Page) -> None:
    page.goto("/?q=brisk-falcon")
    table = page.get_by_role("table", name="Runs")
    row = table.get_by_role("row").filter(has_text="brisk-falcon")
    expect(row).to_have_count(1)
    for text in ("mnist", "from-spec", "from-code", "Run", "1/1"):
        expect(row).to_contain_text(text)
    row.get_by_role("link", name="brisk-falcon").click()
    expect(page).to_have_url(re.compile(f"{re.escape(PAGE)}$"))
    page.goto("/?q=brisk-falcon&kind=sdk")
    expect(table.get_by_role("row").filter(has_text="brisk-falcon")).to_contain_text("SDK")


def test_it_has_a_page_of_its_own(page: Page) -> None:
    page.goto(PAGE)
    page.get_by_role("tabpanel").get_by_role("link", name="brisk-falcon").click()
    expect(page).to_have_url(re.compile(f"{re.escape(PRINTED)}\\?kind=sdk$"))
    expect(page.locator(".title .badge")).to_have_text("Finished")
    expect(page.get_by_role("tab", name="Ranks")).to_have_count(0)
    page.get_by_role("navigation", name="Where").get_by_role("link", name="mnist").click()
    expect(page).to_have_url(re.compile(f"{re.escape(PAGE)}$"))


def test_its_name_notes_and_tags_are_changed_on_the_runs_page(chromium: Browser, filled: Filled) -> None:
    page = new_page(chromium, filled.served.url)
    log_in(page, ADMIN_KEY)
    page.goto(PAGE)
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Notes").fill("Said by a person.")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("tabpanel")).to_contain_text("Said by a person.")
    page.context.close()


def test_a_second_one_makes_them_children_while_one_watches(page: Page, filled: Filled, tmp_path: Path) -> None:
    run = "mnist-eval-77aa01bc"
    pod = make_run(filled, tmp_path, run)
    pod.log("first", "train-part")
    page.goto(f"{PROJECT}/runs/first")
    expect(page).to_have_url(re.compile(f"runs/{run}$"))
    expect(page.get_by_role("heading", level=1)).to_have_text("train-part")
    pod.log("second", "eval-part")
    expect(page.get_by_role("heading", level=1)).to_have_text("mnist")
    card = page.get_by_role("tabpanel").locator(".card").filter(has=page.get_by_role("heading", name="SDK runs"))
    for name in ("train-part", "eval-part"):
        expect(card).to_contain_text(name)
    card.get_by_role("link", name="eval-part").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("eval-part")
    page.goto(f"{PROJECT}/runs/first")
    expect(page.get_by_role("heading", level=1)).to_have_text("train-part")
    expect(page.get_by_role("navigation", name="Where").get_by_role("link", name="mnist")).to_be_visible()
    expect(page).to_have_url(re.compile("runs/first$"))
