"""Reads of runs and projects over the W&B door, as its clients ask for them; deletion and edits."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator
from typing import Any

import pytest

from outrider_tracker.__main__ import main
from tests.integration.tracker.process import TrackerProcess
from tests.integration.tracker.wandb_read.door import Door

RUNS = """query Runs($project: String!, $entity: String!, $cursor: String, $perPage: Int = 50, $order: String,
    $filters: JSONString) {
  project(name: $project, entityName: $entity) { internalId runCount(filters: $filters) readOnly
    runs(filters: $filters, after: $cursor, first: $perPage, order: $order) {
      edges { node { projectId id name } cursor } pageInfo { endCursor hasNextPage } } } }"""
DELETE = "mutation DeleteRun($id: ID!) { deleteRun(input: {id: $id}) { clientMutationId } }"
SET_STATE = "mutation UpdateRunState($input: UpdateRunStateInput!) { updateRunState(input: $input) { success } }"
PUT_PROJECT = """mutation UpsertModel($input: UpsertModelInput!) { upsertModel(input: $input) {
  project { id name entityName description access readOnly } model { name } inserted } }"""
MEMBER, VIEWER, STRANGER = "m" * 40, "v" * 40, "s" * 40
projects = itertools.count(1)


@pytest.fixture
def door(tracker: TrackerProcess) -> Iterator[Door]:
    """The administrator, in a project of the test's own."""
    made = Door(tracker.base, project=f"reads-{next(projects)}")
    yield made
    made.close()


@pytest.fixture(scope="module")
def people(tracker: TrackerProcess) -> None:
    """A team with a member and a viewer, and somebody who is in no team."""
    data = tracker.log.parent / "data"
    for name, key, role in (("mia", MEMBER, "member"), ("vic", VIEWER, "viewer"), ("sam", STRANGER, None)):
        roles = ["--entity", f"lab:{role}"] if role else []
        assert main(["user", "add", name, "--key", key, *roles, "--data", str(data)]) == 0


@pytest.fixture
def team(tracker: TrackerProcess, people: None) -> Iterator[dict[str, Door]]:
    """Doors of the member, the viewer and the stranger to one project of the team."""
    project = f"reads-{next(projects)}"
    doors = {
        name: Door(tracker.base, key, "lab", project)
        for name, key in (("member", MEMBER), ("viewer", VIEWER), ("stranger", STRANGER))
    }
    yield doors
    for each in doors.values():
        each.close()


def pages(door: Door, size: int, **variables: Any) -> Iterator[list[str]]:
    """Names of runs, page by page."""
    cursor = None
    while True:
        found = door.ask(RUNS, project=door.project, entity=door.entity, perPage=size, cursor=cursor, **variables)[
            "project"
        ]["runs"]
        yield [edge["node"]["name"] for edge in found["edges"]]
        if not found["pageInfo"]["hasNextPage"]:
            return
        assert found["edges"][-1]["cursor"] == found["pageInfo"]["endCursor"]
        cursor = found["pageInfo"]["endCursor"]


class TestRuns:
    @pytest.mark.parametrize("order", ["+created_at", "-created_at", "-summary_metrics.acc"])
    def test_pages_hold_while_runs_come_and_go(self, door: Door, order: str) -> None:
        for number in range(25):
            door.make(f"r{number:02}", summaryMetrics={"acc": number % 5})
        seen: list[str] = []
        for page, names in enumerate(pages(door, 7, order=order)):
            seen += names
            door.make(f"late{page}", summaryMetrics={"acc": page % 5})
            if page == 1:
                run = door.run(seen[-1], "id")
                door.ask(DELETE, id=run["id"])
        assert len(seen) == len(set(seen))
        assert {f"r{number:02}" for number in range(25)} <= set(seen)

    def test_a_page_beside_its_count(self, door: Door) -> None:
        for number in range(6):
            door.make(f"r{number}", config={"lr": {"value": number / 10}}, tags=["even"] if number % 2 == 0 else [])
        asked = {"project": door.project, "entity": door.entity, "perPage": 2}
        found = door.ask(RUNS, **asked, filters=json.dumps({"tags": "even", "config.lr": {"$gt": 0.1}}))["project"]
        assert found["runCount"] == 2
        assert [edge["node"]["name"] for edge in found["runs"]["edges"]] == ["r2", "r4"]
        assert {edge["node"]["projectId"] for edge in found["runs"]["edges"]} == {found["internalId"]}
        assert int(found["internalId"]) > 0
        assert found["readOnly"] is False

    @pytest.mark.parametrize(
        ("filters", "sentence"),
        [
            ("[", "not JSON"),
            ("[" * 5000, "not JSON"),
            ('{"nope": 1}', "no field 'nope'"),
            ('{"config.x": {"$where": 1}}', "$where is not supported"),
            ('{"config.x": {"$regex": "("}}', "the syntax is RE2's"),
        ],
    )
    def test_a_filter_that_is_none_is_told(self, door: Door, filters: str, sentence: str) -> None:
        door.make("r")
        assert sentence in door.errors(RUNS, project=door.project, entity=door.entity, filters=filters)

    def test_what_is_not_there_is_null(self, door: Door) -> None:
        asked = {"project": door.project, "entity": door.entity}
        assert door.ask(RUNS, **asked)["project"] is None
        door.make("r")
        assert door.run("other", "id") is None
        legacy = 'query Q($p: String, $e: String) { model(name: $p, entityName: $e) { bucket(name: "x") { id } } }'
        assert door.ask(legacy, p=door.project, e=door.entity) == {"model": {"bucket": None}}


