"""Filters on runs: what SQLite finds is what MongoDB's documented semantics say, evaluated here in plain Python."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outrider_tracker.core.mongo import FilterError
from outrider_tracker.core.rules import Visibility
from outrider_tracker.core.run_states import State, state_of
from outrider_tracker.store import counted, decoded, functions
from outrider_tracker.store.database import statements
from outrider_tracker.store.found import Found, prepare
from outrider_tracker.store.projects import Project
from outrider_tracker.store.schema import MIGRATIONS
from outrider_tracker.store.sdk_run_list import RunQuery, count_runs, list_runs

PROJECT = Project(1, "team", "proj", Visibility.TEAM, None, "", 0.0)
NOW = 1_000_000.0


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    made = sqlite3.connect(":memory:", isolation_level=None)
    for step in MIGRATIONS:
        for statement in statements(step):
            made.execute(statement)
    made.execute(counted.TABLE)
    functions.register(made)
    yield made
    made.close()


def insert(connection: sqlite3.Connection, number: int, **columns: Any) -> None:
    row = {
        "id": number,
        "project": 1,
        "name": f"r{number}",
        "display_name": f"run {number}",
        "created": float(number),
        "updated": float(number),
        "heartbeat": NOW,
        **columns,
    }
    for column in ("config", "summary", "tags"):
        if column in row:
            row[f"{column}_json"] = json.dumps(row.pop(column))
    marks = ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO sdk_run ({', '.join(row)}) VALUES ({marks})", list(row.values()))


def found(connection: sqlite3.Connection, wanted: Any, **options: Any) -> list[int]:
    """Ids of the runs that the filter finds, oldest first."""
    text = wanted if isinstance(wanted, str) else json.dumps(wanted)
    query = RunQuery(PROJECT, text, options.get("now", NOW), options.get("serving_since", 0.0))
    runs = [run for run, _ in list_runs(connection, query, "+created_at", 1000, None).runs]
    assert count_runs(connection, query) == len(runs)
    return runs


# --- MongoDB's semantics, from its manual: comparison/sort order of types, query operators, query on arrays and null.

MISSING = object()


def nested(document: Any, path: list[str]) -> Any:
    """The value at a dotted path, as MongoDB walks it."""
    for key in path:
        if not isinstance(document, Mapping) or key not in document:
            return MISSING
        document = document[key]
    return document


def lookup(document: Mapping[str, Any], path: list[str]) -> Any:
    """The value of a run's field. Where nothing is nested so, a key of config or summary may have dots itself."""
    if path[0] not in {"config", "summary_metrics"}:
        return nested(document, path)
    keys = path[1:]
    tries = (nested(document[path[0]], [".".join(keys[:first]), *keys[first:]]) for first in range(1, len(keys) + 1))
    return next((value for value in tries if value is not MISSING), MISSING)


def bracket(value: Any) -> str:
    """The type within which values compare."""
    if value is None or value is MISSING:
        return "null"
    for name, kinds in (("bool", bool), ("number", (int, float)), ("string", str), ("array", list)):
        if isinstance(value, kinds):
            return name
    return "object"


def equal(left: Any, right: Any) -> bool:
    if bracket(left) != bracket(right):
        return False
    if bracket(left) == "null":
        return True
    if isinstance(left, list):
        return len(left) == len(right) and all(map(equal, left, right))
    if isinstance(left, dict):
        return list(left) == list(right) and all(equal(left[key], right[key]) for key in left)
    return bool(left == right)


def candidates(value: Any) -> list[Any]:
    """A condition on an array holds for the array itself or for one of its elements."""
    return [value, *value] if isinstance(value, list) else [value]


