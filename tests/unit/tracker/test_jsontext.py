"""JSON for the store and for answers; two objects' texts made one."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider_tracker.core import jsontext

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5)
OBJECTS = st.dictionaries(st.sampled_from("abcdé😀") | st.text(), VALUES)


@given(OBJECTS, OBJECTS)
def test_the_second_ones_values_count(under: dict[str, Any], over: dict[str, Any]) -> None:
    text = jsontext.joined(jsontext.write(under), jsontext.write(over))
    assert json.loads(text) == {**under, **over}


def test_values_stay_as_they_were_written() -> None:
    """Integers of any length, numbers to the last digit."""
    assert jsontext.joined('{"a":1.10,"b":{"c":[1e5]}}', f'{{"d":{10**400}}}') == (
        f'{{"a":1.10,"b":{{"c":[1e5]}},"d":{10**400}}}'
    )


@pytest.mark.parametrize("under", [{"\ud800": 1}, {"a": "\udfff"}, {"a": {"\ud83d": ["\ude00"]}}])
@pytest.mark.parametrize("over", [{}, {"\udc00b": "\ud800"}, {"a": 2}])
def test_halves_of_surrogate_pairs(under: dict[str, Any], over: dict[str, Any]) -> None:
    """Users' texts may hold them, and JSON may."""
    text = jsontext.joined(jsontext.write(under), jsontext.write(over))
    assert json.loads(text) == {**under, **over}


@pytest.mark.parametrize("depth", [10, 900])
def test_nested(depth: int) -> None:
    deep = '{"a":' * depth + "1" + "}" * depth
    assert jsontext.joined("{}", deep) == deep


HALVES = st.sampled_from(["\ud800", "a\udfff", "\udc00\ud800"])
ANSWERS = st.dictionaries(st.text() | HALVES, VALUES | HALVES | st.integers(min_value=1 << 64), max_size=4)


@given(ANSWERS, ANSWERS)
def test_an_answer_and_its_portions_are_read_as_they_were(whole: dict[str, Any], part: dict[str, Any]) -> None:
    """Whichever of them holds what only the slow writer can write."""
    keys = {key: jsontext.portion(value) for key, value in part.items()}
    assert json.loads(jsontext.encode({"keys": keys, "rest": [whole]})) == {"keys": part, "rest": [whole]}


def test_a_portion_has_texts_for_what_json_lacks() -> None:
    found = jsontext.encode([jsontext.portion({"last": [math.nan, -math.inf, 1.5]})])
    assert found == b'[{"last":["NaN","-Infinity",1.5]}]'


PIECES = [
    "\\ud83d",
    "\\ude00",
    "\\uD800",
    "\\uDFFF",
    "\\ud7ff",
    "\\u0041",
    "\\\\",
    "\\n",
    '\\"',
    "ud83d",
    "a",
    "é",
    "😀",
    "?",
]
BROKEN = ["\\", "\\u", "\\ud8", "\\ud8zz", '"', "\n"]


def read(text: bytes | bytearray) -> str | None:
    """A JSON text with `?` for half characters, as Python's own reader and coder see it; None if it is none."""
    try:
        found: str = json.loads(text)
    except ValueError:
        return None
    return found.encode(errors="replace").decode()


@given(st.lists(st.sampled_from([*PIECES, *BROKEN])), st.integers(min_value=0, max_value=20))
def test_half_characters_become_question_marks(pieces: list[str], before: int) -> None:
    """And nothing else changes, wherever a piece of what is looked through ends; what is no JSON stays none."""
    filled = "x" * ((64 << 10) - before) if before else ""
    text = f'"{filled}{"".join(pieces)}"'.encode()
    whole = jsontext.without_halves(text)
    assert read(whole) == read(text)
    if read(text) is not None:
        msgspec.json.decode(whole)  # what the fast reader takes


def test_what_has_no_halves_is_not_copied() -> None:
    text = b'"\\ud83d\\ude00 \\\\ud800"'
    assert jsontext.without_halves(text) is text


@pytest.mark.parametrize(
    ("value", "levels"),
    [(1, 0), ({}, 0), ({"a": 1}, 1), ([1, [2]], 2), ({"a": {"b": []}}, 2), ([[], {"a": [0]}], 3)],
)
def test_how_deep_a_value_is_nested(value: Any, levels: int) -> None:
    """Something stands inside so many lists and objects, and nothing inside more."""
    assert not jsontext.nested_deeper(value, levels)
    assert levels == 0 or jsontext.nested_deeper(value, levels - 1)
