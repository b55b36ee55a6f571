"""What a person sees: the pages in a real browser, over a real tracker."""

from __future__ import annotations

import re

from playwright.sync_api import Page, Route, expect

from tests.browser.browsing import log_in, wait_for_script
from tests.browser.conftest import Complaints, Filled
from tests.browser.fill import LAST_WORDS, rank_stream, text_labels
from tests.browser.served import STRANGER_KEY, VIEWER_KEY


class TestLogin:
    def test_a_wrong_key_is_told_apart_and_the_page_stays(self, stranger: Page) -> None:
        stranger.get_by_label("API key").fill("f" * 40)
        stranger.get_by_role("button", name="Log in").click()
        expect(stranger.get_by_role("alert")).to_contain_text("does not know this API key")
        expect(stranger.get_by_label("API key")).to_be_visible()

    def test_a_deep_link_opens_after_the_login(self, stranger: Page, filled: Filled) -> None:
        stranger.goto(f"{filled.failed}?tab=files")
        stranger.get_by_label("API key").fill(VIEWER_KEY)
        stranger.get_by_label("API key").press("Enter")
        expect(stranger.get_by_role("table", name="Files")).to_contain_text("out/report.json")

    def test_logging_out_shows_nothing_any_more(self, stranger: Page) -> None:
        log_in(stranger, VIEWER_KEY)
        stranger.get_by_role("button", name="Log out").click()
        expect(stranger.get_by_label("API key")).to_be_visible()
        stranger.goto("/")
        expect(stranger.get_by_label("API key")).to_be_visible()

    def test_somebody_elses_run_is_not_there(self, stranger: Page, filled: Filled) -> None:
        stranger.goto(filled.failed)
        stranger.get_by_label("API key").fill(STRANGER_KEY)
        stranger.get_by_label("API key").press("Enter")
        expect(stranger.get_by_text("There is no such run, or it is not yours to see.")).to_be_visible()


class TestRunsTable:
    def test_a_row_tells_state_ranks_workload_and_what_failed(self, page: Page) -> None:
        row = page.get_by_role("row", name=re.compile("ResNet-50 DDP"))
        for text in ("Failed", "vision/resnet", "0/4", "1 failed", "Job resnet-ddp", "8m 00s", "rank 3 OOMKilled"):
            expect(row).to_contain_text(text)

    def test_filters_live_in_the_address(self, page: Page) -> None:
        page.get_by_label("Filter by name, id or group").fill("resnet-50")
        expect(page.get_by_role("row")).to_have_count(2)  # its header and one Run
        expect(page).to_have_url(re.compile(r"\?q=resnet-50$"))
        page.get_by_label("State").select_option("Running")
        expect(page.get_by_text("No run matches these filters.")).to_be_visible()
        page.reload()
        expect(page.get_by_text("No run matches these filters.")).to_be_visible()
        page.get_by_role("button", name="Clear").click()
        expect(page.get_by_role("link", name="ResNet-50 DDP")).to_be_visible()

    def test_a_new_run_and_a_new_state_appear_by_themselves(self, page: Page, filled: Filled) -> None:
        filled.filler.put_run("late-arrival-01", displayName="Late arrival", ago=1.0, state="Pending")
        row = page.get_by_role("row", name=re.compile("Late arrival"))
        expect(row).to_contain_text("Pending")
        filled.filler.put_run("late-arrival-01", displayName="Late arrival", ago=1.0, state="Running")
        expect(row).to_contain_text("Running")

    def test_a_row_opens_its_run_and_back_returns(self, page: Page, filled: Filled) -> None:
        page.get_by_role("link", name="ResNet-50 DDP").click()
        expect(page).to_have_url(re.compile(re.escape(filled.failed)))
        expect(page.get_by_role("heading", level=1)).to_have_text("ResNet-50 DDP")
        page.go_back()
        expect(page.get_by_role("table", name="Runs")).to_be_visible()


