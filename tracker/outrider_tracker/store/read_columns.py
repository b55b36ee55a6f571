"""Charts of long series: columns of summaries, folded into buckets without an object for each of them.

This is what `read_series.bucketed(summaries(…))` gives, many times faster, for what nearly all series are: x ascends
and every number is finite. Of other series it gives None.
"""

from __future__ import annotations

import math
import sqlite3
from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from itertools import islice
from operator import le

from outrider_tracker.store import pointcodec
from outrider_tracker.store.pointcodec import GROUP, Points
from outrider_tracker.store.points import tail

FINE_CHUNKS = 128  # of fewer than these the roll-ups are read; of more, chunks serve from half as many as buckets

Line = tuple[list[float], list[float], list[float], list[float]]
"""x, min, max and mean of each bucket."""


def _doubles() -> array[float]:
    return array("d")


@dataclass(slots=True)
class Columns:
    """Summaries of one series as columns: bounds of x, and of the values their least, largest, sum and number."""

    x_low: array[float] = field(default_factory=_doubles)
    x_high: array[float] = field(default_factory=_doubles)
    low: array[float] = field(default_factory=_doubles)
    high: array[float] = field(default_factory=_doubles)
    sum: array[float] = field(default_factory=_doubles)
    count: array[float] = field(default_factory=_doubles)

    def add_points(self, points: Points, x: str) -> None:
        """Each point as its own summary."""
        at = points.steps if x == "step" else points.times
        self.x_low.extend(at)
        self.x_high.extend(at)
        for column in (self.low, self.high, self.sum):
            column.extend(points.values)
        self.count.extend(array("d", (1.0,)) * len(at))

    def add_rollup(self, data: bytes, x: str) -> None:
        """The summaries of one chunk's roll-up."""
        self.add_flat(pointcodec.decode_flat(data), x)

    def add_flat(self, flat: array[float], x: str) -> None:
        """Summaries as eight numbers each, one after the other."""
        first = 2 if x == "step" else 0
        self.x_low.extend(flat[first::8])
        self.x_high.extend(flat[first + 1 :: 8])
        for place, column in enumerate((self.low, self.high, self.sum, self.count), 4):
            column.extend(flat[place::8])

    @property
    def all(self) -> tuple[array[float], ...]:
        """The six of them."""
        return (self.x_low, self.x_high, self.low, self.high, self.sum, self.count)

    def sound(self) -> bool:
        """Whether every number is finite and nothing stands for no value at all."""
        return all(map(math.isfinite, map(sum, self.all))) and (not self.count or min(self.count) >= 1.0)

    def extend(self, other: Columns) -> None:
        """Adds another's behind ours."""
        for ours, theirs in zip(self.all, other.all, strict=True):
            ours.extend(theirs)

    def cut(self, start: int, stop: int) -> Columns:
        """Entries [start, stop)."""
        return Columns(*(column[start:stop] for column in self.all))


def read_line(
    connection: sqlite3.Connection, series: int, x: str, between: tuple[float, float], buckets: int
) -> Line | None:
    """The buckets of a series by `x` ("step" or "time") in low <= x <= high. None: a series that is not read here."""
    inside = "series = ? AND {0}_low <= ? AND {0}_high >= ?".format("step" if x == "step" else "time")
    values = (series, between[1], between[0])
    total, chunks = connection.execute(
        f"SELECT ifnull(sum(count), 0), count(*) FROM point_chunk WHERE {inside}",  # noqa: S608
        values,
    ).fetchone()
    found = Columns()
    if chunks >= buckets or chunks >= max(buckets // 2, FINE_CHUNKS):
        rows = connection.execute(
            f"SELECT {x}_low, {x}_high, low, high, sum, finite FROM point_chunk WHERE {inside} ORDER BY first",  # noqa: S608
            values,
        )
        try:
            columns = [array("d", column) for column in zip(*rows, strict=True)]
        except TypeError:  # NULL: no step is known, or no value is finite
            return None
        found = Columns(*columns)
    elif total >= 2 * GROUP * buckets:
        for (data,) in connection.execute(f"SELECT rollup FROM point_chunk WHERE {inside} ORDER BY first", values):  # noqa: S608
            found.add_rollup(data, x)
    else:
        for (data,) in connection.execute(f"SELECT points FROM point_chunk WHERE {inside} ORDER BY first", values):  # noqa: S608
            found.add_points(pointcodec.decode(data), x)
    found.add_points(tail(connection, series), x)
    return fold(found, between, buckets)


def fold(columns: Columns, between: tuple[float, float], buckets: int) -> Line | None:
    """At most `buckets` equal parts of the range that hold something. None: x goes back, or is odd. Pure."""
    if not columns.sound():
        return None
    x = [(low + high) / 2 for low, high in zip(columns.x_low, columns.x_high, strict=True)]
    if not all(map(le, x, islice(x, 1, None))):
        return None
    start, stop = bisect_left(x, between[0]), bisect_right(x, between[1])
    edges = list(range(start, stop + 1)) if stop - start <= buckets else _edges(x, start, stop, buckets)
    line: Line = ([], [], [], [])
    for first, last in zip(edges, islice(edges, 1, None), strict=False):
        if first == last:
            continue
        low, high = min(columns.low[first:last]), max(columns.high[first:last])
        mean = pointcodec.total(columns.sum[first:last]) / sum(columns.count[first:last])
        line[0].append(x[first] if last - first == 1 else sum(x[first:last]) / (last - first))
        line[1].append(low)
        line[2].append(high)
        line[3].append(max(low, min(high, mean)))
    return line


def _edges(x: list[float], start: int, stop: int, buckets: int) -> list[int]:
    """Where each bucket begins, and the end."""
    first = x[start]
    width = (x[stop - 1] - first) / buckets or 1.0
    edges = [start]
    for bucket in range(1, buckets):
        edges.append(bisect_left(x, bucket, edges[-1], stop, key=lambda at: int((at - first) / width)))
    return [*edges, stop]