def holds(value: Any, operator: str, operand: Any, options: str = "") -> bool:
    if operator == "$eq":
        return any(equal(each, operand) for each in candidates(value))
    if operator == "$ne":
        return not holds(value, "$eq", operand)
    if operator == "$in":
        return any(holds(value, "$eq", each) for each in operand)
    if operator == "$nin":
        return not holds(value, "$in", operand)
    if operator == "$exists":
        return (value is not MISSING) == bool(operand)
    if operator == "$not":
        return not all(holds(value, *each) for each in operand.items())
    if operator == "$regex":
        return any(isinstance(each, str) and re.search(operand, each) is not None for each in candidates(value))
    if operand is None:
        return operator in {"$gte", "$lte"} and holds(value, "$eq", None)
    for each in candidates(value):
        if bracket(each) != bracket(operand):
            continue
        if {"$gt": each > operand, "$gte": each >= operand, "$lt": each < operand, "$lte": each <= operand}[operator]:
            return True
    return False


def matches(document: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    for name, condition in wanted.items():
        if name == "$and":
            result = all(matches(document, each) for each in condition)
        elif name == "$or":
            result = any(matches(document, each) for each in condition)
        elif name == "$nor":
            result = not any(matches(document, each) for each in condition)
        else:
            value = lookup(document, name.split("."))
            if isinstance(condition, dict) and any(key.startswith("$") for key in condition):
                result = all(holds(value, *each) for each in condition.items())
            else:
                result = holds(value, "$eq", condition)
        if not result:
            return False
    return True


KEYS = ["a", "b", "lr", "a.b", "é", 'say "x"', "back\\slash", "[0]", "it's", "$x y", "train/loss", "\t", "𝄞"]
scalars = (
    st.none()
    | st.booleans()
    | st.sampled_from([0, 1, 2, -1, 1.0, 0.5, 2**53, 2**70, 1e300])
    | st.sampled_from(["", "1", "a", "ab", "é", "A", "true", "null", "x\ny", 'say "x"', "NaN"])
)
values = st.recursive(
    scalars, lambda inner: st.lists(scalars, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=2)
)
objects = st.dictionaries(st.sampled_from(KEYS), values, max_size=4)
rows = st.fixed_dictionaries(
    {
        "config": objects,
        "summary_metrics": objects,
        "tags": st.lists(st.sampled_from(["a", "b", "base"]), max_size=3),
        "group": st.sampled_from(["", "a", "g1"]),
        "display_name": st.sampled_from(["a", "ab", "é x"]),
    }
)
paths = st.one_of(
    st.sampled_from(["tags", "group", "display_name"]),
    st.builds(
        lambda head, keys: ".".join([head, *keys]),
        st.sampled_from(["config", "summary_metrics"]),
        st.lists(st.sampled_from(KEYS), min_size=1, max_size=3),
    ),
)
comparable = scalars
operators = st.one_of(
    st.tuples(st.sampled_from(["$eq", "$ne"]), values),
    st.tuples(st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), comparable),
    st.tuples(st.sampled_from(["$in", "$nin"]), st.lists(values, max_size=4)),
    st.tuples(st.just("$exists"), st.booleans()),
    st.tuples(st.just("$regex"), st.sampled_from(["a", "^a$", "b|é", "[A-Z]", "^$", "\\d", '"x"', ".", "a.*b"])),
)
conditions = st.one_of(
    values.filter(lambda value: not (isinstance(value, dict) and any(key.startswith("$") for key in value))),
    st.lists(operators, min_size=1, max_size=2).map(dict),
    operators.map(lambda each: {"$not": dict([each])}),
)
filters = st.recursive(
    st.dictionaries(paths, conditions, max_size=2),
    lambda inner: st.builds(
        lambda name, parts: {name: parts}, st.sampled_from(["$and", "$or", "$nor"]), st.lists(inner, max_size=3)
    ),
    max_leaves=5,
)


@settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(documents=st.lists(rows, min_size=1, max_size=4), wanted=filters)
def test_sqlite_finds_what_mongodb_would(
    connection: sqlite3.Connection, documents: list[dict[str, Any]], wanted: dict[str, Any]
) -> None:
    connection.execute("DELETE FROM sdk_run")
    expected = []
    for number, document in enumerate(documents, 1):
        insert(
            connection,
            number,
            config={key: {"value": value, "desc": None} for key, value in document["config"].items()},
            summary=document["summary_metrics"],
            tags=document["tags"],
            group_name=document["group"],
            display_name=document["display_name"],
        )
        # A group that was not given is absent, as the API shows it.
        shown = {key: value for key, value in document.items() if value != ""}
        if matches(shown, wanted):
            expected.append(number)
    assert found(connection, wanted) == expected


