"""Users, teams, service accounts and keys: what may be made, under which names, and what ends it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from outrider_sidecar import contract
from outrider_tracker.api import routers
from outrider_tracker.app import Settings, Tracker
from outrider_tracker.core.errors import RefusedError
from outrider_tracker.core.principals import Person, Place, Pod, Role
from outrider_tracker.core.rules import Visibility
from outrider_tracker.store import accounts, people, projects
from outrider_tracker.store.runs import RunKey, put_run
from outrider_tracker.store.sources import Join, Owner, join
from outrider_tracker.store.store import Store

NOW = 1_700_000_000.0
DAY = 86400.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An open store with the user `ada` and the team `vision`."""
    made = Store(tmp_path / "data", clock=lambda: NOW)
    try:
        made.writer.run(lambda connection: people.put_person(connection, Person("ada", email="Ada@x.org"), None, NOW))
        made.writer.run(lambda connection: people.make_team(connection, "vision", NOW))
        yield made
    finally:
        made.close()


def run_at(store: Store, job: Callable[[sqlite3.Connection], object]) -> object:
    """A job of the writer's."""
    return store.writer.run(job)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "is no name"),
        ("-x", "is no name"),
        ("a b", "is no name"),
        ("a/b", "is no name"),
        ("x" * 64, "is no name"),
        ("é", "is no name"),
        ("graphql", "own addresses"),
        ("files", "own addresses"),
        ("ada", "already a user ada"),
        ("vision", "already an entity vision"),
    ],
)
def test_names_that_cannot_be(store: Store, name: str, why: str) -> None:
    """Neither for a user nor for a team nor for a service account; nothing is left of the attempt."""
    attempts: list[Callable[[sqlite3.Connection], object]] = [
        lambda connection: people.make_team(connection, name, NOW),
        lambda connection: people.make_service_account(connection, "vision", name, NOW),
    ]
    if name != "ada":
        attempts.append(lambda connection: people.put_person(connection, Person(name), people.new_key(), NOW))
    for attempt in attempts:
        with pytest.raises(people.AccountError, match=why):
            run_at(store, attempt)
    assert [account.name for account in store.readers.read(accounts.list_accounts)] == ["ada"]
    assert [team.name for team in store.readers.read(accounts.list_teams)] == ["vision"]


def test_no_address_of_the_tracker_can_be_an_entity(tmp_path: Path) -> None:
    """Whatever doors there are: their addresses' first parts are reserved."""
    tracker = Tracker(Settings(tmp_path / "data"))
    try:
        included = [route for each in routers(tracker.services) for route in each.routes]
        paths = {getattr(route, "path", "/") for route in (*tracker.app.routes, *included)}
    finally:
        tracker.close()
    own = {first for path in paths if (first := path.split("/")[1]) and "{" not in first}
    assert {"api", "ingest", "healthz", "login"} <= own
    assert own - people.RESERVED == set()


def test_a_user_has_an_entity_of_its_own(store: Store) -> None:
    """Of its name, with itself as the admin for good; nobody else can be in it."""
    ada = store.people.find_person("ada")
    assert ada is not None
    assert (ada.roles, ada.default_entity) == ({"ada": Role.ADMIN}, "ada")
    run_at(store, lambda connection: people.put_person(connection, Person("bob"), None, NOW))
    for name in ("ada", "bob"):
        with pytest.raises(people.AccountError, match=r"own entity|no other members"):
            run_at(store, lambda connection, name=name: people.put_role(connection, name, "ada", Role.VIEWER, NOW))  # type: ignore[misc]
    with pytest.raises(people.AccountError, match="no other members"):
        run_at(store, lambda connection: people.make_service_account(connection, "ada", "ci", NOW))


def test_the_entity_of_a_namespace_is_a_team(store: Store) -> None:
    """It came with the namespace's first Run; people are added to it like to any team."""
    run_at(store, lambda connection: put_run(connection, RunKey("r", "ml", "p", NOW), {"group": "g"}, NOW))
    run_at(store, lambda connection: people.put_role(connection, "ada", "ml", Role.VIEWER, NOW))
    ada = store.people.find_person("ada")
    assert ada is not None
    assert ada.roles["ml"] is Role.VIEWER
    project = store.readers.read(lambda connection: projects.project_of_run(connection, "r"))
    assert project is not None
    assert (project.entity, project.name, project.visibility, project.creator) == ("ml", "p", Visibility.TEAM, None)


