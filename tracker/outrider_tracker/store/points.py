"""PointStore on SQLite: tails of small batches, sealed into chunks of 1000 points with summaries and a x16 roll-up.

A series has at most one chunk that is not full; a seal joins it with the tail. Chunks are packed from a snapshot and
committed if the tail is still there, so that the writer never waits for the packing.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from outrider_tracker.store import pointcodec
from outrider_tracker.store.database import Readers
from outrider_tracker.store.pointcodec import Points
from outrider_tracker.store.writer import Writer

CHUNK: Final = 1000
SEAL_SECONDS: Final = 300.0
MAX_SERIES: Final = 50_000  # of one run (or of a source without one); more is refused and counted
_ASKED_AT_ONCE: Final = (1, 4, 16, 64, 256)
_SEALED_AT_ONCE: Final = 64  # series packed before one transaction takes them …
_POINTS_AT_ONCE: Final = 50_000  # … or about this many points


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """What tells the series of one source apart. `kind`: system or user; `scope`: rank, container, node or user."""

    key: str
    kind: str
    scope: str
    rank: int | None
    container: str


def append(
    connection: sqlite3.Connection,
    source: int,
    batches: Mapping[SeriesKey, Points],
    now: float,
    most: float = MAX_SERIES,
) -> int:
    """Adds points to the tails within the caller's transaction. How many were refused: over `most` series."""
    known = _known(connection, source, batches)
    missing = [key for key in batches if key not in known]
    refused = 0
    if missing:
        room = most - _series_of_run(connection, source)
        for place, key in enumerate(missing):
            if place >= room:
                refused += len(batches[key])
                continue
            made = connection.execute(
                "INSERT INTO series (source, key, kind, scope, rank, container) VALUES (?, ?, ?, ?, ?, ?)",
                (source, key.key, key.kind, key.scope, key.rank, key.container),
            )
            assert made.lastrowid is not None
            known[key] = made.lastrowid, 0
    tails: list[tuple[int, int, int, bytes]] = []
    heads: list[tuple[int, float | None, float, int, float, int]] = []
    for key, points in batches.items():
        if key in known:
            series, count = known[key]
            tails.append((series, count, len(points), pointcodec.encode(points, pack=False)))
            last = points.values[-1]
            kept = last if math.isfinite(last) else None
            heads.append((len(points), kept, points.times[-1], len(points), now, series))
    connection.executemany("INSERT INTO point_tail (series, first, count, points) VALUES (?, ?, ?, ?)", tails)
    connection.executemany(
        "UPDATE series SET count = count + ?, last = ?, last_time = ?, tail_count = tail_count + ?, "
        "tail_since = ifnull(tail_since, ?) WHERE id = ?",
        heads,
    )
    if refused:
        connection.execute("UPDATE source SET refused_series = refused_series + ? WHERE id = ?", (refused, source))
    return refused


def _known(
    connection: sqlite3.Connection, source: int, wanted: Iterable[SeriesKey]
) -> dict[SeriesKey, tuple[int, int]]:
    """Ids and counts of those series that are there."""
    keys = sorted({item.key for item in wanted})
    known: dict[SeriesKey, tuple[int, int]] = {}
    for start in range(0, len(keys), _ASKED_AT_ONCE[-1]):
        part = keys[start : start + _ASKED_AT_ONCE[-1]]
        # Few sizes of statements, so that each stays prepared.
        size = next(size for size in _ASKED_AT_ONCE if size >= len(part))
        rows = connection.execute(
            "SELECT key, kind, scope, rank, container, id, count FROM series WHERE source = ? "  # noqa: S608
            f"AND key IN ({','.join('?' * size)})",
            (source, *part, *part[:1] * (size - len(part))),
        )
        known |= {SeriesKey(*row[:5]): (row[5], row[6]) for row in rows}
    return known