class TestEntityPage:
    def test_projects_with_their_runs_the_last_active_first(self, page: Page, filled: Filled) -> None:
        page.goto("/vision/projects")
        expect(page.get_by_role("heading", level=1)).to_have_text("vision")
        table = page.get_by_role("table", name="Projects")
        names = table.get_by_role("row").get_by_role("link")
        expect(names.filter(has_text="vit")).to_be_visible()
        listed = names.all_inner_texts()
        assert listed.index("vit") < listed.index("llm")  # which ended 25 minutes ago; the pod of `vit` is heard of
        row = table.get_by_role("row").filter(has_text="llm")
        for text in ("Team", "look", "4", "ago"):
            expect(row).to_contain_text(text)
        row.get_by_role("link", name="llm").click()
        expect(page).to_have_url(re.compile("/vision/llm$"))
        expect(page.get_by_role("heading", level=1)).to_have_text("llm")

    def test_the_ways_there_and_back(self, page: Page, filled: Filled) -> None:
        page.get_by_role("navigation", name="Projects").get_by_role("link", name="vision").click()
        expect(page).to_have_url(re.compile("/vision$"))
        expect(page.get_by_role("table", name="Projects")).to_contain_text("resnet")
        for address in ("/vision/resnet", filled.failed):
            page.goto(address)
            page.get_by_role("navigation", name="Where").get_by_role("link", name="vision", exact=True).click()
            expect(page.get_by_role("table", name="Projects")).to_contain_text("resnet")
        page.get_by_role("link", name="All its runs").click()
        expect(page).to_have_url(re.compile(r"\?entity=vision$"))

    def test_a_new_project_appears_by_itself(self, page: Page, filled: Filled) -> None:
        page.goto("/vision")
        table = page.get_by_role("table", name="Projects")
        expect(table).to_contain_text("resnet")
        filled.filler.put_run("first-of-its-project", project="projects", ago=1.0)
        table.get_by_role("link", name="projects", exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_have_text("projects")
        expect(page.get_by_role("table", name="Runs")).to_contain_text("first-of-its-project")

    def test_columns_sort(self, page: Page) -> None:
        page.goto("/vision")
        table = page.get_by_role("table", name="Projects")
        table.get_by_role("button", name="Project").click()
        links = table.get_by_role("row").get_by_role("link")
        expect(links.first).to_have_text("asr")
        names = links.all_inner_texts()
        assert len(names) > 5
        assert names == sorted(names)

    def test_somebody_elses_entity_is_not_there(self, page: Page, complaints: Complaints) -> None:
        page.goto("/speech")
        expect(page.get_by_text("There is no such entity, or nothing of it is yours to see.")).to_be_visible()
        complaints.said.clear()  # the browser's own word on the 404


class TestRunPage:
    def test_the_failure_is_said_first_with_the_last_words(self, page: Page, filled: Filled) -> None:
        page.goto(filled.failed)
        banner = page.get_by_role("alert", name="What failed first")
        expect(banner).to_contain_text("Rank 3 OOMKilled on pod resnet-ddp-1-x7k2p, node gpu-node-07")
        expect(banner).to_contain_text("exit code 137")
        expect(banner).to_contain_text(LAST_WORDS[-1])
        banner.get_by_role("button", name="Open rank 3's stderr").click()
        expect(page.get_by_role("log")).to_contain_text(LAST_WORDS[-1])

    def test_the_overview_has_config_attempts_collection_and_container(self, page: Page, filled: Filled) -> None:
        page.goto(filled.failed)
        panel = page.get_by_role("tabpanel")
        for text in (
            "optimizer.weight_decay",
            "0.00005",
            "ablation",
            "baseline",
            "47.1 KiB are lost and will not come; each gap is marked in its log.",
            "2 x NVIDIA H100 80GB HBM3",
            "torchrun --nnodes=2",
            "RankFailed",
        ):
            expect(panel).to_contain_text(text)

    def test_ranks_show_their_ends_and_lead_to_their_logs(self, page: Page, filled: Filled) -> None:
        page.goto(f"{filled.failed}?tab=ranks")
        table = page.get_by_role("table", name="Ranks")
        expect(table.get_by_role("row")).to_have_count(5)
        row = table.get_by_role("row").filter(has_text="SIGKILL, 1 OOM kill")
        for text in ("3", "failed", "resnet-ddp-1-x7k2p", "gpu-node-07"):
            expect(row).to_contain_text(text)
        expect(table.get_by_role("row").filter(has_text="47.1 KiB")).to_have_count(1)
        strip = page.get_by_role("group", name="4 ranks by state")
        expect(strip.get_by_role("button")).to_have_count(4)
        strip.get_by_role("button", name=re.compile("^rank 3 · failed")).click()
        expect(row).to_have_class(re.compile("selected"))
        row.get_by_role("button", name="stderr of rank 3").click()
        expect(page.get_by_role("log")).to_contain_text(LAST_WORDS[-1])

    def test_tabs_are_walked_by_keyboard(self, page: Page, filled: Filled) -> None:
        page.goto(filled.failed)
        page.get_by_role("tab", name="Overview").focus()
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("tab", name="Ranks")).to_be_focused()
        expect(page.get_by_role("table", name="Ranks")).to_be_visible()
        page.keyboard.press("4")
        expect(page.get_by_role("tab", name="Charts")).to_have_attribute("aria-selected", "true")

    def test_charts_draw_one_line_a_rank(self, page: Page, filled: Filled) -> None:
        page.goto(f"{filled.failed}?tab=charts")
        for key in ("cpu", "proc.io.readMB"):
            card = page.get_by_role("article", name=key, exact=True)
            expect(card.locator(".legend .entry")).to_have_text(["rank 0", "rank 1", "rank 2", "rank 3"])
            canvas = card.locator("canvas")
            expect(canvas).to_be_visible()
            wait_until_drawn(page, key, 4)

    def test_pointing_at_a_line_tells_whose_it_is_on_every_chart(self, page: Page, filled: Filled) -> None:
        page.goto(f"{filled.failed}?tab=charts&key=proc")
        memory = page.get_by_role("article", name="proc.memory.rssMB", exact=True)
        other = page.get_by_role("article", name="proc.io.readMB", exact=True)
        expect(other.locator(".u-over")).to_be_visible()  # the pointer moves once: who comes later hears nothing of it
        box = memory.locator(".u-over").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] * 0.97, box["y"] + 15)  # top right: only the leaking rank is there
        expect(memory.locator(".entry.on")).to_contain_text(re.compile(r"rank 3\s*1[23]"))
        expect(other.locator(".entry.on")).to_contain_text(re.compile(r"rank 3\s*2\d\d\d"))

    def test_charts_by_step(self, page: Page, filled: Filled) -> None:
        page.goto(f"{filled.failed}?tab=charts&key=loss")
        page.get_by_role("button", name="Step").click()
        expect(page).to_have_url(re.compile("x=step"))
        expect(page.get_by_role("article", name="loss").locator(".legend .entry")).to_have_count(4)


