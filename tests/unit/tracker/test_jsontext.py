"""Two objects' texts made one."""

from __future__ import annotations

import json
from typing import Any

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