def _series_of_run(connection: sqlite3.Connection, source: int) -> int:
    """Series of the source, and of the others of its Run."""
    row = connection.execute(
        "SELECT count(*) FROM series WHERE source IN (SELECT ? UNION SELECT id FROM source WHERE run_id = "
        "(SELECT run_id FROM source WHERE id = ?))",
        (source, source),
    ).fetchone()
    return int(row[0])


def remove(connection: sqlite3.Connection, owner: int, most: int) -> int:
    """Removes at most `most` series of an owner, with their points. How many."""
    dropped = [row[0] for row in connection.execute("SELECT id FROM series WHERE source = ? LIMIT ?", (owner, most))]
    tables = (("point_tail", "series"), ("point_chunk", "series"), ("point_outline", "series"), ("series", "id"))
    for table, column in tables:
        connection.executemany(f"DELETE FROM {table} WHERE {column} = ?", [(series,) for series in dropped])  # noqa: S608
    return len(dropped)


def tail(connection: sqlite3.Connection, series: int) -> Points:
    """The points that are not sealed yet, in order."""
    rows = connection.execute("SELECT points FROM point_tail WHERE series = ? ORDER BY first", (series,))
    return pointcodec.join(pointcodec.decode(row[0]) for row in rows)


def all_points(connection: sqlite3.Connection, series: int) -> Points:
    """Every point of a series, in the order they came."""
    rows = connection.execute("SELECT points FROM point_chunk WHERE series = ? ORDER BY first", (series,))
    return pointcodec.join([*(pointcodec.decode(row[0]) for row in rows), tail(connection, series)])