class TestLogs:
    def test_a_line_appears_while_one_watches(self, page: Page, filled: Filled) -> None:
        page.goto(f"{filled.running}?tab=logs")
        log = page.get_by_role("log")
        expect(log).to_contain_text("step=390")
        filled.live.write(rank_stream(0, "stdout"), b"epoch 1 begins\n", text_labels(0, "stdout"))
        expect(log).to_contain_text("epoch 1 begins")

    def test_an_unfinished_line_grows_in_place(self, page: Page, filled: Filled) -> None:
        page.goto(f"{filled.running}?tab=logs")
        log = page.get_by_role("log")
        expect(log).to_contain_text("step=390")
        for piece in (b"\rbar:  10%", b"\rbar:  55%", b"\rbar: 100%\n"):
            filled.live.write(rank_stream(0, "stdout"), piece, text_labels(0, "stdout"))
            expect(log).to_contain_text(piece.strip().decode())
        expect(log.locator(".line", has_text="bar:")).to_have_count(1)

    def test_following_stops_when_one_scrolls_up_and_goes_on_at_the_end(self, page: Page, filled: Filled) -> None:
        page.goto(f"{filled.running}?tab=logs")
        log = page.get_by_role("log")
        expect(log).to_contain_text("step=390")
        log.hover()
        page.mouse.wheel(0, -300)
        expect(page.get_by_role("button", name="Follow", exact=True)).to_be_visible()
        filled.live.write(rank_stream(0, "stdout"), b"written while reading above\n" * 30, text_labels(0, "stdout"))
        page.get_by_role("button", name=re.compile("End")).click()
        expect(log).to_contain_text("written while reading above")
        expect(page.get_by_role("button", name="Following")).to_be_visible()

    def test_the_start_is_reached_and_the_rest_loads_by_scrolling(self, page: Page, filled: Filled) -> None:
        page.goto(f"{filled.failed}?tab=logs&unit=1.0.0&stream=stdout")
        log = page.get_by_role("log")
        expect(log).to_contain_text("step=11490")
        page.get_by_role("button", name=re.compile("Start")).click()
        expect(log.locator(".line").first).to_contain_text("step=0 ")
        status = page.locator(".status")
        expect(status).to_contain_text("500 lines loaded")
        log.hover()
        page.mouse.wheel(0, 500 * 18)
        expect(status).to_contain_text(re.compile(r"1.000 lines loaded"))

    def test_one_may_jump_while_a_page_is_still_to_come(self, page: Page, filled: Filled) -> None:
        page.goto(f"{filled.failed}?tab=logs&unit=1.0.0&stream=stdout")
        log = page.get_by_role("log")
        expect(log).to_contain_text("step=11490")
        held: list[Route] = []
        earlier = re.compile(r"[?&]before=")
        page.route(earlier, lambda route: held.append(route))  # noqa: PLW0108  Playwright marks what it is given
        log.hover()
        with page.expect_request(earlier):
            page.mouse.wheel(0, -500 * 18)
        page.get_by_role("button", name=re.compile("Start")).click()
        expect(log.locator(".line").first).to_contain_text("step=0 ")
        with page.expect_response(earlier):
            held[0].continue_()
        expect(page.locator(".status")).to_contain_text("500 lines loaded")
        expect(log.locator(".line").first).to_contain_text("step=0 ")

    def test_lost_ranges_are_marked(self, page: Page, filled: Filled) -> None:
        page.goto(f"{filled.failed}?tab=logs&unit=1.0.2&stream=stdout")
        expect(page.get_by_role("log")).to_contain_text("47.1 KiB lost here: the volume's spool limit was reached")
        expect(page.locator(".status")).to_contain_text("47.1 KiB of this stream were lost")

    def test_searching_marks_and_walks(self, page: Page, filled: Filled) -> None:
        page.goto(f"{filled.failed}?tab=logs&unit=1.0.3&stream=stderr")
        expect(page.get_by_role("log")).to_contain_text("RuntimeError")
        page.keyboard.press("/")
        page.keyboard.type("train.py")
        expect(page.locator(".hits")).to_have_text("2 lines")
        expect(page.locator(".hit").first).to_have_text("train.py")
        page.keyboard.press("Enter")
        expect(page.locator(".line.at")).to_contain_text("line 212")
        page.keyboard.press("Enter")
        expect(page.locator(".line.at")).to_contain_text("line 187")

    def test_the_next_rank_is_one_key_away(self, page: Page, filled: Filled) -> None:
        page.goto(f"{filled.failed}?tab=logs&unit=1.0.1&stream=stderr")
        expect(page.get_by_role("log")).to_contain_text("rank 1: using IPv4")
        page.keyboard.press("]")
        expect(page.get_by_role("log")).to_contain_text("rank 2: using IPv4")
        expect(page).to_have_url(re.compile(r"unit=1\.0\.2"))

    def test_colours_are_spans(self, page: Page, filled: Filled) -> None:
        page.goto(f"{filled.failed}?tab=logs&unit=1.0.3&stream=stderr")
        expect(page.locator(".line .fg-red").first).to_contain_text("Traceback")


def wait_until_drawn(page: Page, key: str, colours: int) -> None:
    """Until the chart's canvas really has pixels of so many of the named line colours."""
    wait_for_script(
        page,
        """([key, colours]) => {
          const card = [...document.querySelectorAll("article.chart")].find((each) => each.ariaLabel === key);
          const canvas = card?.querySelector("canvas");
          if (!canvas?.width) return false;
          const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
          const seen = new Set();
          for (let at = 0; at < pixels.length; at += 4) {
            if (pixels[at + 3] > 250) seen.add([pixels[at], pixels[at + 1], pixels[at + 2]].join());
          }
          const style = getComputedStyle(card);
          const drawn = [0, 1, 2, 3]
            .map((index) => style.getPropertyValue(`--line-${index}`).trim())
            .filter((hex) => seen.has([1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)).join()));
          return new Set(drawn).size >= colours;
        }""",
        [key, colours],
    )
