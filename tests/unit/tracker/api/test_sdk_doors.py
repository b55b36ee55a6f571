"""The doors of SDK runs on a real store: what is listed together, who may see and change it, what is answered."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import httpx
import pytest

from outrider_tracker.api import headers
from outrider_tracker.core.principals import Person, Role
from outrider_tracker.core.rules import Visibility
from outrider_tracker.core.run_states import State
from outrider_tracker.decode.line_decoder import LineDecoder
from outrider_tracker.services import Services
from outrider_tracker.store import projects, sdk_runs
from outrider_tracker.store.line_blocks import LineFile
from outrider_tracker.store.lines import LineBatch, append_lines
from outrider_tracker.store.records import Run, RunFilter
from outrider_tracker.store.runs import RunKey, put_run
from outrider_tracker.store.sdk_runs import RunChange, SdkRun
from outrider_tracker.store.store import Store
from tests.unit.tracker.api.conftest import NOW, MemoryReader, TellingNotifier
from tests.unit.tracker.api.test_doors import ADA, ROOT, SAME, code, make_run

RUN = "/api/v1/runs/vision/digits/run1"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
Make = Callable[..., SdkRun]


@pytest.fixture
def make(store: Store) -> Make:
    """Makes an SDK run as the client would."""

    def made(
        name: str,
        *,
        project: str = "digits",
        entity: str = "vision",
        at: float = NOW,
        run_id: str | None = None,
        **change: Any,
    ) -> SdkRun:
        def job(connection: Any) -> SdkRun:
            connection.execute("INSERT OR IGNORE INTO entity (name, created) VALUES (?, ?)", (entity, NOW))
            place = projects.ensure_project(connection, entity, project, None, NOW)
            run, _ = sdk_runs.upsert_run(
                connection, place.id, name, RunChange(**change), user=None, run_id=run_id, now=at
            )
            return run

        return store.writer.run(job)

    return made


def write(store: Store, run: SdkRun, file: LineFile, lines: Sequence[str], first: int = 0, client: str = "") -> None:
    """As filestream does."""
    batch = LineBatch(file, client, first, list(lines))
    store.writer.run(lambda connection: append_lines(connection, run.id, 0, batch, assign_steps=False, now=NOW))


def log(store: Store, run: SdkRun, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows of history, decoded."""
    write(store, run, LineFile.HISTORY, [json.dumps(row) for row in rows])
    LineDecoder(store, lambda _: None).drain()


def keep(store: Store, run: SdkRun, name: str, data: bytes) -> None:
    """A run file."""
    digest = hashlib.sha256(data).hexdigest()
    if not store.blobs.location(digest).exists():
        store.blobs.put(digest, [data])
    store.writer.run(
        lambda connection: connection.execute(
            "INSERT OR REPLACE INTO run_file (run, name, sha256, size, updated) VALUES (?, ?, ?, ?, ?)",
            (run.id, name, digest, len(data), NOW),
        )
    )


