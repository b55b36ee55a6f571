"""What a summary says of rows: as W&B's client (0.31) makes it while it logs them."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider_tracker.core import row_summary
from outrider_tracker.core.metric_definitions import decode
from outrider_tracker.core.row_summary import RowSummary

# Fields of the client's message: 1 name, 2 glob, 7 summary. Summaries: min, max, mean, best, last, none, copy, first.
ALL = [1, 2, 3, 5, 8]


def summary(rows: list[Any], definitions: list[dict[str, Any]] | None = None, *, whole: bool = True) -> dict[str, Any]:
    made = RowSummary(decode(definitions))
    for row in rows:
        made.add(row)
    return made.value(whole=whole)


def steps(key: str, *values: Any) -> list[dict[str, Any]]:
    return [{"_step": step, key: value} for step, value in enumerate(values)]


def test_the_newest_value_of_each_key() -> None:
    rows = [{"_step": 0, "a": 1, "once": "x"}, {"_step": 1, "a": 2.5, "list": [1]}, {"_step": 2, "a": True}]
    assert summary(rows) == {"_step": 2, "a": True, "once": "x", "list": [1]}


@pytest.mark.parametrize("line", [None, 3, "text", [], {"a": 1}, {"_step": "1", "a": 1}])
def test_what_is_no_row_says_nothing(line: Any) -> None:
    assert summary([line]) == {}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (ALL, {"min": 0, "max": 100, "mean": 21.4, "last": 4, "first": 0}),
        ([5], {"last": 4}),
        ([2], {"max": 100}),
        ([4], 4),
        ([7], 4),
        ([], 4),
    ],
)
def test_what_a_definition_asks_for(asked: list[int], expected: Any) -> None:
    assert summary(steps("a", 0, 1, 2, 100, 4), [{"1": "a", "7": asked}])["a"] == expected


def test_none_is_told_of_a_key_without_summary() -> None:
    assert summary(steps("a", 1), [{"1": "a", "7": [6]}]) == {"_step": 0}


def test_globs() -> None:
    """They leave the client's own keys alone."""
    found = summary([{"_step": 0, "g/a": -1, "b": 1, "_runtime": 2}], [{"2": "*", "7": [2]}])
    assert found == {"_step": 0, "_runtime": 2, "g/a": {"max": -1}, "b": {"max": 1}}


def test_nested_objects() -> None:
    """Each value has its own history, and by its path also a definition."""
    rows = [{"_step": 0, "n": {"a": 5, "once": 1}}, {"_step": 1, "n": {"a": 3, "deep": {"b": 2}}}]
    assert summary(rows, [{"1": "n.a", "7": [2]}])["n"] == {"a": {"max": 5}, "once": 1, "deep": {"b": 2}}


def test_media_are_values() -> None:
    image = {"_type": "image-file", "path": "media/b.png"}
    rows = [
        {"_step": 0, "m": {"_type": "image-file", "path": "media/a.png", "caption": "old"}},
        {"_step": 1, "m": image},
    ]
    assert summary(rows)["m"] == image


def test_a_dot_in_a_name_nests_nothing() -> None:
    assert summary([{"_step": 0, "a.b": 1}]) == {"_step": 0, "a.b": 1}


def test_where_values_and_objects_take_turns_the_newest_counts() -> None:
    rows = [{"_step": 0, "a": {"b": 1}}, {"_step": 1, "a": 2}]
    assert summary(rows)["a"] == 2
    rows = [{"_step": 0, "a": 2}, {"_step": 1, "a": {"b": 1}}]
    assert summary(rows)["a"] == {"b": 1}


def test_what_is_no_number_is_not_calculated_with() -> None:
    found = summary(steps("a", 1, True, "x", 3), [{"1": "a", "7": ALL}])["a"]
    assert found == {"min": 1, "max": 3, "mean": 2, "last": 3, "first": 1}
    assert "a" not in summary(steps("a", "x"), [{"1": "a", "7": [1]}])


def test_nan_spoils_what_it_is_calculated_with() -> None:
    found = summary(steps("a", 1, math.nan, 3), [{"1": "a", "7": ALL}])["a"]
    assert (found["first"], found["last"]) == (1, 3)
    assert all(math.isnan(found[name]) for name in ("min", "max", "mean"))


def test_integers_beyond_doubles() -> None:
    found = summary(steps("a", 10**400, 1), [{"1": "a", "7": ALL}])["a"]
    assert (found["max"], found["min"]) == (10**400, 1)


def test_of_a_part_of_the_rows_nothing_is_told_that_takes_all() -> None:
    definitions = [{"1": "a", "7": [1, 5]}, {"1": "b", "7": [5]}]
    rows = [{"_step": 7, "a": 1, "b": 1, "c": 1}]
    assert summary(rows, definitions, whole=False) == {"_step": 7, "b": {"last": 1}, "c": 1}


def test_it_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is too much is left out; the next value of the key may have room."""
    monkeypatch.setattr(row_summary, "MAX_TEXT", 1000)
    assert summary([{"_step": 0, "a": "x" * 900, "b": 1}]) == {"_step": 0, "b": 1}
    assert summary([{"_step": 0, "a": "x" * 900}, {"_step": 1, "a": "y"}]) == {"_step": 1, "a": "y"}
    assert "a" not in summary([{"_step": 1, "a": "x" * 900}, {"_step": 0, "a": "older"}])
    many = summary([{"_step": step, f"key{step}": [step]} for step in range(10_000)])
    assert 5 < len(many) < 30


def test_hostile_nesting_is_a_value() -> None:
    deep: Any = 1
    for _ in range(500):
        deep = {"a": deep}
    found = summary([{"_step": 0, "a": deep}])
    assert json.loads(json.dumps(found)) == {"_step": 0, "a": deep}


VALUES = st.one_of(
    st.integers(-5, 5), st.booleans(), st.text("xy", max_size=2), st.lists(st.integers(0, 2), max_size=2)
)
ROWS = st.lists(st.dictionaries(st.sampled_from("abc"), VALUES | st.dictionaries(st.sampled_from("de"), VALUES)))


@given(ROWS, st.randoms())
def test_the_order_of_rows_does_not_matter(rows: list[dict[str, Any]], random: Any) -> None:
    numbered = [{**row, "_step": step} for step, row in enumerate(rows)]
    definitions = [{"1": "a", "7": ALL}, {"1": "b.d", "7": [1]}, {"2": "c*", "7": [8]}]
    shuffled = random.sample(numbered, len(numbered))
    assert summary(shuffled, definitions) == summary(numbered, definitions)


@given(ROWS)
def test_without_definitions_and_nesting_it_is_the_union_of_rows(rows: list[dict[str, Any]]) -> None:
    model: dict[str, Any] = {}
    flat = [
        {"_step": step, **{key: value for key, value in row.items() if not isinstance(value, dict)}}
        for step, row in enumerate(rows)
    ]
    for row in flat:
        model |= row
    assert summary(flat) == model
