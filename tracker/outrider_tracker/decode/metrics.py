"""Lines of kinds `metrics` and `user` (docs/protocol.md sections 3 and 4) to points, values and items. Pure."""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from outrider_tracker.core import jsontext
from outrider_tracker.store.batches import Points, SeriesKey

SCOPES: Final = ("rank", "container", "node")
VALUE_TYPES: Final = ("config", "summary")
ITEM_TYPES: Final = ("tag", "alert", "checkpoint", "progress")
MAX_KEY: Final = 255
MAX_X: Final = 2.0**63  # of times and steps, either side: a chart calculates with them, and no clock or counter goes on
_NAMED: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_RANK_OF_NAME: Final = re.compile(r"user/(?:.*/)?rank(\d{1,9})(?!\d)[^/]*")


@dataclass(frozen=True, slots=True)
class UserItem:
    """An alert, checkpoint, progress report or tag. `time`: Unix seconds."""

    type: str
    rank: int | None
    step: float | None
    time: float
    data: str


@dataclass(slots=True)
class Gathered:
    """What several lines of one stream come to. `values`: (type, rank, key) to (JSON text, time), the newest each."""

    series: dict[SeriesKey, Points] = field(default_factory=dict)
    values: dict[tuple[str, int, str], tuple[str, float]] = field(default_factory=dict)
    items: list[UserItem] = field(default_factory=list)
    malformed: int = 0
    unknown: int = 0

    def add(self, key: SeriesKey, time: float, step: float, value: float) -> None:
        """Adds one point."""
        points = self.series.get(key)
        if points is None:
            points = self.series[key] = Points(array("d"), array("d"), array("d"))
        points.times.append(time)
        points.steps.append(step)
        points.values.append(value)


def rank_of_name(stream: str) -> int | None:
    """The rank that a user file's name says: `rank<N>…`."""
    match = _RANK_OF_NAME.fullmatch(stream)
    return int(match.group(1)) if match else None


def read_metrics(line: Mapping[str, Any], into: Gathered, received: float, container: str | None = None) -> None:
    """A line of kind `metrics`. `container`: that of the stream, for lines that do not say."""
    scope, measured = line.get("scope"), line.get("m")
    if scope not in SCOPES or not isinstance(measured, dict):
        into.malformed += 1
        return
    rank = whole(line.get("rank"))
    if scope == "rank" and rank is None:
        into.malformed += 1
        return
    named = line.get("container", container)
    place = named[:MAX_KEY] if isinstance(named, str) and scope != "node" else ""
    time = moment(line.get("ts"), received)
    for key, value in measured.items():
        found = number(value)
        if found is None or not key or len(key) > MAX_KEY:
            into.malformed += 1
            continue
        into.add(SeriesKey(key, "system", str(scope), rank if scope == "rank" else None, place), time, math.nan, found)


def read_user(line: Mapping[str, Any], into: Gathered, received: float, stream_rank: int | None) -> None:
    """A line of kind `user`; `stream_rank` where the line has no rank of its own."""
    kind, data = line.get("type"), line.get("data")
    rank = whole(line.get("rank"))
    rank = stream_rank if rank is None else rank
    time = moment(line.get("ts"), received)
    step = number(line.get("step"))
    step = step if step is not None and abs(step) <= MAX_X else None
    if kind == "log" and isinstance(data, dict):
        for key, value in data.items():
            found = number(value)
            if found is None or not key or len(key) > MAX_KEY:
                into.malformed += 1
                continue
            into.add(SeriesKey(key, "user", "user", rank, ""), time, math.nan if step is None else step, found)
    elif kind in VALUE_TYPES and isinstance(data, dict):
        for key, value in data.items():
            into.values[str(kind), -1 if rank is None else rank, key[:MAX_KEY]] = (jsontext.write(value), time)
    elif kind in ITEM_TYPES and data is not None:
        into.items.append(UserItem(str(kind), rank, step, time, jsontext.write(data)))
    elif isinstance(kind, str) and kind not in {"log", *VALUE_TYPES, *ITEM_TYPES}:
        into.unknown += 1
    else:
        into.malformed += 1


def number(value: Any) -> float | None:
    """A JSON number, or one of the names that stand for what JSON lacks; None if it is neither."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    return _NAMED.get(value) if isinstance(value, str) else None


def moment(value: Any, received: float) -> float:
    """A time that a line says, or when it was decoded."""
    found = number(value)
    return found if found is not None and abs(found) <= MAX_X else received


def whole(value: Any) -> int | None:
    """A rank: an integer from 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 31 else None