def test_a_service_account_is_of_one_team(store: Store) -> None:
    """A member there, nothing elsewhere; removed from its team it opens nothing any more."""
    key = people.new_key()

    def make(connection: sqlite3.Connection) -> None:
        people.make_service_account(connection, "vision", "ci", NOW)
        people.add_key(connection, "ci", key, "", NOW)

    run_at(store, make)
    machine = store.people.authenticate_key(key)
    assert machine is not None
    assert (machine.service, machine.roles, machine.default_entity) == (True, {"vision": Role.MEMBER}, "vision")
    run_at(store, lambda connection: people.make_team(connection, "other", NOW))
    with pytest.raises(people.AccountError, match="service account"):
        run_at(store, lambda connection: people.put_role(connection, "ci", "other", Role.MEMBER, NOW))
    assert store.readers.read(lambda connection: accounts.find_entity(connection, "ci")) is None
    run_at(store, lambda connection: accounts.remove_member(connection, "vision", "ci", NOW))
    assert store.people.authenticate_key(key) is None


def test_who_is_the_author(store: Store) -> None:
    """A service account names a person by name or e-mail address, if that person has a role in the entity."""

    def make(connection: sqlite3.Connection) -> None:
        people.make_service_account(connection, "vision", "ci", NOW)
        people.put_role(connection, "ada", "vision", Role.VIEWER, NOW)
        people.put_person(connection, Person("eve", email="eve@x.org"), None, NOW)
        people.put_person(connection, Person("gone", roles={"vision": Role.MEMBER}), None, NOW)
        accounts.set_disabled(connection, "gone", NOW)

    run_at(store, make)
    ids = {account.name: account.id for account in store.readers.read(accounts.list_accounts)}
    machine, eve = store.people.find_person("ci"), store.people.find_person("eve")
    cases = [
        (machine, "ada", "ada"),
        (machine, "ada@X.org", "ada"),
        (machine, "", "ci"),
        (machine, "eve", "ci"),
        (machine, "gone", "ci"),
        (machine, "nobody", "ci"),
        (eve, "ada", "eve"),
    ]
    for principal, named, want in cases:
        found = store.readers.read(
            lambda connection, principal=principal, named=named: people.author_of(  # type: ignore[misc]
                connection, principal, "vision", named
            )
        )
        assert found == ids[want], (principal, named)
    pod = Pod("u", "i", "n", "p", "vision")
    assert store.readers.read(lambda connection: people.author_of(connection, pod, "vision", "ada")) is None


def test_a_disabled_user_is_nobody_until_enabled(store: Store) -> None:
    """By key and by session; the last administrator cannot be shut out."""
    key = people.new_key()
    run_at(store, lambda connection: people.add_key(connection, "ada", key, "", NOW))
    run_at(store, lambda connection: accounts.set_disabled(connection, "ada", NOW))
    assert store.people.authenticate_key(key) is None
    assert store.people.find_person("ada") is None
    run_at(store, lambda connection: accounts.set_disabled(connection, "ada", None))
    assert store.people.authenticate_key(key) is not None
    run_at(store, lambda connection: people.put_person(connection, Person("root", admin=True), None, NOW))
    with pytest.raises(people.AccountError, match="last administrator"):
        run_at(store, lambda connection: accounts.set_disabled(connection, "root", NOW))
    run_at(store, lambda connection: people.put_person(connection, Person("ada", admin=True), None, NOW))
    run_at(store, lambda connection: accounts.set_disabled(connection, "root", NOW))


def test_keys_have_ids_that_open_nothing(store: Store) -> None:
    """Listed by id, ended by id, by their own user's list only."""
    first, second = people.new_key(), people.new_key()
    assert len(first) == 40
    run_at(store, lambda connection: people.add_key(connection, "ada", first, "laptop", NOW))
    run_at(store, lambda connection: people.add_key(connection, "ada", second, "", NOW + DAY))
    eve = run_at(store, lambda connection: people.put_person(connection, Person("eve"), None, NOW))
    assert isinstance(eve, int)
    listed = store.readers.read(lambda connection: people.list_keys(connection, 1))
    assert [(key.description, key.created) for key in listed] == [("laptop", NOW), ("", NOW + DAY)]
    for key in listed:
        assert store.people.authenticate_key(key.id) is None
        assert key.id not in {first, second}
    assert run_at(store, lambda connection: people.remove_key(connection, eve, listed[0].id)) is False
    assert run_at(store, lambda connection: people.remove_key(connection, 1, "no id")) is False
    assert store.people.authenticate_key(first) is not None
    assert run_at(store, lambda connection: people.remove_key(connection, 1, listed[0].id)) is True
    assert store.people.authenticate_key(first) is None
    assert store.people.authenticate_key(second) is not None


