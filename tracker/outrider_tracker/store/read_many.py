"""Charts of very many lines, such as one for each of a thousand ranks: read together, in few steps for all of them.

    outlines, points or chunks of all series in one query each ── columns for all lines of equal length ── groups

One by one each line would cost a few queries and some hundred calls. Where the lines are so many that they could not be
told apart anyway, each gets fewer buckets: the whole answer has at most about CELLS of them. A narrower range shows
more. Lines with numbers that are odd (no finite value, no step) are left to the reader of single lines.
"""

from __future__ import annotations

import json
import math
import sqlite3
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import islice
from operator import add, le, truediv
from typing import Final

from outrider_tracker.store import pointcodec
from outrider_tracker.store.pointcodec import Points
from outrider_tracker.store.points import CHUNK
from outrider_tracker.store.read_columns import Columns, Line

MANY: Final = 32  # lines from which on they are read together
CELLS: Final = 32_768  # buckets of all lines together, about
_OUTLINED: Final = pointcodec.GROUP * pointcodec.OUTLINE  # points under one entry of an outline
_LOOKED_AT: Final = 8  # lines by which it is chosen how coarse the others are read


def buckets_for(lines: int, buckets: int) -> int:
    """How many each of so many lines gets. Pure."""
    return max(8, min(buckets, CELLS // max(1, lines)))


def read_many(
    connection: sqlite3.Connection, ids: Sequence[int], x: str, between: tuple[float, float], buckets: int
) -> dict[int, Line | None]:
    """The lines of the series by `x` ("step" or "time") in low <= x <= high; None: to be read alone."""
    chunks, points = _density(connection, ids[:_LOOKED_AT], x, between)
    chosen = json.dumps(list(ids))
    half = buckets // 2
    if chunks >= half:
        found, size = _by_chunks(connection, chosen, x, between), CHUNK
    elif points >= half * _OUTLINED:
        found, size = _by_outlines(connection, chosen, x, between), _OUTLINED
    elif points >= half * pointcodec.GROUP:
        found, size = _by_rollups(connection, chosen, x, between), pointcodec.GROUP
    else:
        found, size = _by_points(connection, chosen, x, between), 1
    _add_tails(connection, chosen, x, found, size)
    by_length: dict[int, list[int]] = {}
    lines: dict[int, Line | None] = {}
    for series in ids:
        columns = _inside(found.get(series, Columns()), between)
        if columns is None:
            lines[series] = None
        else:
            found[series] = columns
            by_length.setdefault(len(columns.count), []).append(series)
    for length, alike in by_length.items():
        if length:
            lines |= _grouped(found, alike, length, -(-length // buckets))
        else:
            lines |= dict.fromkeys(alike, ([], [], [], []))
    return lines


def _density(
    connection: sqlite3.Connection, ids: Sequence[int], x: str, between: tuple[float, float]
) -> tuple[float, float]:
    """The most chunks in the range that one of the series has, and about how many points of these lie inside."""
    chunks = points = 0.0
    for series in ids:
        rows = connection.execute(
            f"SELECT count, {x}_low, {x}_high FROM point_chunk WHERE series = ? AND {x}_low <= ? AND {x}_high >= ?",  # noqa: S608
            (series, between[1], between[0]),
        ).fetchall()
        inside = 0.0
        for count, low, high in rows:
            width = (high - low) or 1.0
            inside += count * min(1.0, max(0.0, min(high, between[1]) - max(low, between[0])) / width + 1.0 / count)
        chunks, points = max(chunks, float(len(rows))), max(points, inside)
    return chunks, points


def _by_chunks(connection: sqlite3.Connection, ids: str, x: str, between: tuple[float, float]) -> dict[int, Columns]:
    found: dict[int, Columns] = {}
    for series, *numbers in connection.execute(
        f"SELECT series, {x}_low, {x}_high, low, high, sum, finite FROM point_chunk "  # noqa: S608
        f"WHERE series IN (SELECT value FROM json_each(?)) AND {x}_low <= ? AND {x}_high >= ? ORDER BY series, first",
        (ids, between[1], between[0]),
    ):
        columns = found.setdefault(series, Columns())
        for column, number in zip(columns.all, numbers, strict=True):
            column.append(math.nan if number is None else number)
    return found


def _by_outlines(connection: sqlite3.Connection, ids: str, x: str, between: tuple[float, float]) -> dict[int, Columns]:
    flats: dict[int, array[float]] = {}
    for series, outline in _column(connection, "point_outline", "outline", ids, x, between):
        flats.setdefault(series, array("d")).frombytes(outline)
    found: dict[int, Columns] = {}
    for series, flat in flats.items():
        found[series] = Columns()
        found[series].add_flat(flat, x)
    return found


def _by_rollups(connection: sqlite3.Connection, ids: str, x: str, between: tuple[float, float]) -> dict[int, Columns]:
    found: dict[int, Columns] = {}
    for series, rollup in _column(connection, "point_chunk", "rollup", ids, x, between):
        found.setdefault(series, Columns()).add_rollup(rollup, x)
    return found


def _by_points(connection: sqlite3.Connection, ids: str, x: str, between: tuple[float, float]) -> dict[int, Columns]:
    found: dict[int, Columns] = {}
    for series, points in _column(connection, "point_chunk", "points", ids, x, between):
        found.setdefault(series, Columns()).extend(_near(_single(pointcodec.decode(points), x), between))
    return found


def _column(  # noqa: PLR0917  a column of a table, and which of its rows
    connection: sqlite3.Connection, table: str, column: str, ids: str, x: str, between: tuple[float, float]
) -> Iterator[tuple[int, bytes]]:
    """A column of the chunks of all series, or of what stands beside them, in the range and in order."""
    return connection.execute(
        f"SELECT series, {column} FROM {table} WHERE series IN (SELECT value FROM json_each(?)) "  # noqa: S608
        f"AND {x}_low <= ? AND {x}_high >= ? ORDER BY series, first",
        (ids, between[1], between[0]),
    )


def _near(columns: Columns, between: tuple[float, float]) -> Columns:
    """Points in the range, where x ascends; else all of them."""
    at = columns.x_low
    if not all(map(le, at, islice(at, 1, None))):
        return columns
    return columns.cut(bisect_left(at, between[0]), bisect_right(at, between[1]))


def _single(points: Points, x: str) -> Columns:
    made = Columns()
    made.add_points(points, x)
    return made


def _add_tails(connection: sqlite3.Connection, ids: str, x: str, found: dict[int, Columns], size: int) -> None:
    """What is not sealed, in entries of `size` points."""
    tails: dict[int, list[Points]] = {}
    for series, data in connection.execute(
        "SELECT series, points FROM point_tail WHERE series IN (SELECT value FROM json_each(?)) ORDER BY series, first",
        (ids,),
    ):
        tails.setdefault(series, []).append(pointcodec.decode(data))
    for series, parts in tails.items():
        columns = found.setdefault(series, Columns())
        whole = _single(pointcodec.join(parts), x)
        columns.extend(whole if size == 1 else _joined(whole, size))


def _joined(columns: Columns, size: int) -> Columns:
    """Each `size` entries as one."""
    edges = range(0, len(columns.count), size)
    return Columns(
        array("d", (min(columns.x_low[at : at + size]) for at in edges)),
        array("d", (max(columns.x_high[at : at + size]) for at in edges)),
        array("d", (min(columns.low[at : at + size]) for at in edges)),
        array("d", (max(columns.high[at : at + size]) for at in edges)),
        array("d", (pointcodec.total(columns.sum[at : at + size]) for at in edges)),
        array("d", (sum(columns.count[at : at + size]) for at in edges)),
    )


def _inside(columns: Columns, between: tuple[float, float]) -> Columns | None:
    """The entries whose middle is in the range. None: x goes back, or is odd."""
    if not columns.sound() or not all(map(le, columns.x_low, islice(columns.x_low, 1, None))):
        return None
    if not columns.count or (between[0] <= columns.x_low[0] and columns.x_high[-1] <= between[1]):
        return columns
    middles = [(low + high) / 2 for low, high in zip(columns.x_low, columns.x_high, strict=True)]
    kept = [at for at, middle in enumerate(middles) if between[0] <= middle <= between[1]]
    return columns.cut(kept[0], kept[-1] + 1) if kept else Columns()


def _grouped(found: dict[int, Columns], alike: Sequence[int], length: int, size: int) -> Iterator[tuple[int, Line]]:
    """Lines of so many entries each, `size` of them joined to one bucket, all lines at once."""
    whole = -(-length // size) * size
    padding = [
        array("d", (number,)) * (whole - length) for number in (math.inf, -math.inf, math.inf, -math.inf, 0.0, 0.0)
    ]
    joined = Columns()
    for series in alike:
        for column, own, fill in zip(joined.all, found[series].all, padding, strict=True):
            column.extend(own)
            column.extend(fill)

    def over(column: array[float]) -> list[array[float]]:
        return [column[at::size] for at in range(size)]

    if size == 1:
        starts, stops, lows, highs, sums, counts = (list(column) for column in joined.all)
    else:
        starts = list(map(min, *over(joined.x_low)))
        stops = list(map(max, *over(joined.x_high)))
        lows = list(map(min, *over(joined.low)))
        highs = list(map(max, *over(joined.high)))
        sums, counts = list(joined.sum[::size]), list(joined.count[::size])
        for at in range(1, size):
            sums = list(map(add, sums, joined.sum[at::size]))
            counts = list(map(add, counts, joined.count[at::size]))
    xs = [(start + stop) / 2 for start, stop in zip(starts, stops, strict=True)]
    means = list(map(max, lows, map(min, highs, map(truediv, sums, counts))))
    each = whole // size
    for at, series in enumerate(alike):
        part = slice(at * each, (at + 1) * each)
        yield series, (xs[part], lows[part], highs[part], means[part])