class TestHistory:
    def test_a_range_of_steps(self, door: Door) -> None:
        door.make("r")
        door.rows("r", [{"_step": step, "x": step * 2} for step in range(0, 40, 2)])
        ask = {"declared": "$a: Int64!, $b: Int64!, $n: Int!"}
        found = door.run("r", "history(minStep: $a, maxStep: $b, samples: $n)", a=4, b=10, n=1000, **ask)["history"]
        assert [json.loads(row) for row in found] == [{"_step": step, "x": step * 2} for step in (4, 6, 8)]
        assert len(door.run("r", "history(samples: 5)")["history"]) == 5
        assert door.run("r", "history(minStep: 100, maxStep: 200)")["history"] == []

    def test_rows_come_back_as_they_were_written(self, door: Door) -> None:
        row = '{"_step":0,"big":123456789012345678901,"whole":1,"float":1.0,"bad":NaN,"é":"\\ud83d\\ude00"}'
        door.make("r")
        assert door.stream("r", files={"wandb-history.jsonl": {"offset": 0, "content": [row]}}).status_code == 200
        assert door.run("r", "history(minStep: 0, maxStep: 1)")["history"] == [row]

    def test_samples_of_keys(self, door: Door) -> None:
        door.make("r")
        rows = [
            {"_step": step, "loss": 1 / (step + 1), **({"acc": step} if step % 10 == 0 else {})} for step in range(50)
        ]
        door.rows("r", [*rows, {"_step": 50, "loss": math.nan, "nest": {"deep": 1}}])
        specs = [
            {"keys": ["_step", "acc", "loss"], "samples": 100},
            {"keys": ["_step", "acc"], "samples": 100, "minStep": 10, "maxStep": 30},
            {"keys": ["nest.deep", "loss"], "samples": 100},
            {"keys": ["loss"], "samples": 7},
            {"keys": ["absent"], "samples": 7},
        ]
        texts = [json.dumps(spec) for spec in specs]
        found = door.run("r", "sampledHistory(specs: $s)", s=texts, declared="$s: [JSONString!]!")["sampledHistory"]
        assert [row["_step"] for row in found[0]] == [0, 10, 20, 30, 40]
        assert [row["acc"] for row in found[1]] == [10, 20]
        assert found[2] == [{"nest.deep": 1, "loss": "NaN"}]
        assert len(found[3]) == 7
        assert found[4] == []

    @pytest.mark.parametrize(
        ("spec", "steps"),
        [
            # How wandb-core asks for a page of seven steps, and for its last one: maxStep is in it.
            ({"minStep": 7, "maxStep": 13, "samples": 7}, range(7, 14)),
            ({"minStep": 49, "maxStep": 49, "samples": 1}, range(49, 50)),
            # How the Python of 0.19 and 0.26 asks for the same pages: the next one begins with maxStep.
            ({"minStep": 7, "maxStep": 14, "samples": 7}, range(7, 14)),
            ({"minStep": 42, "maxStep": 45, "samples": 7}, range(42, 45)),
        ],
    )
    def test_pages_of_keys(self, door: Door, spec: dict[str, int], steps: range) -> None:
        door.make("r")
        door.rows("r", [{"_step": step, "x": step} for step in range(50)])
        text = json.dumps({"keys": ["x"], **spec})
        found = door.run("r", "sampledHistory(specs: $s)", s=[text], declared="$s: [JSONString!]!")["sampledHistory"]
        assert [row["x"] for row in found[0]] == list(steps)

    @pytest.mark.parametrize("spec", ["", "[]", '{"keys": 1}', '{"keys": [1]}', '{"samples": "x"}', "{" * 5000])
    def test_a_spec_that_is_none_is_told(self, door: Door, spec: str) -> None:
        door.make("r")
        text = f'query Q {{ project(name: "{door.project}", entityName: "admin") {{ run(name: "r") {{ '
        text += f"sampledHistory(specs: [{json.dumps(spec)}]) }} }} }}"
        assert "spec" in door.errors(text)

    def test_nothing_is_exported_and_the_first_row_is_live(self, door: Door) -> None:
        door.make("r")
        fields = 'parquetHistory(liveKeys: ["_step", "x"]) { parquetUrls liveData }'
        assert door.run("r", fields)["parquetHistory"] == {"parquetUrls": [], "liveData": []}
        door.rows("r", [{"_step": 3, "x": 1}, {"_step": 4, "x": 2}])
        assert door.run("r", fields)["parquetHistory"] == {"parquetUrls": [], "liveData": [{"_step": 3, "x": 1}]}

    def test_system_metrics_and_keys(self, door: Door) -> None:
        door.make("r")
        rows = [{"_wandb": True, "_timestamp": 1.7e9 + n, "_runtime": n, "system.cpu": n} for n in range(20)]
        door.rows("r", rows, "wandb-events.jsonl")
        door.rows("r", [{"_step": 0, "loss": 1}, {"_step": 7, "loss": 2, "text": "a"}])
        found = door.run("r", "events(samples: 5) historyKeys historyLineCount eventsLineCount historyTail eventsTail")
        assert len(found["events"]) == 5
        assert json.loads(found["events"][0])["system.cpu"] == 0
        assert found["historyKeys"]["lastStep"] == 7
        assert {"loss", "text", "_step"} <= found["historyKeys"]["keys"].keys()
        assert (found["historyLineCount"], found["eventsLineCount"]) == (2, 20)
        assert [json.loads(line)["_step"] for line in json.loads(found["historyTail"])][-1] == 7
        assert json.loads(json.loads(found["eventsTail"])[-1])["_runtime"] == 19