@pytest.mark.parametrize(
    ("key", "fits"),
    [
        ("a" * 40, True),
        ("A_9" * 20, True),
        ("local-" + "a" * 40, True),
        ("a" * 39, False),
        ("abc-" + "a" * 36, False),  # the client does not count what stands before the first dash
        ("a" * 129, False),
        ("a" * 40 + " ", False),
        ("ä" * 40, False),
    ],
)
def test_a_key_is_taken_if_the_client_takes_it(store: Store, key: str, fits: bool) -> None:
    """W&B's clients look at the form of a key before they send it."""
    if fits:
        run_at(store, lambda connection: people.add_key(connection, "ada", key, "", NOW))
        return
    with pytest.raises(people.AccountError, match="40 to 128"):
        run_at(store, lambda connection: people.add_key(connection, "ada", key, "", NOW))


def test_people_are_found_by_parts_of_names_and_addresses(store: Store) -> None:
    """Exact ones first; within entities where they are named; neither machines nor closed accounts."""

    def make(connection: sqlite3.Connection) -> None:
        people.put_person(connection, Person("adamant", roles={"vision": Role.MEMBER}), None, NOW)
        people.put_person(connection, Person("bob", email="bob@ada.org"), None, NOW)
        people.make_service_account(connection, "vision", "ada-bot", NOW)
        people.put_person(connection, Person("ada-gone"), None, NOW)
        accounts.set_disabled(connection, "ada-gone", NOW)

    run_at(store, make)

    def found(text: str, entities: list[str] | None) -> list[str]:
        return [
            account.name
            for account in store.readers.read(
                lambda connection: accounts.search_accounts(connection, text, entities, 10)
            )
        ]

    assert found("ada", None) == ["ada", "adamant", "bob"]
    assert found("ADA@X.ORG", None) == ["ada"]
    assert found("ada", ["vision"]) == ["adamant"]
    assert found("%", None) == []


def test_projects_are_made_once_and_only_in_entities_that_are(store: Store) -> None:
    """The first who names it is its creator; names that no page could have are refused."""

    def ensure(entity: str, name: str, creator: int | None) -> projects.Project:
        return store.writer.run(lambda connection: projects.ensure_project(connection, entity, name, creator, NOW))

    made = ensure("vision", "resnet", 1)
    assert (made.visibility, made.creator, made.created) == (Visibility.TEAM, 1, NOW)
    assert ensure("vision", "resnet", 2) == made
    with pytest.raises(RefusedError, match="no entity 'nowhere'") as caught:
        ensure("nowhere", "p", 1)
    assert caught.value.status == 404
    for name in ("", " ", "a/b", "a?b", "a%b", "a:b", "a#b", "a\\b", "a\nb", "x" * 129):
        with pytest.raises(RefusedError, match="no project name"):
            ensure("vision", name, 1)
    run_at(store, lambda connection: projects.set_visibility(connection, made.id, Visibility.PUBLIC))
    found = store.readers.read(lambda connection: projects.project_by_id(connection, made.id))
    assert found is not None
    assert found.visibility is Visibility.PUBLIC


def test_a_pods_place_is_what_the_controller_says(store: Store) -> None:
    """None until it is joined; its Run's project and group then; 401 once it is deleted; never another entity's."""
    pod = Pod("uid", "issuer", "ml", "pod-0", "ml")
    assert store.people.placed(pod).place is None

    def joined(deleted: bool, issuer: str = "") -> Callable[[sqlite3.Connection], object]:
        owner = Owner("ml", issuer, "ml")
        made = Join("uid", owner, "r", 1, 0, 0, "pod-0", "node", "Running", deleted, None, None)
        return lambda connection: join(connection, made, NOW)

    run_at(store, lambda connection: put_run(connection, RunKey("r", "ml", "p", NOW), {"group": "g"}, NOW))
    run_at(store, joined(False))
    assert store.people.placed(pod).place == Place("r", "p", "g")
    assert store.people.placed(Pod("uid", "issuer", "web", "pod-0", "web")).place is None
    run_at(store, joined(True))
    with pytest.raises(RefusedError) as caught:
        store.people.placed(pod)
    assert caught.value.code == contract.ERROR_UNAUTHENTICATED
