"""The one rule: what must hold whatever else changes in it. The table itself is tried at the doors (integration)."""

from __future__ import annotations

import dataclasses
import sqlite3
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider_sidecar import contract
from outrider_tracker.auth.gate import demand
from outrider_tracker.core.errors import RefusedError
from outrider_tracker.core.principals import Controller, Person, Place, Pod, Principal, Role
from outrider_tracker.core.rules import POD_FIELDS, Action, Target, Visibility, may, may_ask
from outrider_tracker.store.projects import visible_projects_condition

ENTITIES = ("ml", "vision", "ada")


@dataclass(frozen=True)
class SomeProject:
    """What the rule needs of a project."""

    name: str
    visibility: Visibility
    creator: int | None


@dataclass(frozen=True)
class SomeRun:
    """What the rule needs of an SDK run."""

    run_id: str | None
    group_name: str


entities = st.sampled_from(ENTITIES)
projects = st.builds(
    SomeProject, st.sampled_from(["p", "q"]), st.sampled_from(Visibility), st.none() | st.integers(1, 3)
)
runs = st.builds(SomeRun, st.none() | st.sampled_from(["r1", "r2"]), st.sampled_from(["", "g", "h"]))
people = st.builds(
    Person,
    st.just("x"),
    st.booleans(),
    st.dictionaries(entities, st.sampled_from(Role)),
    st.integers(0, 3),
    st.booleans(),
)
places = st.builds(Place, st.sampled_from(["r1", "r2"]), st.sampled_from(["p", "q"]), st.sampled_from(["", "g", "h"]))
pods = st.builds(
    Pod, st.sampled_from(["u1", "u2"]), st.just("i"), st.just("n"), st.just("pod"), entities, st.none() | places
)
targets = st.builds(
    Target, entities | st.just(""), st.none() | st.sampled_from(["u1", "u2"]), st.none() | projects, st.none() | runs
)
actions = st.sampled_from(Action)


@given(people, actions, targets, entities)
def test_more_role_never_loses(person: Person, action: Action, target: Target, entity: str) -> None:
    """Viewer, member, admin of the entity, administrator of the tracker: each may at least what the one before may."""
    steps = [dataclasses.replace(person, admin=False, roles={**person.roles, entity: role}) for role in Role]
    none = {name: role for name, role in person.roles.items() if name != entity}
    admin, member, viewer = steps
    ladder = [
        dataclasses.replace(person, admin=False, roles=none),
        viewer,
        member,
        admin,
        dataclasses.replace(person, admin=True),
    ]
    allowed = [may(each, action, target) for each in ladder]
    assert allowed == sorted(allowed)


@given(people, targets, projects)
def test_opening_a_project_hides_it_from_nobody(person: Person, target: Target, project: SomeProject) -> None:
    """Private, team, public: each is seen by at least those who saw it before."""
    seen = [
        may(person, Action.READ, dataclasses.replace(target, project=dataclasses.replace(project, visibility=each)))
        for each in (Visibility.PRIVATE, Visibility.TEAM, Visibility.PUBLIC)
    ]
    assert seen == sorted(seen)


@given(people, targets)
def test_who_may_write_may_read(person: Person, target: Target) -> None:
    """No action on a project without seeing it."""
    for action in (Action.WRITE, Action.DELETE, Action.ADMINISTER):
        if target.entity and may(person, action, target):
            assert may(person, Action.READ, target)


@given(pods, actions, targets)
def test_a_pod_keeps_to_its_entity_and_to_logging(pod: Pod, action: Action, target: Target) -> None:
    """Never another entity, not even its public projects; never deletions, keys, members, the controller's doors."""
    if target.entity != pod.entity or action in {Action.DELETE, Action.ADMINISTER, Action.CONTROL}:
        assert not may(pod, action, target)
    if action is Action.INGEST and target.source != pod.uid:
        assert not may(pod, action, target)