class TestNames:
    """What the client's documentation and its own queries call the fields of a run."""

    @pytest.fixture
    def runs(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        connection.execute("INSERT INTO user (id, name, created) VALUES (7, 'ada', 0)")
        insert(
            connection,
            1,
            name="abc123",
            display_name="eager-fox-1",
            config={
                "lr": {"value": 0.1},
                "opt": {"value": {"name": "adam", "value": 3}},
                "experiment": {"value": "foo"},
            },
            summary={"loss": 0.25, "best": {"max": 2}, "ok": True, "_runtime": 3.5},
            tags=["baseline", "v2"],
            group_name="sweep-a",
            job_type="train",
            host="node-1",
            sweep="s1",
            user=7,
            state="finished",
            created=1_700_000_000.75,
            ended=1_700_000_060.0,
            heartbeat=1_700_000_060.0,
        )
        insert(connection, 2, config={"lr": {"value": "0.1"}}, state="failed", created=1_700_000_100.0)
        return connection

    @pytest.mark.parametrize(
        "wanted",
        [
            {"name": "abc123"},
            {"display_name": "eager-fox-1"},
            {"displayName": {"$regex": "^eager.*"}},
            {"state": "finished"},
            {"$or": [{"state": "finished"}, {"state": "running"}]},
            {"config.lr": 0.1},
            {"config.lr.value": 0.1},
            {"config.lr": {"$lt": 0.2}},
            {"config.opt.name": "adam"},
            {"config.opt.value.name": "adam"},
            {"config.opt.value.value": 3},
            {"config.experiment": {"$in": ["foo", "bar"]}},
            {"summary_metrics.loss": {"$gte": 0.25, "$lte": 0.25}},
            {"summary_metrics.best.max": 2},
            {"summary_metrics.ok": True},
            {"summary_metrics.loss": {"$exists": True}},
            {"tags": "v2"},
            {"tags": {"$in": ["baseline"]}},
            {"tags": {"$nin": ["other"]}, "group": "sweep-a"},
            {"group": "sweep-a"},
            {"jobType": "train"},
            {"host": "node-1"},
            {"sweep": "s1"},
            {"username": "ada"},
            {"duration": {"$gt": 58}, "host": "node-1"},
            {"createdAt": {"$lt": "2023-11-14T22:14:00Z"}},
            {"created_at": {"$eq": "2023-11-14T22:13:20Z"}},
            {"$and": [{"created_at": {"$gt": "2023-11-14"}}, {"created_at": {"$lt": "2023-11-14T22:14:00+00:00"}}]},
            {"$not": {"state": "failed"}},
        ],
        ids=json.dumps,
    )
    def test_finds_the_first_run_only(self, runs: sqlite3.Connection, wanted: dict[str, Any]) -> None:
        assert found(runs, wanted) == [1]

    def test_a_key_that_was_logged(self, runs: sqlite3.Connection) -> None:
        decoding = decoded.begin(runs, 2)
        found_keys = Found(keys=[("acc", "number", 3, "1")])
        decoded.put(runs, -decoding, prepare(found_keys, 0.0, 1))
        assert found(runs, {"keys_info.keys.acc": {"$exists": True}}) == [2]
        assert found(runs, {"keys_info.keys.acc": {"$exists": False}}) == [1]

    def test_other_projects_and_deleted_runs_are_not_found(self, runs: sqlite3.Connection) -> None:
        insert(runs, 3, project=2)
        insert(runs, 4, deleted=5.0)
        assert found(runs, {}) == [1, 2]
        assert found(runs, {"$nor": []}) == [1, 2]
        assert found(runs, {"$or": []}) == []


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ("[1]", "object"),
        ("{", "not JSON"),
        ('{"a": NaN}', "not JSON"),
        ('"\\ud800"', "not JSON"),
        ({"nope": 1}, "no field 'nope'"),
        ({"config.x": {"$where": "1"}}, r"operator \$where"),
        ({"$where": "1"}, r"operator \$where"),
        ({"$and": {"state": "x"}}, "list of conditions"),
        ({"$or": [1]}, "JSON object"),
        ({"config.x": {"$in": 3}}, "list of values"),
        ({"config.x": {"$gt": [1]}}, "not lists"),
        ({"config.x": {"$regex": "("}}, "RE2"),
        ({"config.x": {"$regex": "(?=a)"}}, "RE2"),
        ({"config.x": {"$regex": 3}}, "text"),
        ({"config.x": {"$regex": "a", "$options": "x"}}, "i, m and s"),
        ({"config.x": {"$regex": "a" * 1001}}, "1000 characters"),
        ({"config." + ".".join("a" * 17): 1}, "16 parts"),
        ({"created_at": "yesterday"}, "ISO 8601"),
        ({"created_at": {"$regex": "a"}}, "not on times"),
        ({"$or": [{"config.x": number} for number in range(201)]}, "200 conditions"),
        ({"config.x": {"$in": list(range(20_001))}}, "20000 values"),
        ('{"$and": [' * 30 + "{}" + "]}" * 30, "nested deeper"),
        ("[" * 100_000, "not JSON"),
        ('{"config.x": "' + "a" * (1 << 20) + '"}', "characters"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_sentence(
    connection: sqlite3.Connection, wanted: Any, sentence: str
) -> None:
    with pytest.raises(FilterError, match=sentence):
        found(connection, wanted)


def test_text_of_a_filter_never_becomes_sql(connection: sqlite3.Connection) -> None:
    insert(connection, 1, config={"a": {"value": 1}})
    for text in ("'", '"', "a' OR 1=1 --", "\\", "%", "\x00", "$.a", "a[0]", "#-1", "]"):
        assert found(connection, {f"config.{text}": 1}) == []
        assert found(connection, {"name": text}) == []
        assert found(connection, {"config.a": {"$in": [text]}}) == []
        assert found(connection, {f"summary_metrics.{text}": {"$exists": True}}) == []


def test_a_search_that_takes_too_long_is_ended(connection: sqlite3.Connection) -> None:
    for number in range(1, 2001):
        insert(connection, number, config={"a": {"value": number}})
    wanted = json.dumps({"$or": [{"config.a": -number} for number in range(1, 100)]})
    slow = RunQuery(PROJECT, wanted, NOW, 0.0, seconds=0.0)
    with pytest.raises(FilterError, match="fewer conditions"):
        count_runs(connection, slow)
    with pytest.raises(FilterError, match="fewer conditions"):
        list_runs(connection, slow, None, 10, None)
    assert found(connection, {"config.a": 7}) == [7]


def test_a_long_list_of_names_is_one_condition(connection: sqlite3.Connection) -> None:
    for number in range(1, 4):
        insert(connection, number)
    assert found(connection, {"name": {"$in": [f"r{number}" for number in range(2, 10_000)]}}) == [2, 3]


@given(
    state=st.sampled_from(list(State)),
    heartbeat=st.floats(0, 2000),
    now=st.floats(0, 4000),
    since=st.floats(0, 2000),
    stopped=st.booleans(),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_a_filter_on_state_agrees_with_what_is_shown(
    connection: sqlite3.Connection, state: State, heartbeat: float, now: float, since: float, stopped: bool
) -> None:
    connection.execute("DELETE FROM sdk_run")
    insert(connection, 1, state=state.value, heartbeat=heartbeat, stop_asked=int(stopped))
    shown = state_of(state, heartbeat, now, since, stopped=stopped)
    for each in State:
        assert found(connection, {"state": each.value}, now=now, serving_since=since) == ([1] if each is shown else [])


class TestPages:
    """Orders, and cursors that hold while runs come and go."""

    def all_pages(self, connection: sqlite3.Connection, order: str, size: int = 2) -> list[int]:
        query, seen, cursor = RunQuery(PROJECT, None, NOW, 0.0), [], None
        while True:
            page = list_runs(connection, query, order, size, cursor)
            seen += [run for run, _ in page.runs]
            if not page.more:
                return seen
            cursor = page.runs[-1][1]

    def test_orders(self, connection: sqlite3.Connection) -> None:
        losses: list[Any] = [3, 1.5, None, "text", 2**70, True, [1], -1]
        for number, loss in enumerate(losses, 1):
            summary = {} if loss is None else {"loss": loss}
            config = {"lr": {"value": number % 3}}
            insert(connection, number, summary=summary, config=config, heartbeat=100.0 - number, name=f"n{9 - number}")
        for size in (1, 2, 3, 100):
            assert self.all_pages(connection, "+created_at", size) == [1, 2, 3, 4, 5, 6, 7, 8]
            assert self.all_pages(connection, "created_at", size) == [1, 2, 3, 4, 5, 6, 7, 8]
            assert self.all_pages(connection, "-created_at", size) == [8, 7, 6, 5, 4, 3, 2, 1]
            assert self.all_pages(connection, "-heartbeat_at", size) == [1, 2, 3, 4, 5, 6, 7, 8]
            assert self.all_pages(connection, "+name", size) == [8, 7, 6, 5, 4, 3, 2, 1]
            # Numbers, texts, booleans; runs without a value to compare are last either way.
            assert self.all_pages(connection, "+summary_metrics.loss", size) == [8, 2, 1, 5, 4, 6, 3, 7]
            assert self.all_pages(connection, "-summary_metrics.loss", size) == [5, 1, 2, 8, 4, 6, 7, 3]
            assert self.all_pages(connection, "+config.lr.value", size) == [3, 6, 1, 4, 7, 2, 5, 8]
            assert self.all_pages(connection, "-config.lr", size) == [8, 5, 2, 7, 4, 1, 6, 3]

    @pytest.mark.parametrize("order", ["+created_at", "-created_at", "-summary_metrics.loss", "+display_name"])
    def test_runs_that_come_and_go_neither_repeat_nor_hide_others(
        self, connection: sqlite3.Connection, order: str
    ) -> None:
        for number in range(1, 31):
            insert(connection, number, summary={"loss": number % 7}, created=1000.0 + number)
        seen: list[int] = []
        cursor, step = None, 0
        query = RunQuery(PROJECT, None, NOW, 0.0)
        while True:
            page = list_runs(connection, query, order, 4, cursor)
            seen += [run for run, _ in page.runs]
            if not page.more:
                break
            cursor = page.runs[-1][1]
            step += 1
            # New ones at both ends and in the middle; and the last run that was seen goes.
            insert(connection, 100 + step, summary={"loss": step % 7}, created=2000.0 + step)
            insert(connection, 200 + step, summary={"loss": 3}, created=500.0 + step)
            connection.execute("UPDATE sdk_run SET deleted = 1 WHERE id = ?", (seen[-1],))
        assert len(seen) == len(set(seen))
        assert set(range(1, 31)) <= set(seen)

    @pytest.mark.parametrize("cursor", ["x", "e30=", "W10=", "WzEsMl0=", "WyJhIiwxLDJd", "é", "bnVsbA=="])
    def test_a_cursor_that_is_none_is_refused(self, connection: sqlite3.Connection, cursor: str) -> None:
        with pytest.raises(FilterError, match="cursor"):
            list_runs(connection, RunQuery(PROJECT, None, NOW, 0.0), None, 5, cursor)

    def test_an_order_by_nothing_that_is_known_is_refused(self, connection: sqlite3.Connection) -> None:
        with pytest.raises(FilterError, match="'loss'"):
            list_runs(connection, RunQuery(PROJECT, None, NOW, 0.0), "-loss", 5, None)
