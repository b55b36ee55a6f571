"""The doors of SDK runs on a real store: what is listed together, who may see and change it, what is answered."""

from __future__ import annotations

import asyncio
import dataclasses
import math
from typing import Any

import httpx
import pytest

from outrider_tracker.api import headers
from outrider_tracker.core.principals import Person, Role
from outrider_tracker.core.rules import Visibility
from outrider_tracker.core.run_states import State
from outrider_tracker.store import projects
from outrider_tracker.store.records import Run, RunFilter
from outrider_tracker.store.runs import RunKey, put_run
from outrider_tracker.store.sdk_runs import SdkRun
from outrider_tracker.store.store import Store
from tests.unit.tracker.api.conftest import NOW, Make, MemoryReader
from tests.unit.tracker.api.sdk_runs import RUN, keep
from tests.unit.tracker.api.test_doors import ADA, ROOT, SAME, code, make_run


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