PAGE = """logLineCount logLines(first: $n, after: $after, useImprovedPagination: true) {
  edges { node { number timestamp level label line } } pageInfo { endCursor hasNextPage } }"""


def test_lines_of_the_console(door: Door) -> None:
    door.make("r")
    lines = [f"2024-01-31T12:00:{second:02}.000000 line {second}" for second in range(8)]
    lines[3] = "ERROR " + lines[3]
    assert door.stream("r", files={"output.log": {"offset": 0, "content": lines}}).status_code == 200
    # A progress bar: the line is sent again, at its old place.
    rewritten = "2024-01-31T12:00:05.500000 100 %"
    assert door.stream("r", files={"output.log": {"offset": 5, "content": [rewritten]}}).status_code == 200
    seen, after = [], None
    for _ in range(4):
        found = door.run("r", PAGE, n=3, after=after, declared="$n: Int!, $after: String")
        assert found["logLineCount"] == 8
        seen.append([edge["node"] for edge in found["logLines"]["edges"]])
        after = found["logLines"]["pageInfo"]["endCursor"]
        if not found["logLines"]["pageInfo"]["hasNextPage"]:
            break
    assert [[node["number"] for node in page] for page in seen] == [[0, 1, 2], [3, 4, 5], [6, 7]]
    assert seen[1] == [
        {"number": 3, "timestamp": "2024-01-31T12:00:03.000000", "level": "error", "label": None, "line": "line 3"},
        {"number": 4, "timestamp": "2024-01-31T12:00:04.000000", "level": None, "label": None, "line": "line 4"},
        {"number": 5, "timestamp": "2024-01-31T12:00:05.500000", "level": None, "label": None, "line": "100 %"},
    ]
    tail = door.run("r", "logLines(last: 2) { edges { node { number line } } }")["logLines"]["edges"]
    assert [edge["node"]["number"] for edge in tail] == [6, 7]
    wrong = f'{{ project(name: "{door.project}") {{ run(name: "r") {{ logLines(first: 1, after: "x") '
    assert "cursor" in door.errors(wrong + "{ pageInfo { endCursor } } } } }")


