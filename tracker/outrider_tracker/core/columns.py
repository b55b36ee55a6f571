"""Rows to columns: points of each key, what types each key has had, and values that are media. Pure.

Nested objects give keys joined by dots. An object with a `_type` is a value of its own. `_step`, `_timestamp` and
`_runtime` are what others are drawn over: they are counted, but give no points.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from outrider_tracker.core import jsontext

STEP: Final = "_step"
TIMESTAMP: Final = "_timestamp"
AXES: Final = frozenset({STEP, TIMESTAMP, "_runtime"})
MAX_KEY: Final = 1024
MAX_X: Final = 2.0**63  # of times and steps, either side: a chart calculates with them
MAX_DEPTH: Final = 32  # of nested objects; what lies deeper gives no keys
MAX_LAST: Final = 256  # characters of a newest value that is kept beside its key
MAX_MEDIA: Final = 64 << 10  # characters of a media value; longer ones are in the rows only
_NUMBERS: Final = frozenset({int, float})
_NAMED: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


@dataclass(slots=True)
class Column:
    """Points of one key: the places of their rows, Unix seconds, steps (NaN: none), values. Equally long."""

    places: list[int]
    times: array[float]
    steps: array[float]
    values: array[float]


@dataclass(slots=True)
class KeyCount:
    """How many values of one type a key has had; the newest one, and the place of its row."""

    count: int
    last: Any
    place: int

    def last_json(self) -> str | None:
        """The newest value as JSON, None if it is long."""
        if isinstance(self.last, str) and len(self.last) > MAX_LAST:
            return None
        text = jsontext.write(self.last)
        return text if len(text) <= MAX_LAST else None


@dataclass(frozen=True, slots=True)
class Media:
    """A value with a `_type`; `data` is its JSON text. `step`: None where the row has no whole one."""

    key: str
    step: int | None
    type: str
    data: str


@dataclass(slots=True)
class Gathered:
    """What rows come to. `keys`: by key and type. `malformed`: rows that are no JSON objects."""

    numbers: dict[str, Column] = field(default_factory=dict)
    keys: dict[tuple[str, str], KeyCount] = field(default_factory=dict)
    media: list[Media] = field(default_factory=list)
    malformed: int = 0


def gather(rows: Sequence[Any], received: float) -> Gathered:
    """All that the rows say. `received`: the time of rows that bring none (Unix seconds).

    Rows with the same keys are taken together, column by column: almost all rows of a run have the keys of others.
    """
    into = Gathered()
    groups: dict[tuple[str, ...], list[int]] = {}
    for place, row in enumerate(rows):
        if type(row) is not dict:
            into.malformed += 1
            continue
        keys = tuple(row)
        if (places := groups.get(keys)) is None:
            groups[keys] = [place]
        else:
            places.append(place)
    parts: dict[str, list[Column]] = {}
    for keys, places in groups.items():
        columns = list(zip(*[rows[place].values() for place in places], strict=True))
        named = dict(zip(keys, columns, strict=True))
        times = _axis(named.get(TIMESTAMP), len(places), received)
        steps = _axis(named.get(STEP), len(places), math.nan)
        for key, column in named.items():
            group = Column(places, times, steps, array("d"))
            if set(map(type, column)) <= _NUMBERS and len(key) <= MAX_KEY and (values := _doubles(column)) is not None:
                _count(into, key, "number", KeyCount(len(column), column[-1], places[-1]))
                if key not in AXES:
                    group.values = values
                    parts.setdefault(key, []).append(group)
            else:
                _take_each(into, parts, key, column, group)
    into.numbers = {key: _joined(found) for key, found in parts.items()}
    into.media.sort(key=lambda item: -1 if item.step is None else item.step)
    return into


def type_of(value: Any) -> str:
    """What a value is called: number, string, boolean, list, its own `_type`, or null."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)) or (isinstance(value, str) and value in _NAMED):
        return "number"
    if isinstance(value, dict):
        return str(value["_type"])[:MAX_KEY]
    return "string" if isinstance(value, str) else "list" if isinstance(value, list) else "null"


def _axis(column: Sequence[Any] | None, length: int, default: float) -> array[float]:
    """Times or steps; `default` where there is none that a chart can calculate with."""
    if column is None:
        return array("d", [default]) * length
    if set(map(type, column)) <= _NUMBERS and (values := _doubles(column)) is not None:
        total = sum(values)
        if math.isfinite(total) and min(values) >= -MAX_X and max(values) <= MAX_X:
            return values
    return array("d", [_x(value, default) for value in column])


def _x(value: Any, default: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -MAX_X <= value <= MAX_X:
        return default
    return float(value)


def _doubles(column: Sequence[Any]) -> array[float] | None:
    """The numbers as doubles; None if one is an integer beyond their range."""
    try:
        return array("d", column)
    except OverflowError:
        return None


def _take_each(into: Gathered, parts: dict[str, list[Column]], key: str, column: Sequence[Any], group: Column) -> None:
    """Values of any type under one key, one after the other."""
    found: dict[str, Column] = {}
    for at, whole in enumerate(column):
        place, time, step = group.places[at], group.times[at], group.steps[at]
        for name, value in _flat(key, whole, 0):
            kind = type_of(value)
            _count(into, name, kind, KeyCount(1, value, place))
            if kind == "number" and name not in AXES:
                target = found.get(name)
                if target is None:
                    target = found[name] = Column([], array("d"), array("d"), array("d"))
                target.places.append(place)
                target.times.append(time)
                target.steps.append(step)
                target.values.append(_double(value))
            elif isinstance(value, dict):
                text = jsontext.write(value)
                if len(text) <= MAX_MEDIA:
                    whole_step = int(step) if step.is_integer() and abs(step) < MAX_X else None
                    into.media.append(Media(name, whole_step, kind, text))
    for name, target in found.items():
        parts.setdefault(name, []).append(target)


def _flat(key: str, value: Any, depth: int) -> list[tuple[str, Any]]:
    """The values under a key: itself, or those of a nested object."""
    if not isinstance(value, dict) or isinstance(value.get("_type"), str):
        return [(key, value)] if len(key) <= MAX_KEY else []
    if depth >= MAX_DEPTH or len(key) > MAX_KEY:
        return []
    return [pair for name, inner in value.items() for pair in _flat(f"{key}.{name}", inner, depth + 1)]


def _double(value: Any) -> float:
    if isinstance(value, str):
        return _NAMED[value]
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _count(into: Gathered, key: str, kind: str, fresh: KeyCount) -> None:
    known = into.keys.get((key, kind))
    if known is None:
        into.keys[key, kind] = fresh
        return
    known.count += fresh.count
    if fresh.place >= known.place:
        known.last, known.place = fresh.last, fresh.place


def _joined(found: Sequence[Column]) -> Column:
    """One column in the order of its rows."""
    if len(found) == 1:
        return found[0]
    whole = Column([], array("d"), array("d"), array("d"))
    for part in found:
        whole.places += part.places
        whole.times += part.times
        whole.steps += part.steps
        whole.values += part.values
    order = sorted(range(len(whole.places)), key=whole.places.__getitem__)
    return Column(
        [whole.places[at] for at in order],
        array("d", [whole.times[at] for at in order]),
        array("d", [whole.steps[at] for at in order]),
        array("d", [whole.values[at] for at in order]),
    )
