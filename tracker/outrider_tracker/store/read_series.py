"""Series of a Run for charts: how much is read depends on the width of the chart, not on the length of the run."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from outrider_tracker.store.curves import MANY, Curve, buckets_for, curves
from outrider_tracker.store.read_summaries import STORED, Range, Stored, read_summaries
from outrider_tracker.store.records import SeriesInfo, SeriesLine

MAX_BUCKETS: Final = 5000


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
    """See ReadStore.read_series; very many lines get fewer buckets each."""
    rows = connection.execute(
        f"SELECT {STORED}, series.rank, series.scope, series.container, source.node_rank, source.attempt, source.pod "  # noqa: S608
        "FROM series JOIN source ON source.id = series.source WHERE source.run_id = ? AND series.key = ? "
        "ORDER BY source.attempt, source.node_rank, series.rank, source.pod",
        (run, key),
    ).fetchall()
    found = read_curves(connection, [Stored(*row[:3]) for row in rows], wanted, buckets)
    return [
        SeriesLine(_label(rank, scope, container, pod), rank, node_rank, attempt, *curve)
        for curve, (_, _, _, rank, scope, container, node_rank, attempt, pod) in zip(found, rows, strict=True)
        if curve[0]
    ]


def read_curves(
    connection: sqlite3.Connection, series: Sequence[Stored], wanted: Range, buckets: int
) -> Sequence[Curve]:
    """The curve of each series over the range."""
    buckets = buckets_for(len(series), max(1, min(buckets, MAX_BUCKETS)))
    # Of few lines somewhat more is read than is shown, so that all buckets are equally wide.
    lines, table = read_summaries(connection, series, wanted, 2 * buckets if len(series) < MANY else buckets // 2)
    return curves(lines, table, wanted.middle(table), (wanted.start, wanted.stop), len(series), buckets)


def _label(rank: int | None, scope: str, container: str, pod: str) -> str:
    if rank is not None:
        return f"rank {rank}"
    if scope == "container" and container:
        return f"{pod} {container}"
    return pod or scope
