"""What a run of the SDK logged, as its doors give it: charts, history, console, media and files."""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any, Final

import httpx
import pytest

from outrider_tracker.api import headers
from outrider_tracker.decode.line_decoder import LineDecoder
from outrider_tracker.services import Services
from outrider_tracker.store.line_blocks import LineFile
from outrider_tracker.store.store import Store
from tests.unit.tracker.api.conftest import NOW, Make, MemoryReader, TellingNotifier
from tests.unit.tracker.api.sdk_runs import PNG, RUN, keep, log, write
from tests.unit.tracker.api.test_doors import ADA, make_run


class TestCharts:
    ROWS: Final = tuple(
        {"_step": step, "_timestamp": NOW + step, "loss": 1 / (step + 1), "epoch": step // 2} for step in range(6)
    )

    async def data(self, client: httpx.AsyncClient, **query: Any) -> Any:
        answer = (await client.get(f"{RUN}/series/data", params=query, headers=ADA)).json()
        assert len(answer["lines"]) == 1, answer
        return answer["lines"][0]

    async def test_by_step_time_relative_time_and_another_metric(
        self, client: httpx.AsyncClient, store: Store, make: Make
    ) -> None:
        log(store, make("run1", display_name="otter"), self.ROWS)
        line = await self.data(client, key="loss", x="step")
        assert (line["label"], line["x"]) == ("otter", [0, 1, 2, 3, 4, 5])
        assert line["mean"] == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4, 1 / 5, 1 / 6])
        assert (await self.data(client, key="loss", x="time"))["x"] == [NOW + step for step in range(6)]
        assert (await self.data(client, key="loss", x="relative"))["x"] == pytest.approx(range(6))
        line = await self.data(client, key="loss", x="metric", xKey="epoch", points=3)
        assert line["x"] == pytest.approx([0, 1, 2])
        assert line["max"] == pytest.approx([1, 1 / 3, 1 / 5])
        assert line["min"] == pytest.approx([1 / 2, 1 / 4, 1 / 6])

    async def test_a_part_of_the_axis(self, client: httpx.AsyncClient, store: Store, make: Make) -> None:
        log(store, make("run1"), self.ROWS)
        line = await self.data(client, key="loss", x="relative", **{"from": 2, "to": 4})
        assert line["x"] == pytest.approx([2, 3, 4])

    async def test_rows_without_the_other_metric_have_no_place(
        self, client: httpx.AsyncClient, store: Store, make: Make
    ) -> None:
        rows = [*self.ROWS, {"_step": 6, "_timestamp": NOW + 6, "loss": 99.0}]
        log(store, make("run1"), rows)
        line = await self.data(client, key="loss", x="metric", xKey="epoch")
        assert max(line["max"]) == pytest.approx(1)
        nothing = await client.get(f"{RUN}/series/data?key=loss&x=metric&xKey=nosuch", headers=ADA)
        assert nothing.json()["lines"] == []

    async def test_definitions_are_told_with_the_keys(
        self, client: httpx.AsyncClient, store: Store, make: Make
    ) -> None:
        defined = [{"1": "epoch", "6": [3, 2]}, {"2": "lo*", "5": 1, "6": [1]}]
        log(store, make("run1", config={"_wandb": {"value": {"m": defined}}}), self.ROWS)
        items = (await client.get(f"{RUN}/series", headers=ADA)).json()["items"]
        told = {item["key"]: (item["x"], item["hidden"]) for item in items}
        assert told["loss"] == ("epoch", False)
        assert told["epoch"] == (None, True)

    async def test_labelled_system_metrics_are_one_chart_with_a_line_each(
        self, client: httpx.AsyncClient, store: Store, make: Make
    ) -> None:
        run = make("run1")
        for label in ("rank_0", "rank_1"):
            row = {"_timestamp": NOW, "_runtime": 1.0, f"system.cpu/l:{label}": 5.0}
            write(store, run, LineFile.EVENTS, [json.dumps(row)], client=label)
        LineDecoder(store, lambda _: None).drain()
        items = (await client.get(f"{RUN}/series", headers=ADA)).json()["items"]
        (item,) = [item for item in items if item["kind"] == "system"]
        assert item["lines"] == 2
        lines = (await client.get(f"{RUN}/series/data", params={"key": item["key"]}, headers=ADA)).json()["lines"]
        assert [line["label"] for line in lines] == ["rank_0", "rank_1"]

    async def test_several_runs_lie_over_each_other(self, client: httpx.AsyncClient, store: Store, make: Make) -> None:
        log(store, make("run1"), self.ROWS)
        log(store, make("run2"), self.ROWS[:3])
        at = "/api/v1/projects/vision/digits"
        chosen = "run=run1&run=run2&run=nosuch"
        keys = (await client.get(f"{at}/series?{chosen}", headers=ADA)).json()["items"]
        assert next(item for item in keys if item["key"] == "loss")["lines"] == 2
        answer = (await client.get(f"{at}/series/data?{chosen}&key=loss", headers=ADA)).json()
        assert [(line["run"], len(line["x"])) for line in answer["lines"]] == [("run1", 6), ("run2", 3)]

    async def test_questions_without_sense(self, client: httpx.AsyncClient, make: Make, reader: MemoryReader) -> None:
        make("run1")
        reader.runs.append(make_run("job-1"))
        for path in (
            f"{RUN}/series/data?key=loss&x=metric",
            f"{RUN}/series/data?key=loss&x=sideways",
            f"{RUN}/series/data?key=loss&from=3&to=1",
            "/api/v1/runs/vision/resnet/job-1/series/data?key=loss&x=relative",
            "/api/v1/projects/vision/digits/series",
        ):
            assert (await client.get(path, headers=ADA)).status_code == 400, path