@given(pods, projects, runs)
def test_a_pod_writes_the_runs_of_its_run_and_group_only(pod: Pod, project: SomeProject, run: SomeRun) -> None:
    """Runs of other pods' Runs are closed unless they share a group in the pod's project."""
    allowed = may(pod, Action.WRITE, Target(pod.entity, project=project, run=run))
    place = pod.place
    linked = place is not None and run.run_id == place.run
    grouped = (
        place is not None and place.group != "" and run.group_name == place.group and project.name == place.project
    )
    assert allowed == (linked or grouped)


@given(targets, actions)
def test_nobody_and_the_controller(target: Target, action: Action) -> None:
    """Nobody may do nothing; the controller does its own work and sees no user's data."""
    assert not may(None, action, target)
    assert may(Controller("s"), action, target) == (action is Action.CONTROL)


@given(people | pods, st.lists(st.tuples(entities, projects), max_size=12))
def test_lists_show_what_the_rule_shows(principal: Principal, rows: list[tuple[str, SomeProject]]) -> None:
    """The condition in SQL and the rule in Python agree on each project."""
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute(
            "CREATE TABLE project (id INTEGER, entity TEXT, name TEXT, visibility TEXT, creator INTEGER)"
        )
        for number, (entity, project) in enumerate(rows):
            values = (number, entity, project.name, project.visibility.value, project.creator)
            connection.execute("INSERT INTO project VALUES (?, ?, ?, ?, ?)", values)
        condition, values_of_it = visible_projects_condition(principal)
        listed = {row[0] for row in connection.execute(f"SELECT id FROM project WHERE {condition}", values_of_it)}
    finally:
        connection.close()
    want = {
        number
        for number, (entity, project) in enumerate(rows)
        if may(principal, Action.READ, Target(entity, project=project))
    }
    assert listed == want


@pytest.mark.parametrize("principal", [None, Controller("s")])
def test_nobody_asks_for_more_than_who_it_is(principal: Principal | None) -> None:
    """Of GraphQL's roots, what a client asks before it logs in."""
    assert may_ask(principal, "Query.viewer")
    assert may_ask(principal, "Query.serverInfo")
    for field in ("Query.project", "Query.users", "Mutation.upsertBucket", "Mutation.generateApiKey"):
        assert not may_ask(principal, field)


def test_pods_ask_what_is_listed() -> None:
    """A field that nobody thought of is closed to them."""
    pod = Pod("u", "i", "n", "p", "ml")
    assert may_ask(pod, "Mutation.upsertBucket")
    for word in ("delete", "generateApiKey", "createTeam", "createInvite", "createUser", "users", "upsertModel"):
        assert not [field for field in POD_FIELDS if word.lower() in field.lower()]
    assert not may_ask(pod, "Mutation.newThing")


def test_refusals_say_who_and_what() -> None:
    """401 for nobody, 503 for a pod that is not joined yet, 403 with a sentence for everybody else."""
    pod = Pod("u", "i", "n", "p", "ml")
    project = SomeProject("p", Visibility.TEAM, None)
    viewer = Person("vi", roles={"ml": Role.VIEWER})
    target = Target("ml", project=project)
    cases: list[tuple[Principal | None, str, str]] = [
        (None, contract.ERROR_UNAUTHENTICATED, "nobody is logged in: send an API key"),
        (pod, contract.ERROR_UNAVAILABLE, "the token of pod n/p (u) is not joined to a Run yet"),
        (Pod("u", "i", "n", "p", "web"), contract.ERROR_FORBIDDEN, "may not write entity ml"),
        (Person("eve"), contract.ERROR_FORBIDDEN, "user eve may not write entity ml"),
        (viewer, contract.ERROR_FORBIDDEN, "user vi may not write project ml/p"),
    ]
    for principal, code, sentence in cases:
        with pytest.raises(RefusedError) as caught:
            demand(principal, Action.WRITE, target)
        assert caught.value.code == code
        assert sentence in caught.value.message
