"""`GET /api/v1/projects/{entity}` on a real store: which projects are listed, and what is said of each."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from outrider_tracker.core.principals import Person, Role
from outrider_tracker.core.rules import Action, Target, Visibility, may
from outrider_tracker.core.run_states import State
from outrider_tracker.store import projects, sdk_runs
from outrider_tracker.store.runs import RunKey, put_run
from outrider_tracker.store.sdk_runs import RunChange
from outrider_tracker.store.store import Store
from tests.unit.tracker.api.conftest import KEYS, NOW
from tests.unit.tracker.api.test_doors import ADA, ROOT, code

VISION = "/api/v1/projects/vision"
BO = {"Authorization": "Bearer key-of-bo"}


@pytest.fixture(autouse=True)
def _a_stranger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KEYS, "key-of-bo", Person("bo", roles={"speech": Role.ADMIN}))


def make(store: Store, name: str, visibility: Visibility = Visibility.TEAM, creator: int | None = None) -> int:
    """A project of vision; its row."""

    def job(connection: Any) -> int:
        connection.execute("INSERT OR IGNORE INTO entity (name, created) VALUES ('vision', ?)", (NOW,))
        made = projects.ensure_project(connection, "vision", name, creator, NOW)
        projects.set_visibility(connection, made.id, visibility)
        return made.id

    return store.writer.run(job)


def log(store: Store, project: int, name: str, at: float, state: State | None = None) -> None:
    """An SDK run that was made and heard of then."""
    store.writer.run(
        lambda c: sdk_runs.upsert_run(c, project, name, RunChange(state=state), user=None, run_id=None, now=at)
    )


def put(store: Store, run: str, at: float, **record: Any) -> None:
    """A Run of project `jobs`, which comes with it."""
    key = RunKey(run, "vision", "jobs", at)
    store.writer.run(lambda c: put_run(c, key, {"name": run, **record}, NOW + 10**6))


async def listed(client: httpx.AsyncClient, headers: Mapping[str, str] = ADA, **query: Any) -> list[dict[str, Any]]:
    """The items of an answer."""
    answer = await client.get(VISION, headers=dict(headers), params=query)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_what_is_said_of_a_project(client: httpx.AsyncClient, store: Store) -> None:
    digits = make(store, "digits")
    store.writer.run(lambda c: projects.set_description(c, digits, "ten <b>classes</b>"))
    log(store, digits, "a", NOW + 5)
    log(store, digits, "b", NOW + 7, State.FINISHED)
    assert await listed(client) == [
        {
            "entity": "vision",
            "name": "digits",
            "visibility": "team",
            "description": "ten <b>classes</b>",
            "createdAt": NOW,
            "runs": 0,
            "sdkRuns": 2,
            "activeAt": NOW + 7,
            "mayWrite": False,
        }
    ]
    assert [item["mayWrite"] for item in await listed(client, ROOT)] == [True]


async def test_only_what_one_may_see(client: httpx.AsyncClient, store: Store) -> None:
    for visibility in Visibility:
        make(store, visibility.value, visibility)

    async def names(headers: Mapping[str, str]) -> list[str]:
        return [item["name"] for item in await listed(client, headers)]

    assert await names(ADA) == ["public", "team"]
    assert await names(BO) == ["public"]
    assert await names(ROOT) == ["private", "public", "team"]


async def test_the_list_is_what_the_rule_says(store: Store) -> None:
    """Of every kind of person and project."""
    makers = (None, 1, 2)
    for visibility, creator in itertools.product(Visibility, makers):
        make(store, f"{visibility}-{creator}", visibility, creator)
    every = store.readers.read(lambda c: projects.list_projects(c, "vision"))
    assert len(every) == 9
    for role, admin, number in itertools.product((None, *Role), (False, True), (1, 3)):
        person = Person("x", admin=admin, roles={} if role is None else {"vision": role}, id=number)
        page = store.sdk.list_projects(person, "vision", 100, "")
        assert page is not None
        want = [each.name for each in every if may(person, Action.READ, Target("vision", project=each))]
        assert [use.project.name for use in page.items] == want, person


async def test_an_entity_of_which_one_sees_nothing_is_not_there(client: httpx.AsyncClient, store: Store) -> None:
    """Neither at its beginning nor behind a cursor."""
    make(store, "digits")
    for query in ("", "?cursor=a", "?cursor=zzz"):
        theirs = await client.get(f"{VISION}{query}", headers=BO)
        missing = await client.get(f"/api/v1/projects/nosuch{query}", headers=BO)
        assert (theirs.status_code, code(theirs)) == (missing.status_code, code(missing)) == (404, "not_found")
        assert theirs.text.replace("vision", "nosuch") == missing.text
    assert (await client.get("/api/v1/projects/nosuch", headers=ROOT)).status_code == 404
    assert (await client.get(VISION)).status_code == 401


async def test_an_entity_without_projects_is_there_for_its_people(client: httpx.AsyncClient, store: Store) -> None:
    store.writer.run(lambda c: c.execute("INSERT INTO entity (name, created) VALUES ('vision', ?)", (NOW,)))
    assert await listed(client) == []
    assert (await client.get(VISION, headers=BO)).status_code == 404


async def test_pages_by_name(client: httpx.AsyncClient, store: Store) -> None:
    names = [f"p ä& {number}" for number in range(7)]
    for name in names:
        make(store, name)
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 3}
    while True:
        answer = (await client.get(VISION, headers=ADA, params=query)).json()
        assert len(answer["items"]) <= 3
        seen += [item["name"] for item in answer["items"]]
        if answer["next"] is None:
            break
        query["cursor"] = answer["next"]
    assert seen == names
    for odd in ({"limit": 0}, {"limit": 201}, {"limit": "x"}):
        assert (await client.get(VISION, headers=ADA, params=odd)).status_code == 400


class TestLastActivity:
    async def test_none_of_a_project_without_runs(self, client: httpx.AsyncClient, store: Store) -> None:
        make(store, "empty")
        assert [item["activeAt"] for item in await listed(client)] == [None]

    async def test_an_ended_run_was_active_until_its_end_whenever_it_is_written_again(
        self, client: httpx.AsyncClient, store: Store
    ) -> None:
        put(store, "job-1", NOW, state="Finished", endedAt="2027-01-15T08:10:00Z")
        assert [(item["activeAt"], item["runs"]) for item in await listed(client)] == [(1_800_000_600, 1)]

    async def test_a_run_that_goes_on_is_heard_of_through_its_pods(
        self, client: httpx.AsyncClient, store: Store
    ) -> None:
        put(store, "job-1", NOW, state="Running", endedAt=None)
        assert [item["activeAt"] for item in await listed(client)] == [NOW]
        store.writer.run(
            lambda c: c.execute(
                "INSERT INTO source (uid, entity, namespace, run_id, last_contact) VALUES ('u', 'vision', 'n', ?, ?)",
                ("job-1", NOW + 90),
            )
        )
        assert [item["activeAt"] for item in await listed(client)] == [NOW + 90]

    async def test_an_old_run_that_goes_on_counts_behind_any_number_of_newer_ones(
        self, client: httpx.AsyncClient, store: Store
    ) -> None:
        digits = make(store, "digits")
        log(store, digits, "long", NOW)
        for number in range(40):
            log(store, digits, f"short-{number}", NOW + number, State.FINISHED)
        store.writer.run(lambda c: c.execute("UPDATE sdk_run SET heartbeat = ? WHERE name = 'long'", (NOW + 5000,)))
        assert [item["activeAt"] for item in await listed(client)] == [NOW + 5000]

    async def test_deleted_runs_do_not_count(self, client: httpx.AsyncClient, store: Store) -> None:
        digits = make(store, "digits")
        log(store, digits, "a", NOW)
        store.writer.run(lambda c: c.execute("UPDATE sdk_run SET deleted = ?", (NOW,)))
        assert [(item["activeAt"], item["sdkRuns"]) for item in await listed(client)] == [(None, 0)]

    async def test_a_time_that_is_none_does_no_harm(self, client: httpx.AsyncClient, store: Store) -> None:
        put(store, "job-1", NOW, endedAt="yesterday")
        put(store, "job-2", NOW + 1, endedAt=json.loads("[1]"))
        assert [item["activeAt"] for item in await listed(client)] == [NOW + 1]
