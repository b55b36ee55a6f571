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
from outrider_tracker.store import functions
from outrider_tracker.store.database import statements
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
    | st.sampled_from(["", "1", "a", "ab", "é", "A", "true", "null", "x\ny", "say \"x\"", "NaN"])
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


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
