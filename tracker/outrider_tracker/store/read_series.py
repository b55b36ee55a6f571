"""Series of a Run for charts: how much is read depends on the width of the chart, not on the length of the run."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from outrider_tracker.store import pointcodec, read_many
from outrider_tracker.store.pointcodec import GROUP, Points, Summary
from outrider_tracker.store.points import CHUNK, tail
from outrider_tracker.store.read_columns import Line, read_line
from outrider_tracker.store.records import SeriesInfo, SeriesLine

MAX_BUCKETS: Final = 5000


@dataclass(frozen=True, slots=True)
class Range:
    """The part of x that is asked for; `x` is "time" or "step"."""

    x: str
    start: float
    stop: float


def list_series(connection: sqlite3.Connection, run: str) -> list[SeriesInfo]:
    """See ReadStore.list_series."""
    rows = connection.execute(
        # `last` is taken from the row with the newest last_time: SQLite's rule for a bare column beside one max().
        "SELECT key, kind, scope, count(*), sum(count), last, max(last_time) FROM series "
        "WHERE source IN (SELECT id FROM source WHERE run_id = ?) GROUP BY kind, key, scope ORDER BY kind, key, scope",
        (run,),
    )
    return [SeriesInfo(key, kind, scope, lines, points, last) for key, kind, scope, lines, points, last, _ in rows]


def read_series(connection: sqlite3.Connection, run: str, key: str, wanted: Range, buckets: int) -> list[SeriesLine]:
    """See ReadStore.read_series; many lines get fewer buckets each (store/read_many.py)."""
    buckets = max(1, min(buckets, MAX_BUCKETS))
    rows = connection.execute(
        "SELECT series.id, series.rank, series.scope, series.container, source.node_rank, source.attempt, source.pod "
        "FROM series JOIN source ON source.id = series.source WHERE source.run_id = ? AND series.key = ? "
        "ORDER BY source.attempt, source.node_rank, series.rank, source.pod",
        (run, key),
    ).fetchall()
    lines: list[SeriesLine] = []
    many: dict[int, Line | None] = {}
    if len(rows) >= read_many.MANY:
        buckets = read_many.buckets_for(len(rows), buckets)
        many = read_many.read_many(connection, [row[0] for row in rows], wanted.x, (wanted.start, wanted.stop), buckets)
    for series, rank, scope, container, node_rank, attempt, pod in rows:
        xs, lows, highs, means = many.get(series) or line_of(connection, series, wanted, buckets)
        if xs:
            label = _label(rank, scope, container, pod)
            lines.append(SeriesLine(label, rank, node_rank, attempt, xs, lows, highs, means))
    return lines


def line_of(connection: sqlite3.Connection, series: int, wanted: Range, buckets: int) -> Line:
    """The buckets of a series, the fast way if it can go that way."""
    found = read_line(connection, series, wanted.x, (wanted.start, wanted.stop), buckets)
    return bucketed(summaries(connection, series, wanted, buckets), wanted, buckets) if found is None else found


def bucketed(
    parts: Sequence[Summary], wanted: Range, buckets: int
) -> tuple[list[float], list[float], list[float], list[float]]:
    """Columns x, min, max, mean of at most `buckets` equal parts of the range that holds something. Pure.

    Where there are no more parts than buckets, each stands for itself at its own x.
    """
    placed = sorted(
        ((x, part) for part in parts if wanted.start <= (x := _middle(part, wanted.x)) <= wanted.stop),
        key=lambda item: item[0],
    )
    if len(placed) <= buckets:
        groups = [[item] for item in placed]
    else:
        first, last = placed[0][0], placed[-1][0]
        width = (last - first) / buckets or 1.0
        groups = []
        current = -1
        for x, part in placed:
            bucket = min(buckets - 1, int((x - first) / width))
            if bucket != current:
                groups.append([])
                current = bucket
            groups[-1].append((x, part))
    columns: tuple[list[float], list[float], list[float], list[float]] = ([], [], [], [])
    for group in groups:
        known = [part for _, part in group if part.finite]
        count = sum(part.finite for part in known)
        columns[0].append(group[0][0] if len(group) == 1 else sum(x for x, _ in group) / len(group))
        low = min((part.low for part in known), default=_odd(group))
        high = max((part.high for part in known), default=_odd(group))
        columns[1].append(low)
        columns[2].append(high)
        # Sums at the end of what doubles can say are cut there: their mean is between the extremes all the same.
        mean = pointcodec.total(part.sum for part in known) / count if count else _odd(group)
        columns[3].append(max(low, min(high, mean)))
    return columns


def summaries(connection: sqlite3.Connection, series: int, wanted: Range, buckets: int) -> list[Summary]:
    """Summaries of the points in the range: of single points, of 16, or of chunks, as coarse as may be."""
    inside = "series = ? AND {0}_low <= ? AND {0}_high >= ?".format("step" if wanted.x == "step" else "time")
    values = (series, wanted.stop, wanted.start)
    total = int(
        connection.execute(f"SELECT ifnull(sum(count), 0) FROM point_chunk WHERE {inside}", values).fetchone()[0]  # noqa: S608
    )
    if total >= 4 * CHUNK * buckets:
        rows = connection.execute(
            "SELECT time_low, time_high, step_low, step_high, low, high, sum, finite FROM point_chunk "  # noqa: S608
            f"WHERE {inside} ORDER BY first",
            values,
        )
        parts = [Summary(*(math.nan if value is None else value for value in row)) for row in rows]
    elif total >= 2 * GROUP * buckets:
        rows = connection.execute(f"SELECT rollup FROM point_chunk WHERE {inside} ORDER BY first", values)  # noqa: S608
        parts = [summary for row in rows for summary in pointcodec.decode_summaries(row[0])]
    else:
        rows = connection.execute(f"SELECT points FROM point_chunk WHERE {inside} ORDER BY first", values)  # noqa: S608
        parts = [summary for row in rows for summary in _single(pointcodec.decode(row[0]))]
    return parts + _single(tail(connection, series))


def _single(points: Points) -> list[Summary]:
    """Each point as its own summary; one that is not finite keeps its value as `sum` and counts as none."""
    return [
        Summary(time, time, step, step, value, value, value, 1.0 if math.isfinite(value) else 0.0)
        for time, step, value in zip(points.times, points.steps, points.values, strict=True)
    ]


def _odd(group: Sequence[tuple[float, Summary]]) -> float:
    """What a bucket without finite values shows: its one value, else NaN."""
    return group[0][1].low if len(group) == 1 else math.nan


def _middle(part: Summary, x: str) -> float:
    low, high = (part.step_low, part.step_high) if x == "step" else (part.time_low, part.time_high)
    return low if low == high else (low + high) / 2


def _label(rank: int | None, scope: str, container: str, pod: str) -> str:
    if rank is not None:
        return f"rank {rank}"
    if scope == "container" and container:
        return f"{pod} {container}"
    return pod or scope