class TestDeletion:
    def test_a_run_is_gone_with_all_that_it_logged(self, door: Door) -> None:
        run = door.make("r", config={"a": {"value": 1}})
        door.rows("r", [{"_step": 0, "x": 1}])
        door.ask(DELETE, id=run)
        assert door.run("r", "id") is None
        assert list(pages(door, 10)) == [[]]
        assert door.stream("r", files={}).status_code in {404, 410}
        answer = door.answer(DELETE, id=run)
        assert answer.status_code == 404
        assert "no such run" in answer.text

    def test_its_id_is_free_again(self, door: Door) -> None:
        run = door.make("r")
        door.rows("r", [{"_step": 0, "x": 1}])
        door.ask(DELETE, id=run)
        assert door.make("r") == run
        assert door.run("r", "historyLineCount history(samples: 5)") == {"historyLineCount": 0, "history": []}
        door.rows("r", [{"_step": 0, "x": 2}])
        assert [json.loads(row)["x"] for row in door.run("r", "history(samples: 5)")["history"]] == [2]

    def test_a_fork_keeps_what_it_stands_on(self, door: Door) -> None:
        parent = door.make("parent")
        door.rows("parent", [{"_step": step, "x": step} for step in range(5)])
        door.make("child", config={"_wandb": {"value": {"branch_point": {"run_id": "parent", "step": 2}}}})
        door.ask(DELETE, id=parent)
        rows = door.run("child", "history(minStep: 0, maxStep: 10)")["history"]
        assert [json.loads(row)["x"] for row in rows] == [0, 1, 2]

    @pytest.mark.parametrize("text", ["", "x", "UnVuOnYxOnI=", "UnVuOnYxOng6eTp6"])
    def test_an_id_of_nothing(self, door: Door, text: str) -> None:
        assert door.answer(DELETE, id=text).status_code == 404


class TestStates:
    def test_people_may_set_pending_and_failed(self, door: Door) -> None:
        run = door.make("r")
        assert door.run("r", "state") == {"state": "running"}
        for state in ("failed", "pending", "failed"):
            assert door.ask(SET_STATE, input={"id": run, "state": state})["updateRunState"]["success"] is True
            assert door.run("r", "state") == {"state": state}
            assert list(pages(door, 5, filters=json.dumps({"state": state}))) == [["r"]]

    @pytest.mark.parametrize("state", ["finished", "running", "crashed", "nonsense"])
    def test_no_other_state_can_be_set(self, door: Door, state: str) -> None:
        run = door.make("r")
        answer = door.answer(SET_STATE, input={"id": run, "state": state})
        assert answer.status_code == 422
        assert "pending or to failed" in answer.text

    def test_a_finished_run_stays_so(self, door: Door) -> None:
        run = door.make("r")
        door.stream("r", complete=True, exitcode=0)
        answer = door.answer(SET_STATE, input={"id": run, "state": "failed"})
        assert answer.status_code == 422
        assert "finished cannot become failed" in answer.text

    def test_runs_of_sweeps_are_the_sweeps(self, door: Door) -> None:
        run = door.make("r", sweep="s")
        assert door.answer(SET_STATE, input={"id": run, "state": "failed"}).status_code == 422


class TestProjects:
    def put(self, door: Door, **given: Any) -> Any:
        asked = {"name": door.project, "entityName": door.entity, "clientMutationId": None, "icon": None, **given}
        return door.ask(PUT_PROJECT, input=asked)["upsertModel"]

    def test_making_one_twice_is_making_it_once(self, door: Door) -> None:
        made = self.put(door)
        assert (made["inserted"], made["project"]["name"], made["model"]["name"]) == (True, door.project, door.project)
        again = self.put(door, description="what it is for")
        assert (again["inserted"], again["project"]["id"]) == (False, made["project"]["id"])
        assert self.put(door)["project"]["description"] == "what it is for"

    def test_who_sees_it(self, door: Door) -> None:
        assert self.put(door)["project"]["access"] == "ENTITY_WRITE"
        for access in ("USER_READ", "PRIVATE", "ENTITY_WRITE"):
            assert self.put(door, access=access)["project"]["access"] == access
        answer = door.answer(PUT_PROJECT, input={"name": door.project, "entityName": "admin", "access": "NOBODY"})
        assert answer.status_code == 422

    def test_lists_in_pages(self, door: Door) -> None:
        names = sorted(f"{door.project}-{number}" for number in range(5))
        for name in names:
            door.ask(PUT_PROJECT, input={"name": name, "entityName": "admin"})
        text = """query GetProjects($entity: String, $cursor: String, $perPage: Int = 50) {
          models(entityName: $entity, after: $cursor, first: $perPage) {
            pageInfo { endCursor hasNextPage } edges { node { name entityName isBenchmark createdAt } } } }"""
        seen, cursor = [], None
        while True:
            found = door.ask(text, entity="admin", perPage=2, cursor=cursor)["models"]
            seen += [edge["node"]["name"] for edge in found["edges"]]
            cursor = found["pageInfo"]["endCursor"]
            if not found["pageInfo"]["hasNextPage"]:
                break
        assert [name for name in seen if name in names] == names
        assert len(seen) == len(set(seen))

    @pytest.mark.parametrize("cursor", ["x", "é", "////"])
    def test_a_cursor_that_is_none_is_no_crash(self, door: Door, cursor: str) -> None:
        door.answer("query Q($c: String) { models(after: $c) { edges { node { name } } } }", c=cursor)