def some_steps(connection: sqlite3.Connection, series: int, between: tuple[float, float], most: int) -> list[float]:
    """At most `most` of the steps low <= step < high at which a series has points, ascending, from all over it."""
    low, high = between
    firsts = connection.execute(
        "SELECT first FROM point_chunk WHERE series = ? AND step_high >= ? AND step_low < ? ORDER BY first",
        (series, low, high),
    ).fetchall()
    steps = tail(connection, series).steps
    for (first,) in firsts[:: max(1, len(firsts) // max(1, most))]:
        (data,) = connection.execute(
            "SELECT points FROM point_chunk WHERE series = ? AND first = ?", (series, first)
        ).fetchone()
        steps += pointcodec.decode(data).steps
    found = sorted({step for step in steps if low <= step < high})
    return found[:: max(1, -(-len(found) // max(1, most)))]


@dataclass(frozen=True, slots=True)
class _Sealed:
    """What becomes of a series' tail: rows of new chunks, instead of `batches` of the tail up to the one at `last`.

    `open`: place and length of the chunk that was not full, which they replace.
    """

    series: int
    batches: int
    last: int
    open: tuple[int, int] | None
    points: int
    chunks: Sequence[tuple[float | bytes, ...]]
    outlines: Sequence[tuple[float | bytes, ...]]


def _prepare(connection: sqlite3.Connection, series: int) -> _Sealed | None:
    """Packs a series' tail; None if it has none."""
    rows = connection.execute(
        "SELECT first, points FROM point_tail WHERE series = ? ORDER BY first", (series,)
    ).fetchall()
    if not rows:
        return None
    parts = [pointcodec.decode(data) for _, data in rows]
    found = connection.execute(
        "SELECT first, count, points FROM point_chunk WHERE series = ? AND count < ? ORDER BY first DESC LIMIT 1",
        (series, CHUNK),
    ).fetchone()
    points = sum(map(len, parts))
    whole = pointcodec.join(parts if found is None else [pointcodec.decode(found[2]), *parts])
    first = rows[0][0] if found is None else found[0]
    made = [_chunk(series, first + at, whole.cut(at, at + CHUNK)) for at in range(0, len(whole), CHUNK)]
    chunks, outlines = [chunk for chunk, _ in made], [outline for _, outline in made]
    place = None if found is None else (found[0], found[1])
    return _Sealed(series, len(rows), rows[-1][0], place, points, chunks, outlines)


def _chunk(series: int, first: int, points: Points) -> tuple[tuple[float | bytes, ...], tuple[float | bytes, ...]]:
    """Rows of point_chunk and point_outline."""
    whole = pointcodec.summarize(points)
    rolled = pointcodec.rollup(points)
    outline = pointcodec.encode_outline(pointcodec.outline(rolled))
    return (
        series,
        first,
        len(points),
        whole.time_low,
        whole.time_high,
        whole.step_low,
        whole.step_high,
        whole.low,
        whole.high,
        whole.sum,
        int(whole.finite),
        points.values[0],
        points.values[-1],
        pointcodec.encode(points, pack=True),
        pointcodec.encode_summaries(rolled),
    ), (series, first, whole.time_low, whole.time_high, whole.step_low, whole.step_high, outline)


def _commit(connection: sqlite3.Connection, sealed: _Sealed, now: float) -> None:
    """Puts the chunks in place of the tail; nothing, if the series is not any more what they were made from."""
    series = sealed.series
    (batches,) = connection.execute(
        "SELECT count(*) FROM point_tail WHERE series = ? AND first <= ?", (series, sealed.last)
    ).fetchone()
    if batches != sealed.batches:
        return
    if sealed.open is not None:
        gone = connection.execute(
            "DELETE FROM point_chunk WHERE series = ? AND first = ? AND count = ?", (series, *sealed.open)
        )
        if gone.rowcount != 1:
            return
    connection.executemany(
        "INSERT INTO point_chunk (series, first, count, time_low, time_high, step_low, step_high, low, high, sum, "
        "finite, head, last, points, rollup) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        sealed.chunks,
    )
    # An open chunk's outline has the place of what replaces it.
    connection.executemany("INSERT OR REPLACE INTO point_outline VALUES (?, ?, ?, ?, ?, ?, ?)", sealed.outlines)
    connection.execute("DELETE FROM point_tail WHERE series = ? AND first <= ?", (series, sealed.last))
    # What came while the chunks were packed is younger than that.
    connection.execute(
        "UPDATE series SET tail_since = CASE WHEN tail_count > ? THEN ? END, tail_count = max(0, tail_count - ?) "
        "WHERE id = ?",
        (sealed.points, now, sealed.points, series),
    )


class SqlitePointStore:
    """See PointStore."""

    def __init__(self, readers: Readers, writer: Writer) -> None:
        self._readers = readers
        self._writer = writer

    def append(self, source: int, batches: Mapping[SeriesKey, Points], now: float) -> int:
        """Adds points, durably. How many were refused."""
        return self._writer.run(lambda connection: append(connection, source, batches, now))

    def read_points(self, series: int) -> tuple[Sequence[float], Sequence[float], Sequence[float]]:
        """See PointStore."""
        with self._readers.snapshot() as connection:
            points = all_points(connection, series)
        return points.times, points.steps, points.values

    def seal(self, now: float) -> int:
        """See PointStore: a tail is sealed at 1000 points, or when its oldest point came 5 minutes ago."""
        with self._readers.snapshot() as connection:
            due = connection.execute(
                "SELECT id, tail_count FROM series WHERE tail_count > 0 AND (tail_count >= ? OR tail_since <= ?)",
                (CHUNK, now - SEAL_SECONDS),
            ).fetchall()
        for part in _portions(due):
            with self._readers.snapshot() as connection:
                packed = [sealed for series in part if (sealed := _prepare(connection, series)) is not None]
            self._writer.run(lambda connection, packed=packed: _commit_all(connection, packed, now))  # type: ignore[misc]
        return len(due)


def _portions(due: Iterable[tuple[int, int]]) -> Iterator[list[int]]:
    """Series with their numbers of points, in portions that are packed together. Pure."""
    part: list[int] = []
    points = 0
    for series, count in due:
        part.append(series)
        points += count
        if len(part) >= _SEALED_AT_ONCE or points >= _POINTS_AT_ONCE:
            yield part
            part, points = [], 0
    if part:
        yield part


def _commit_all(connection: sqlite3.Connection, packed: Sequence[_Sealed], now: float) -> None:
    for sealed in packed:
        _commit(connection, sealed, now)
