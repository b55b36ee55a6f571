"""Charts of SDK runs: their points lie in the PointStore under minus the run's decoding."""

from __future__ import annotations

import math
import sqlite3
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from outrider_tracker.store.decoded import decoding_of
from outrider_tracker.store.pointcodec import Summary
from outrider_tracker.store.points import all_points
from outrider_tracker.store.read_series import MAX_BUCKETS, Range, bucketed, line_of, summaries
from outrider_tracker.store.records import SeriesInfo, SeriesLine

LABEL: Final = "/l:"  # system metrics of labelled writers: `cpu/l:rank_1`
PAIRED: Final = 200_000  # points of both metrics that are joined row by row; of more their summaries are


@dataclass(frozen=True, slots=True)
class Axis:
    """What stands on x: "step", "time" (Unix seconds), "relative" (seconds since `zero`) or another metric's `key`."""

    x: str = "step"
    key: str = ""
    zero: float = 0.0
    start: float = -math.inf
    stop: float = math.inf


@dataclass(frozen=True, slots=True)
class _Series:
    id: int
    label: str
    count: int


def list_series(connection: sqlite3.Connection, run: int) -> list[SeriesInfo]:
    """Every key by kind and key; a labelled system metric is one key with a line for each label."""
    found: dict[tuple[str, str], SeriesInfo] = {}
    rows = connection.execute(
        "SELECT key, kind, scope, count, last FROM series WHERE source = ? ORDER BY kind, key, scope",
        (-decoding_of(connection, run),),
    )
    for key, kind, scope, count, last in rows:
        stem = key.partition(LABEL)[0] if kind == "system" else key
        known = found.get((kind, stem))
        if known is None:
            found[kind, stem] = SeriesInfo(stem, kind, scope, 1, count, last)
        else:
            found[kind, stem] = SeriesInfo(stem, kind, scope, known.lines + 1, known.points + count, last)
    return [found[name] for name in sorted(found)]


def newest_system(connection: sqlite3.Connection, run: int) -> dict[str, float]:
    """The newest value of each system metric that has a finite one, by its whole key."""
    rows = connection.execute(
        "SELECT key, last FROM series WHERE source = ? AND kind = 'system' AND last IS NOT NULL ORDER BY key",
        (-decoding_of(connection, run),),
    )
    return dict(rows.fetchall())


def read_series(
    connection: sqlite3.Connection, run: int, key: str, axis: Axis, *, name: str, buckets: int
) -> list[SeriesLine]:
    """The lines of one key, called `name` or by their writer's label; none without a point in the range."""
    buckets = max(1, min(buckets, MAX_BUCKETS))
    across = _find(connection, run, axis.key)[:1] if axis.x == "metric" else []
    lines: list[SeriesLine] = []
    for series in _find(connection, run, key):
        if axis.x == "metric":
            parts = _paired(connection, series, across[0], buckets) if across else []
            wanted = Range("step", axis.start, axis.stop)
            xs, lows, highs, means = bucketed(parts, wanted, buckets)
        else:
            x = "step" if axis.x == "step" else "time"
            wanted = Range(x, axis.start + axis.zero, axis.stop + axis.zero)
            xs, lows, highs, means = line_of(connection, series.id, wanted, buckets)
        if axis.x == "relative":
            xs = [x - axis.zero for x in xs]
        if xs:
            lines.append(SeriesLine(series.label or name, None, None, None, xs, lows, highs, means))
    return lines


def _find(connection: sqlite3.Connection, run: int, key: str) -> list[_Series]:
    """The series of a key, and those of its labels."""
    rows = connection.execute(
        "SELECT id, key, count FROM series WHERE source = ? AND (key = ? OR (kind = 'system' AND key > ? AND key < ?)) "
        "ORDER BY key",
        (-decoding_of(connection, run), key, key + LABEL, key + LABEL[:-1] + chr(ord(LABEL[-1]) + 1)),
    )
    return [_Series(series, found.removeprefix(key).removeprefix(LABEL), count) for series, found, count in rows]


def _paired(connection: sqlite3.Connection, series: _Series, across: _Series, buckets: int) -> list[Summary]:
    """Values of one metric as summaries whose step is the value that another metric had in the same row."""
    if series.count + across.count <= PAIRED:
        xs = all_points(connection, across.id)
        at = {step: value for step, value in zip(xs.steps, xs.values, strict=True) if math.isfinite(value)}
        points = all_points(connection, series.id)
        return [_single(at[step], value) for step, value in zip(points.steps, points.values, strict=True) if step in at]
    whole = Range("step", -math.inf, math.inf)
    curve = sorted(
        (part.step_low, part.sum / part.finite)
        for part in summaries(connection, across.id, whole, buckets)
        if part.finite
    )
    return [
        Summary(part.time_low, part.time_high, x, x, part.low, part.high, part.sum, part.finite)
        for part in summaries(connection, series.id, whole, buckets)
        if (x := interpolated(curve, part.step_low)) is not None
    ]


def interpolated(curve: Sequence[tuple[float, float]], at: float) -> float | None:
    """The curve's value between its two points around `at`; None outside of it. Pure."""
    index = bisect_left(curve, at, key=lambda point: point[0])
    if index == len(curve) or not curve:
        return None
    right, value = curve[index]
    if right == at:
        return value
    if index == 0:
        return None
    left, before = curve[index - 1]
    return before + (value - before) * (at - left) / (right - left)


def _single(x: float, value: float) -> Summary:
    return Summary(x, x, x, x, value, value, value, 1.0 if math.isfinite(value) else 0.0)