class TestAccess:
    def test_a_project_that_one_may_not_see_is_as_if_absent(self, team: dict[str, Door]) -> None:
        run = team["member"].make("r")
        asked = {"project": team["member"].project, "entity": "lab"}
        assert team["viewer"].run("r", "readOnly") == {"readOnly": True}
        assert team["member"].run("r", "readOnly") == {"readOnly": False}
        assert team["stranger"].ask(RUNS, **asked) == {"project": None}
        listed = 'query Q { models(entityName: "lab") { edges { node { name } } } }'
        assert team["stranger"].ask(listed)["models"]["edges"] == []
        absent, hidden = team["stranger"].answer(DELETE, id="x"), team["stranger"].answer(DELETE, id=run)
        assert (hidden.status_code, hidden.json()["errors"]) == (absent.status_code, absent.json()["errors"])

    def test_a_viewer_changes_nothing(self, team: dict[str, Door]) -> None:
        run = team["member"].make("r")
        assert team["viewer"].answer(DELETE, id=run).status_code == 403
        assert team["viewer"].answer(SET_STATE, input={"id": run, "state": "failed"}).status_code == 403
        given = {"name": team["viewer"].project, "entityName": "lab", "description": "mine"}
        assert team["viewer"].answer(PUT_PROJECT, input=given).status_code == 403
        assert team["viewer"].answer(PUT_PROJECT, input={"name": "new", "entityName": "lab"}).status_code == 403
        assert team["member"].run("r", "state") == {"state": "running"}

    def test_a_public_project_is_read_by_all_and_written_by_its_team(self, team: dict[str, Door]) -> None:
        team["member"].ask(
            PUT_PROJECT, input={"name": team["member"].project, "entityName": "lab", "access": "USER_READ"}
        )
        run = team["member"].make("r")
        assert team["stranger"].run("r", "name readOnly") == {"name": "r", "readOnly": True}
        assert team["stranger"].answer(DELETE, id=run).status_code == 403

    def test_a_private_one_is_its_makers(self, team: dict[str, Door]) -> None:
        team["member"].ask(
            PUT_PROJECT, input={"name": team["member"].project, "entityName": "lab", "access": "PRIVATE"}
        )
        team["member"].make("r")
        assert team["member"].run("r", "name") == {"name": "r"}
        assert team["viewer"].run("r", "name") is None


def test_lists_of_what_is_not_kept_are_empty(door: Door) -> None:
    door.make("r")
    fields = """sweep { id } inputArtifacts { totalCount edges { node { id } } }
      outputArtifacts { totalCount edges { node { id } } }"""
    nothing = {"totalCount": 0, "edges": []}
    assert door.run("r", fields) == {"sweep": None, "inputArtifacts": nothing, "outputArtifacts": nothing}
    text = f"""{{ project(name: "{door.project}", entityName: "admin") {{ totalSweeps
      sweeps {{ edges {{ node {{ id }} }} pageInfo {{ hasNextPage }} }} artifactTypes {{ edges {{ node {{ id }} }} }}
      allViews {{ edges {{ node {{ id }} }} }} artifact(name: "a") {{ id }} sweep(sweepName: "s") {{ id }} }} }}"""
    assert door.ask(text)["project"] == {
        "totalSweeps": 0,
        "sweeps": {"edges": [], "pageInfo": {"hasNextPage": False}},
        "artifactTypes": {"edges": []},
        "allViews": {"edges": []},
        "artifact": None,
        "sweep": None,
    }
