"""Charts of SDK runs: their points lie in the PointStore under minus the run's decoding."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from outrider_tracker.store import summaries
from outrider_tracker.store.curves import Curve, curves
from outrider_tracker.store.decoded import decoding_of
from outrider_tracker.store.points import all_points
from outrider_tracker.store.read_series import MAX_BUCKETS, read_curves
from outrider_tracker.store.read_summaries import STORED, Range, Stored, read_summaries
from outrider_tracker.store.records import SeriesInfo, SeriesLine
from outrider_tracker.store.summaries import FINITE, STEP_LOW, SUM, Column, Table

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
    label: str
    stored: Stored


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
    found = _find(connection, run, key)
    zero = axis.zero if axis.x == "relative" else 0.0
    drawn: Sequence[Curve]
    if axis.x == "metric":
        across = _find(connection, run, axis.key)[:1]
        drawn = [_against(connection, series.stored, across[0].stored, axis, buckets) for series in found if across]
    else:
        wanted = Range("step" if axis.x == "step" else "time", axis.start + axis.zero, axis.stop + axis.zero)
        drawn = read_curves(connection, [series.stored for series in found], wanted, buckets)
    return [
        SeriesLine(series.label or name, None, None, None, [x - zero for x in xs] if zero else xs, lows, highs, means)
        for series, (xs, lows, highs, means) in zip(found, drawn, strict=False)
        if xs
    ]


def _find(connection: sqlite3.Connection, run: int, key: str) -> list[_Series]:
    """The series of a key, and those of its labels."""
    rows = connection.execute(
        f"SELECT key, {STORED} FROM series "  # noqa: S608
        "WHERE source = ? AND (key = ? OR (kind = 'system' AND key > ? AND key < ?)) ORDER BY key",
        (-decoding_of(connection, run), key, key + LABEL, key + LABEL[:-1] + chr(ord(LABEL[-1]) + 1)),
    )
    return [_Series(found.removeprefix(key).removeprefix(LABEL), Stored(*stored)) for found, *stored in rows]


def _against(connection: sqlite3.Connection, series: Stored, across: Stored, axis: Axis, buckets: int) -> Curve:
    """The curve of one metric over the value that another one had in the same row."""
    buckets = max(1, min(buckets, MAX_BUCKETS))
    table, x = _paired(connection, series, across, buckets)
    lines = np.zeros(len(x), np.int64)
    (curve,) = curves(lines, table, x, (axis.start, axis.stop), 1, buckets)
    return curve


def _paired(connection: sqlite3.Connection, series: Stored, across: Stored, buckets: int) -> tuple[Table, Column]:
    """Values of one metric, and where they stand: at the other one's in the same rows; of very many points about."""
    if series.count + across.count <= PAIRED:
        xs = all_points(connection, across.id)
        at = {step: value for step, value in zip(xs.steps, xs.values, strict=True) if math.isfinite(value)}
        table = summaries.of_points(all_points(connection, series.id))
        x = np.array([at.get(step, math.nan) for step in table[:, STEP_LOW].tolist()])
    else:
        whole = Range("step", -math.inf, math.inf)
        _, curve = read_summaries(connection, [across], whole, 2 * buckets)
        curve = curve[curve[:, FINITE] > 0]
        curve = curve[np.argsort(curve[:, STEP_LOW])]
        _, table = read_summaries(connection, [series], whole, 2 * buckets)
        x = interpolated(curve[:, STEP_LOW], curve[:, SUM] / curve[:, FINITE], table[:, STEP_LOW])
    there = ~np.isnan(x)
    return table[there], x[there]


def interpolated(steps: Column, values: Column, at: Column) -> Column:
    """A curve's values at some steps, on the straight lines between its points; NaN outside of it. Pure."""
    if not len(steps):
        return np.full(len(at), math.nan)
    return np.interp(at, steps, values, left=math.nan, right=math.nan)