class TestTheList:
    async def test_pages_over_both_kinds_hold_every_run_once(
        self, client: httpx.AsyncClient, store: Store, make: Make
    ) -> None:
        """Runs of both kinds made in the same seconds, read three at a time."""
        for number in range(10):
            key = RunKey(f"run-{number}", "vision", "digits", NOW + number // 4)
            record = {"name": f"n{number}", "state": "Running"}
            store.writer.run(lambda connection, key=key, record=record: put_run(connection, key, record, NOW))  # type: ignore[misc]
            make(f"sdk-{number}", at=NOW + number // 4)
        seen: list[tuple[str, str]] = []
        times: list[float] = []
        cursor = None
        while True:
            page = await asyncio.to_thread(_page, store, cursor)
            seen += [(type(run).__name__, run.id if hasattr(run, "record") else run.name) for run in page.items]
            times += [
                run.created if isinstance(run, SdkRun) else NOW + int(run.id.split("-")[1]) // 4 for run in page.items
            ]
            cursor = page.next
            if cursor is None:
                break
        assert sorted(seen) == sorted(
            [("Run", f"run-{number}") for number in range(10)] + [("SdkRun", f"sdk-{number}") for number in range(10)]
        )
        assert times == sorted(times, reverse=True)

    async def test_filters(self, store: Store, make: Make) -> None:
        make("a1", display_name="Proud-Otter", sweep="s1")
        make("b2", display_name="calm-heron", group_name="ablation", state=State.FINISHED)
        make("c3", project="other", display_name="swift-lynx")

        def names(**chosen: Any) -> list[str]:
            return sorted(
                run.name for run in store.reader.list_runs(RunFilter(**chosen)).items if isinstance(run, SdkRun)
            )

        assert names() == ["a1", "b2", "c3"]
        assert names(project="digits") == ["a1", "b2"]
        assert names(q="otter") == ["a1"]
        assert names(q="ABLA") == ["b2"]
        assert names(state="Finished") == ["b2"]
        assert names(sweep="s1") == ["a1"]
        assert names(kind="run") == []

    async def test_a_person_sees_what_its_projects_show(self, store: Store, make: Make) -> None:
        make("mine")
        make("theirs", entity="speech")
        hidden = make("hidden", project="secret")
        store.writer.run(lambda c: projects.set_visibility(c, hidden.project_id, Visibility.PRIVATE))
        ada = Person("ada", roles={"vision": Role.MEMBER}, id=77)
        page = store.reader.list_runs(RunFilter(ada))
        assert [run.name for run in page.items if isinstance(run, SdkRun)] == ["mine"]


def _page(store: Store, cursor: str | None) -> Any:
    return store.reader.list_runs(RunFilter(), 3, cursor)


class TestOneRun:
    async def test_its_record(self, client: httpx.AsyncClient, store: Store, make: Make) -> None:
        config = {
            "lr": {"value": math.nan},
            "model": {"desc": None, "value": {"name": "mlp"}},
            "_wandb": {"value": {"cli_version": "0.31.0", "e": {"w": {"host": "node-1", "python": "CPython 3.11.7"}}}},
        }
        summary = {"loss": 0.5, "_wandb": {"runtime": 1}}
        run = make("run1", config=config, summary=summary, tags=["a"], notes="n", job_type="train")
        keep(store, run, "wandb-metadata.json", b'{"os": "Linux", "program": "train.py", "args": ["-x"]}')
        answer = (await client.get(RUN, headers=ADA)).json()
        assert answer["kind"] == "sdk"
        assert answer["url"] == "/vision/digits/runs/run1"
        assert answer["state"] == "Running"
        assert answer["config"] == {"lr": "NaN", "model": {"name": "mlp"}}
        assert answer["summary"] == {"loss": 0.5}
        assert (answer["tags"], answer["notes"], answer["jobType"]) == (["a"], "n", "train")
        facts = answer["facts"]
        assert (facts["host"], facts["os"], facts["command"], facts["cliVersion"]) == (
            "node-1", "Linux", "train.py -x", "0.31.0",
        )  # fmt: skip
        assert answer["visibility"] == "team"
        assert answer["mayWrite"] is False

    async def test_a_silent_run_has_crashed(self, client: httpx.AsyncClient, store: Store, make: Make) -> None:
        """Five minutes without a heartbeat, of the tracker's own service."""
        make("run1")
        store.sdk.serving_since = NOW - 1000
        store.writer.run(lambda c: c.execute("UPDATE sdk_run SET heartbeat = ?", (NOW - 301,)))
        answer = (await client.get(RUN, headers=ADA)).json()
        assert (answer["state"], answer["endedAt"]) == ("Crashed", NOW - 301)

    async def test_where_both_kinds_are_the_run_answers_unless_one_says(
        self, client: httpx.AsyncClient, reader: MemoryReader, make: Make
    ) -> None:
        make("run1", project="resnet")
        reader.runs.append(make_run("run1"))
        at = "/api/v1/runs/vision/resnet/run1"
        assert (await client.get(at, headers=ADA)).json()["kind"] == "run"
        assert (await client.get(f"{at}?kind=sdk", headers=ADA)).json()["kind"] == "sdk"

    async def test_a_run_lists_what_its_pods_logged(
        self, client: httpx.AsyncClient, reader: MemoryReader, make: Make
    ) -> None:
        reader.runs.append(make_run("job-1"))
        make("run1", run_id="job-1")
        make("run2", run_id="other")
        items = (await client.get("/api/v1/runs/vision/resnet/job-1/sdk", headers=ADA)).json()["items"]
        assert [item["id"] for item in items] == ["run1"]
        linked = (await client.get(RUN, headers=ADA)).json()["run"]
        assert linked == {"id": "job-1", "name": "job-1", "url": "/vision/resnet/runs/job-1"}

    @pytest.mark.parametrize(
        "rest",
        ["", "/series", "/series/data?key=loss", "/files", "/files/content?name=x", "/media", "/media/data?key=x",
         "/table?name=x", "/alerts", "/console?last=5", "/history"],
    )  # fmt: skip
    async def test_a_foreign_run_and_a_missing_one_look_the_same(
        self, client: httpx.AsyncClient, make: Make, rest: str
    ) -> None:
        make("run1", entity="speech")
        theirs = await client.get(f"/api/v1/runs/speech/digits/run1{rest}", headers=ADA)
        missing = await client.get(f"/api/v1/runs/speech/digits/nosuch{rest}", headers=ADA)
        assert theirs.status_code == missing.status_code == 404
        assert theirs.text.replace("run1", "nosuch") == missing.text


class TestTheOnlyOneOfARun:
    """An SDK run that is shown as the Run whose pods made it."""

    @pytest.fixture
    def home(self, store: Store, reader: MemoryReader) -> Run:
        """A Run of project digits, in both stores."""
        key = RunKey("job-1", "vision", "digits", NOW)
        store.writer.run(lambda connection: put_run(connection, key, {"name": "job-1", "state": "Running"}, NOW))
        made = dataclasses.replace(make_run("job-1"), project="digits", url="/vision/digits/runs/job-1")
        reader.runs.append(made)
        return made

    @staticmethod
    async def shown(client: httpx.AsyncClient) -> tuple[str | None, bool]:
        """What the Run says of it, and it of the Run."""
        lone = (await client.get("/api/v1/runs/vision/digits/job-1", headers=ADA)).json()["sdk"]
        return lone and lone["id"], (await client.get(RUN, headers=ADA)).json()["alone"]

    async def test_both_know_of_each_other(self, client: httpx.AsyncClient, make: Make, home: Run) -> None:
        make("run1", run_id=home.id, display_name="proud-otter", tags=["a"])
        assert await self.shown(client) == ("run1", True)
        listed = (await client.get("/api/v1/runs", headers=ADA)).json()["items"]
        assert [(run["id"], run["sdk"]["displayName"], run["sdk"]["tags"]) for run in listed] == [
            ("job-1", "proud-otter", ["a"])
        ]

    async def test_a_second_one_ends_it_until_it_is_deleted(
        self, client: httpx.AsyncClient, store: Store, make: Make, home: Run
    ) -> None:
        make("run1", run_id=home.id)
        other = make("run2", run_id=home.id, project="elsewhere")
        assert await self.shown(client) == (None, False)
        store.writer.run(lambda c: c.execute("UPDATE sdk_run SET deleted = ? WHERE id = ?", (NOW, other.id)))
        assert await self.shown(client) == ("run1", True)

    async def test_one_in_another_project_stays_there(
        self, client: httpx.AsyncClient, make: Make, home: Run, reader: MemoryReader
    ) -> None:
        """Who may see the Run's project may not see that one, perhaps."""
        elsewhere = make("run1", run_id=home.id, project="elsewhere")
        answer = (await client.get("/api/v1/runs/vision/elsewhere/run1", headers=ADA)).json()
        assert (answer["run"]["id"], answer["alone"]) == ("job-1", False)
        assert (await client.get("/api/v1/runs/vision/digits/job-1", headers=ADA)).json()["sdk"] is None
        assert elsewhere.run_id == reader.runs[0].id

    async def test_a_run_of_no_pod_is_its_own(self, client: httpx.AsyncClient, make: Make, home: Run) -> None:
        make("run1")
        assert await self.shown(client) == (None, False)

    async def test_the_list_has_one_row_for_both_and_finds_it_by_either_name(
        self, store: Store, make: Make, home: Run
    ) -> None:
        make("lone", run_id=home.id, display_name="Proud-Otter", group_name="ablation")
        make("free", display_name="calm-heron")

        def ids(**chosen: Any) -> set[str]:
            return {
                run.name if isinstance(run, SdkRun) else run.id
                for run in store.reader.list_runs(RunFilter(**chosen)).items
            }

        assert ids() == {"job-1", "free"}
        assert ids(project="digits", entity="vision") == {"job-1", "free"}
        assert ids(q="otter") == ids(q="ablation") == ids(q="job-1") == {"job-1"}
        assert ids(q="misty") == set()
        assert ids(kind="sdk") == {"lone", "free"}
        make("second", run_id=home.id, display_name="swift-lynx")
        assert ids() == {"job-1", "free", "lone", "second"}
        assert ids(q="otter") == {"lone"}

    async def test_pages_hold_every_row_once_among_many_of_them(self, store: Store, make: Make) -> None:
        for number in range(12):
            key = RunKey(f"job-{number}", "vision", "digits", NOW + number)
            store.writer.run(lambda connection, key=key: put_run(connection, key, {"name": key.id}, NOW))  # type: ignore[misc]
            make(f"lone-{number}", run_id=key.id, at=NOW + number + 0.5)
            if number % 4 == 0:
                make(f"free-{number}", at=NOW + number + 0.7)
        seen: list[str] = []
        cursor = None
        while True:
            page = await asyncio.to_thread(_page, store, cursor)
            assert len(page.items) == 3 or page.next is None
            seen += [run.name if isinstance(run, SdkRun) else run.id for run in page.items]
            cursor = page.next
            if cursor is None:
                break
        want = [[f"free-{number}"] * (number % 4 == 0) + [f"job-{number}"] for number in reversed(range(12))]
        assert seen == [name for names in want for name in names]


class TestChanges:
    async def test_a_viewer_may_only_look(self, client: httpx.AsyncClient, make: Make, store: Store) -> None:
        make("run1")
        for call in (
            client.patch(RUN, json={"displayName": "x"}, headers={**ADA, **SAME}),
            client.post(f"{RUN}/stop", json={}, headers={**ADA, **SAME}),
        ):
            response = await call
            assert response.status_code == 403
            assert code(response) == "forbidden"
        found = store.sdk.find_run("vision", "digits", "run1")
        assert found is not None
        assert not found.stop_asked

    async def test_another_sites_page_may_not(self, client: httpx.AsyncClient, make: Make) -> None:
        make("run1")
        foreign = {**ROOT, "Origin": "http://evil.test"}
        assert (await client.patch(RUN, json={"notes": "x"}, headers=foreign)).status_code == 403
        assert (await client.post(f"{RUN}/stop", json={}, headers=foreign)).status_code == 403
        assert (await client.post(f"{RUN}/stop", headers=ROOT)).status_code == 415

    async def test_what_is_left_out_stays(self, client: httpx.AsyncClient, make: Make) -> None:
        make("run1", notes="old", tags=["a"], config={"lr": {"value": 1}})
        answer = (await client.patch(RUN, json={"displayName": "New <b>"}, headers={**ROOT, **SAME})).json()
        assert (answer["displayName"], answer["notes"], answer["tags"]) == ("New <b>", "old", ["a"])
        answer = (await client.patch(RUN, json={"tags": [], "notes": ""}, headers={**ROOT, **SAME})).json()
        assert (answer["displayName"], answer["notes"], answer["tags"]) == ("New <b>", "", [])
        assert answer["config"] == {"lr": 1}

    @pytest.mark.parametrize(
        "edit", [{"displayName": ""}, {"tags": [""]}, {"tags": "a"}, {"notes": 1}, {"tags": ["x"] * 101}]
    )
    async def test_nonsense_is_refused(self, client: httpx.AsyncClient, make: Make, edit: dict[str, Any]) -> None:
        make("run1")
        response = await client.patch(RUN, json=edit, headers={**ROOT, **SAME})
        assert response.status_code == 400

    async def test_stop_is_asked_of_the_client(self, client: httpx.AsyncClient, make: Make, store: Store) -> None:
        make("run1")
        assert (await client.post(f"{RUN}/stop", json={}, headers={**ROOT, **SAME})).status_code == 204
        assert (await client.get(RUN, headers=ADA)).json()["stopAsked"] is True


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


class TestPages:
    @pytest.mark.parametrize(
        "path",
        [
            *("/vision", "/vision/projects", "/vision/digits", "/vision/digits/workspace"),
            *("/vision/digits/runs/run1", "/vision/digits/sweeps/s1", "/a%20b/c"),
        ],
    )
    async def test_what_the_client_prints_is_a_page(self, client: httpx.AsyncClient, path: str) -> None:
        response = await client.get(path)
        assert response.headers["content-security-policy"] == headers.PAGE["Content-Security-Policy"]
        assert response.status_code in {200, 503}  # 503: the checkout's UI is not built

    @pytest.mark.parametrize(
        "path", ["/api", "/api/v1", "/api/nosuch", "/graphql/x", "/files/x", "/ingest/v1", "/favicon.ico", "/authorize"]
    )
    async def test_addresses_of_programs_are_none(self, client: httpx.AsyncClient, path: str) -> None:
        response = await client.get(path)
        assert response.status_code == 404
        assert code(response) == "not_found"