class TestHistory:
    async def test_rows_come_by_step_in_pages(self, client: httpx.AsyncClient, store: Store, make: Make) -> None:
        rows = [{"_step": step, "loss": math.nan if step == 1 else step} for step in range(5)]
        log(store, make("run1"), rows)
        first = (await client.get(f"{RUN}/history?limit=2", headers=ADA)).json()
        assert first == {"rows": [{"_step": 0, "loss": 0}, {"_step": 1, "loss": "NaN"}], "next": 2}
        rest = (await client.get(f"{RUN}/history?from=2&limit=9", headers=ADA)).json()
        assert [row["_step"] for row in rest["rows"]] == [2, 3, 4]
        assert rest["next"] is None


class TestConsole:
    LINES: Final = (
        "2026-01-01T00:00:00.500000 hello",
        "ERROR 2026-01-01T00:00:01.000000 \x1b[31mbad\x1b[0m",
        "no form at all",
    )

    async def test_lines_have_time_and_level(self, client: httpx.AsyncClient, store: Store, make: Make) -> None:
        write(store, make("run1"), LineFile.CONSOLE, self.LINES)
        answer = (await client.get(f"{RUN}/console?last=10", headers=ADA)).json()
        told = [(line["number"], line["text"], line["ts"], line["level"]) for line in answer["lines"]]
        assert told == [
            (0, "hello", 1767225600.5, None),
            (1, "\x1b[31mbad\x1b[0m", 1767225601.0, "error"),
            (2, "no form at all", None, None),
        ]
        assert (answer["start"], answer["end"], answer["count"]) == (0, 3, 3)
        assert answer["writers"] == [{"client": "", "lines": 3}]

    async def test_pages_forward_and_backward(self, client: httpx.AsyncClient, store: Store, make: Make) -> None:
        write(store, make("run1"), LineFile.CONSOLE, [f"line {number}" for number in range(10)])

        async def numbers(query: str) -> list[int]:
            answer = (await client.get(f"{RUN}/console?{query}", headers=ADA)).json()
            return [line["number"] for line in answer["lines"]]

        assert await numbers("from=4&limit=3") == [4, 5, 6]
        assert await numbers("before=4&limit=3") == [1, 2, 3]
        assert await numbers("last=2") == [8, 9]
        assert await numbers("from=99") == []
        assert (await client.get(f"{RUN}/console", headers=ADA)).status_code == 400

    async def test_each_writer_of_shared_mode_has_its_own(
        self, client: httpx.AsyncClient, store: Store, make: Make
    ) -> None:
        run = make("run1")
        write(store, run, LineFile.CONSOLE, ["of a"], client="a")
        write(store, run, LineFile.CONSOLE, ["of b"], client="b")
        answer = (await client.get(f"{RUN}/console?last=5&client=b", headers=ADA)).json()
        assert [line["text"] for line in answer["lines"]] == ["of b"]
        assert [writer["client"] for writer in answer["writers"]] == ["a", "b"]

    async def test_a_follower_hears_of_a_line_that_is_written_again(
        self, client: httpx.AsyncClient, services: Services, store: Store, make: Make
    ) -> None:
        """A progress bar has no new line, only a new text."""
        run = make("run1")
        write(store, run, LineFile.CONSOLE, ["10 %"])
        seen = (await client.get(f"{RUN}/console?last=5", headers=ADA)).json()["version"]
        waiting = asyncio.create_task(client.get(f"{RUN}/console?from=0&wait=20&seen={seen}", headers=ADA))
        notifier = services.notifier
        assert isinstance(notifier, TellingNotifier)
        await asyncio.wait_for(notifier.waited.wait(), 20)
        await asyncio.to_thread(write, store, run, LineFile.CONSOLE, ["20 %"])
        answer = (await asyncio.wait_for(waiting, 20)).json()
        assert [line["text"] for line in answer["lines"]] == ["20 %"]
        assert answer["version"] != seen


