"""Rows of history and events as the SDK writes them: JSON objects in which NaN and infinities may stand bare. Pure."""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

_STEP: Final = re.compile(r'"_step"\s*:\s*[-+0-9.eE]+\s*,?\s*')
_LAST_COMMA: Final = re.compile(r",\s*\}$")


def read_rows(lines: Sequence[str]) -> list[Any]:
    """The values of the lines, one each: None where a line is no JSON. Integers stay integers."""
    try:
        rows: list[Any] = msgspec.json.decode("[" + ",".join(lines) + "]")
    except (ValueError, RecursionError):
        rows = []
    # A line such as `{},{}` is no JSON, yet fits between the others.
    return rows if len(rows) == len(lines) else [read_row(line) for line in lines]


def read_row(line: str) -> Any:
    """The value of one line, None if it is no JSON."""
    try:
        return msgspec.json.decode(line)
    except (ValueError, RecursionError):
        return _read_loosely(line)


class _Stepped(msgspec.Struct):
    step: int | float | None = msgspec.field(name="_step", default=None)


def steps_of(lines: Sequence[str]) -> list[int | float | None]:
    """The step of each line's row, None for those without: faster than reading the rows whole."""
    try:
        found = msgspec.json.decode("[" + ",".join(lines) + "]", type=list[_Stepped])
    except (ValueError, RecursionError):
        found = []
    return [row.step for row in found] if len(found) == len(lines) else [step_of(read_row(line)) for line in lines]


def value_at(row: Mapping[str, Any], key: str) -> Any:
    """The value under a key, or in nested objects whose keys joined by dots are it. KeyError: there is none."""
    if key in row:
        return row[key]
    dot = key.find(".")
    while dot >= 0:
        inner = row.get(key[:dot])
        if isinstance(inner, dict) and not isinstance(inner.get("_type"), str):
            with contextlib.suppress(KeyError):
                return value_at(inner, key[dot + 1 :])
        dot = key.find(".", dot + 1)
    raise KeyError(key)


def step_of(row: Any) -> int | float | None:
    """The step of a decoded row, None if it has none."""
    step = row.get("_step") if isinstance(row, dict) else None
    return step if isinstance(step, (int, float)) and not isinstance(step, bool) and math.isfinite(step) else None


def without_step(text: str) -> str:
    """The text of a row, an object, without a step of its own; a `_step` within one of its values stays."""
    if '"_step"' not in text:
        return text
    if text.count("{") == 1 and text.count('"_step"') == 1:
        return _LAST_COMMA.sub("}", _STEP.sub("", text, count=1))
    row = read_row(text)
    if not isinstance(row, dict) or "_step" not in row:
        return text
    del row["_step"]
    return json.dumps(row, separators=(",", ":"), ensure_ascii=False)


def _read_loosely(line: str) -> Any:
    """What strict JSON lacks: NaN, infinities, numbers beyond the range of doubles. Half characters are no text."""
    try:
        value = json.loads(line)
        if "\\u" in line:
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return value
