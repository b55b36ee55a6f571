"""PointStore on SQLite: tails of small batches, sealed into chunks of 1000 points with roll-ups, and levels over them.

A series has at most one chunk that is not full; a seal joins it with the tail. Chunks are packed from a snapshot and
committed if the tail is still there, so that the writer never waits for the packing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from outrider_tracker.store import counted, levels, pointcodec, summaries
from outrider_tracker.store.batches import Batch, Points, SeriesKey, batches, join
from outrider_tracker.store.database import Readers
from outrider_tracker.store.levels import CHUNK, OUTLINES
from outrider_tracker.store.writer import Writer

SEAL_SECONDS: Final = 300.0
MAX_SERIES: Final = 50_000  # of one run (or of a source without one); more is refused and counted
_ASKED_AT_ONCE: Final = (1, 4, 16, 64, 256)
_SEALED_AT_ONCE: Final = 64  # series packed before one transaction takes them …
_POINTS_AT_ONCE: Final = 50_000  # … or about this many points


def append(
    connection: sqlite3.Connection,
    source: int,
    found: Sequence[Batch],
    now: float,
    most: float = MAX_SERIES,
) -> int:
    """Adds points to the tails within the caller's transaction. How many were refused: over `most` series."""
    known = _known(connection, source, found)
    missing = [batch for batch in found if batch.key not in known]
    refused = 0
    if missing:
        room, there = most - _series_of_run(connection, source), len(known)
        for place, batch in enumerate(missing):
            if place >= room:
                refused += batch.count
                continue
            key = batch.key
            made = connection.execute(
                "INSERT INTO series (source, key, kind, scope, rank, container) VALUES (?, ?, ?, ?, ?, ?)",
                (source, key.key, key.kind, key.scope, key.rank, key.container),
            )
            assert made.lastrowid is not None
            known[key] = made.lastrowid, 0
        if source < 0:
            counted.add(connection, -source, "series", len(known) - there)
    tails: list[tuple[int, int, int, bytes]] = []
    heads: list[tuple[int, float | None, float, int, float, int]] = []
    for batch in found:
        if batch.key in known:
            series, count = known[batch.key]
            tails.append((series, count, batch.count, batch.points))
            heads.append((batch.count, batch.last, batch.last_time, batch.count, now, series))
    connection.executemany("INSERT INTO point_tail (series, first, count, points) VALUES (?, ?, ?, ?)", tails)
    connection.executemany(
        "UPDATE series SET count = count + ?, last = ?, last_time = ?, tail_count = tail_count + ?, "
        "tail_since = ifnull(tail_since, ?) WHERE id = ?",
        heads,
    )
    if refused:
        connection.execute("UPDATE source SET refused_series = refused_series + ? WHERE id = ?", (refused, source))
    return refused


def _known(connection: sqlite3.Connection, source: int, wanted: Iterable[Batch]) -> dict[SeriesKey, tuple[int, int]]:
    """Ids and counts of those series that are there."""
    keys = sorted({item.key.key for item in wanted})
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
    if source < 0:
        return counted.held(connection, -source, "series")
    row = connection.execute(
        "SELECT count(*) FROM series WHERE source IN (SELECT ? UNION SELECT id FROM source WHERE run_id = "
        "(SELECT run_id FROM source WHERE id = ?))",
        (source, source),
    ).fetchone()
    return int(row[0])


def remove(connection: sqlite3.Connection, owner: int, most: int) -> int:
    """Removes at most `most` series of an owner, with their points. How many."""
    dropped = [row[0] for row in connection.execute("SELECT id FROM series WHERE source = ? LIMIT ?", (owner, most))]
    tables = (("point_tail", "series"), ("point_chunk", "series"), ("point_level", "series"), ("series", "id"))
    for table, column in tables:
        connection.executemany(f"DELETE FROM {table} WHERE {column} = ?", [(series,) for series in dropped])  # noqa: S608
    return len(dropped)


def all_points(connection: sqlite3.Connection, series: int) -> Points:
    """Every point of a series, in the order they came."""
    return join(
        pointcodec.decode(data)
        for table in ("point_chunk", "point_tail")
        for (data,) in connection.execute(f"SELECT points FROM {table} WHERE series = ? ORDER BY first", (series,))  # noqa: S608
    )


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
    chunks: Sequence[tuple[int, int, int, bytes, bytes]]
    levels: Sequence[tuple[int, int, int, bytes]]


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
    whole = join(parts if found is None else [pointcodec.decode(found[2]), *parts])
    first = rows[0][0] if found is None else found[0]
    chunks: list[tuple[int, int, int, bytes, bytes]] = []
    changed: list[levels.Row] = []
    full: list[summaries.Table] = [summaries.NONE]
    for at in range(0, len(whole), CHUNK):
        part = whole.cut(at, at + CHUNK)
        rolled = summaries.by(summaries.of_points(part), summaries.ROLLUP)
        outline = summaries.by(rolled, summaries.OUTLINE // summaries.ROLLUP)
        chunks.append((series, first + at, len(part), pointcodec.pack(part), summaries.pack(rolled)))
        changed.append(levels.Row(OUTLINES, first + at, outline))
        if len(part) == CHUNK:
            full.append(summaries.by(outline, len(outline)))
    count = first // CHUNK
    loose = {level: _level(connection, series, level, start) for level, start in levels.loose(count)}
    changed += levels.grown(loose, count, np.concatenate(full))
    place = None if found is None else (found[0], found[1])
    kept = [(series, row.level, row.first, summaries.encode(row.table)) for row in changed]
    return _Sealed(series, len(rows), rows[-1][0], place, points, chunks, kept)


def _level(connection: sqlite3.Connection, series: int, level: int, first: int) -> summaries.Table:
    """The summaries of a row that is there."""
    (data,) = connection.execute(
        "SELECT summaries FROM point_level WHERE series = ? AND level = ? AND first = ?", (series, level, first)
    ).fetchone()
    return summaries.decode(data)


def _commit(connection: sqlite3.Connection, sealed: _Sealed, now: float) -> None:
    """Puts the chunks in place of the tail; nothing, if the series is not any more what they were made from."""
    series = sealed.series
    (held,) = connection.execute(
        "SELECT count(*) FROM point_tail WHERE series = ? AND first <= ?", (series, sealed.last)
    ).fetchone()
    if held != sealed.batches:
        return
    if sealed.open is not None:
        gone = connection.execute(
            "DELETE FROM point_chunk WHERE series = ? AND first = ? AND count = ?", (series, *sealed.open)
        )
        if gone.rowcount != 1:
            return
    connection.executemany(
        "INSERT INTO point_chunk (series, first, count, points, rollup) VALUES (?, ?, ?, ?, ?)", sealed.chunks
    )
    # What was loose, and the outline of the chunk that was open, are replaced in their places.
    connection.executemany("INSERT OR REPLACE INTO point_level VALUES (?, ?, ?, ?)", sealed.levels)
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

    def append(self, source: int, series: Mapping[SeriesKey, Points], now: float) -> int:
        """Adds points, durably. How many were refused."""
        found = batches(series)
        return self._writer.run(lambda connection: append(connection, source, found, now))

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