class TestMedia:
    async def test_the_last_step_up_to_the_one_asked(self, client: httpx.AsyncClient, store: Store, make: Make) -> None:
        rows = [{"_step": step, "img": {"_type": "image-file", "path": f"media/{step}.png"}} for step in (1, 5, 9)]
        log(store, make("run1"), rows)
        listed = (await client.get(f"{RUN}/media", headers=ADA)).json()["items"]
        assert listed == [{"key": "img", "kind": "image", "count": 3, "first": 1, "last": 9}]

        async def at(query: str) -> tuple[int, str]:
            answer = (await client.get(f"{RUN}/media/data?key=img{query}", headers=ADA)).json()
            assert answer["steps"] == [1, 5, 9]
            return answer["step"], answer["items"][0]["path"]

        assert await at("") == (9, "media/9.png")
        assert await at("&step=7") == (5, "media/5.png")
        assert await at("&step=0") == (1, "media/1.png")
        assert (await client.get(f"{RUN}/media/data?key=nosuch", headers=ADA)).status_code == 404

    async def test_a_table_by_rows(self, client: httpx.AsyncClient, store: Store, make: Make) -> None:
        run = make("run1")
        data = [[number, "<b>", math.nan] for number in range(10)]
        keep(store, run, "media/table/t.table.json", json.dumps({"columns": ["a", "b", "c"], "data": data}).encode())
        keep(store, run, "odd.json", b"[1, 2")
        at = f"{RUN}/table?name=media/table/t.table.json"
        answer = (await client.get(f"{at}&first=8&limit=5", headers=ADA)).json()
        assert answer == {
            "columns": ["a", "b", "c"],
            "rows": [[8, "<b>", "NaN"], [9, "<b>", "NaN"]],
            "first": 8,
            "total": 10,
        }
        odd = await client.get(f"{RUN}/table?name=odd.json", headers=ADA)
        assert odd.status_code == 400
        assert "odd.json" in odd.json()["error"]["message"]


class TestFiles:
    async def test_listed_by_name(self, client: httpx.AsyncClient, store: Store, make: Make) -> None:
        run = make("run1")
        keep(store, run, "b.txt", b"b")
        keep(store, run, "a/../c.txt", b"cc")
        items = (await client.get(f"{RUN}/files", headers=ADA)).json()["items"]
        assert [(item["path"], item["size"], item["id"]) for item in items] == [
            ("a/../c.txt", 2, None),
            ("b.txt", 1, None),
        ]

    async def test_bytes_are_for_saving(self, client: httpx.AsyncClient, store: Store, make: Make) -> None:
        keep(store, make("run1"), "a.html", b"<script>1</script>")
        for show in ("", "&show=media"):
            response = await client.get(f"{RUN}/files/content?name=a.html{show}", headers=ADA)
            assert response.content == b"<script>1</script>"
            assert response.headers["content-type"] == "application/octet-stream"
            assert response.headers["content-disposition"].startswith("attachment")
            for name, value in headers.USER_BYTES.items():
                assert response.headers[name] == value
        part = await client.get(f"{RUN}/files/content?name=a.html", headers={**ADA, "Range": "bytes=1-6"})
        assert (part.status_code, part.content) == (206, b"script")

    async def test_an_image_is_shown_by_what_it_is(self, client: httpx.AsyncClient, store: Store, make: Make) -> None:
        keep(store, make("run1"), "evil.html", PNG)
        response = await client.get(f"{RUN}/files/content?name=evil.html&show=media", headers=ADA)
        assert response.headers["content-type"] == "image/png"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in response.headers["content-security-policy"]

    async def test_a_page_has_an_origin_of_its_own(self, client: httpx.AsyncClient, store: Store, make: Make) -> None:
        keep(store, make("run1"), "a.html", b"<script>1</script>")

        async def policy(show: str) -> dict[str, str]:
            response = await client.get(f"{RUN}/files/content?name=a.html&show={show}", headers=ADA)
            assert response.headers["content-type"].startswith("text/html")
            parts = [part.strip().partition(" ") for part in response.headers["content-security-policy"].split(";")]
            return {name: value for name, _, value in parts}

        page = await policy("page")
        assert page["sandbox"] == ""
        assert page["default-src"] == "'none'"
        assert "script-src" not in page
        scripts = await policy("scripts")
        assert scripts["sandbox"] == "allow-scripts"
        assert "allow-same-origin" not in str(scripts)
        assert scripts["default-src"] == "'none'"
        assert "connect-src" not in scripts
