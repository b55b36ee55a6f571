"""Summaries of series within a range of x: no more of them are read than a chart of some width can show.

    loose rows and tails ── level by level: what lies outside is dropped; where too few are left, finer ones are read

All series are read together, in one query for each level, however many they are.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from outrider_tracker.store import levels, pointcodec, summaries
from outrider_tracker.store.levels import CHUNK, OUTLINES
from outrider_tracker.store.summaries import Column, Places, Table

Mask: TypeAlias = NDArray[np.bool_]

_ROLLUPS, _POINTS = OUTLINES - 1, OUTLINES - 2  # what lies below the levels: in each chunk
_SPANS: Final = {_ROLLUPS: summaries.ROLLUP, _POINTS: 1}
_ANY: Final = 64  # a level that no series has: 16 ** 64 points
_LINE: Final = 40  # bits for the number of a point, where it is joined with that of its line
_TAILS_AT_ONCE: Final = 65_536  # points as summaries: 64 bytes each


class Stored(msgspec.Struct, frozen=True):
    """A series as it lies in the store: its id, how many points it has, and how many of them are in chunks."""

    id: int
    count: int
    sealed: int


STORED: Final = "series.id, series.count, series.count - series.tail_count"
"""The columns of Stored."""


@dataclass(frozen=True, slots=True)
class Range:
    """The part of x that is asked for; `x` is "time" or "step"."""

    x: str
    start: float
    stop: float

    @property
    def everything(self) -> bool:
        """Whether no point is out of it."""
        return self.start == -math.inf and self.stop == math.inf

    def overlapped(self, low: Column, high: Column) -> Mask:
        """Which of the spans from low to high have something of it; an x that is not known (NaN) lies nowhere."""
        found: Mask = (high >= self.start) & (low <= self.stop)
        return found

    def holds(self, columns: NDArray[np.float64]) -> Mask:
        """Which points of `pointcodec.decode_columns` lie in it."""
        x = columns[1 if self.x == "step" else 0]
        return self.overlapped(x, x)

    def share(self, table: Table) -> Column:
        """How much of each summary's x lies in the range, if it overlaps it: 0 to 1."""
        if self.everything:
            return np.ones(len(table))
        low, high = self.bounds(table)
        with np.errstate(invalid="ignore", over="ignore"):
            found = (np.minimum(high, self.stop) - np.maximum(low, self.start)) / (high - low)
        return np.where(high > low, np.clip(found, 0.0, 1.0), 1.0)

    def bounds(self, table: Table) -> tuple[Column, Column]:
        """The columns of the least and the largest x."""
        first = summaries.STEP_LOW if self.x == "step" else summaries.TIME_LOW
        return table[:, first], table[:, first + 1]

    def middle(self, table: Table) -> Column:
        """Where each summary stands on x."""
        low, high = self.bounds(table)
        return np.where(low == high, low, low / 2 + high / 2)


@dataclass(frozen=True, slots=True)
class Part:
    """Summaries, and of each the place of its series among those asked for and the number of its first point."""

    lines: Places
    firsts: Places
    table: Table

    def kept(self, mask: Mask) -> Part:
        """Some of them."""
        return self if mask.all() else Part(self.lines[mask], self.firsts[mask], self.table[mask])

    def joined(self, other: Part) -> Part:
        """Both."""
        return Part(
            np.concatenate((self.lines, other.lines)),
            np.concatenate((self.firsts, other.firsts)),
            np.concatenate((self.table, other.table)),
        )


_NOTHING: Final = Part(np.empty(0, np.int64), np.empty(0, np.int64), summaries.NONE)


def read_summaries(
    connection: sqlite3.Connection, series: Sequence[Stored], wanted: Range, enough: int
) -> tuple[Places, Table]:
    """Summaries that overlap the range, and of each the place of its series in `series`; of each series as they came.

    Of each series there are at least about `enough`, and no more than some sixteen times as many, or all its points.
    """
    reader = _Reader(connection, series, wanted)
    tails = _Tails(connection, series, wanted)
    parts: dict[int, Part] = {}
    for level, spans in _roots(series, _limits(series, wanted, enough)).items():
        parts[level] = reader.fetch(level, spans)
    for level in range(max(parts, default=_POINTS), _POINTS, -1):
        part = parts.get(level)
        if part is None:
            continue
        targets = _levels(_extents(parts, tails.counts, wanted), enough, level)[part.lines]
        for target in np.unique(targets[targets < level]).tolist():
            below = reader.fetch(target, _spans(part.kept(targets == target), level))
            # Finer ones that were there before are of younger points.
            parts[target] = below.joined(parts[target]) if target in parts else below
        parts[level] = part.kept(targets == level)
    sizes = np.maximum(1, _extents(parts, tails.counts, wanted) // enough).astype(np.int64)
    found = [(parts[level].lines, parts[level].table) for level in sorted(parts, reverse=True)]
    found.append(tails.summaries(sizes))
    some = [part for part in found if len(part[0])] or found[-1:]
    if len(some) == 1:
        return some[0]  # nothing is joined: megabytes of many lines are not copied
    return np.concatenate([lines for lines, _ in some]), np.concatenate([table for _, table in some])


def _span(level: int) -> int:
    return levels.span(level) if level >= OUTLINES else _SPANS[level]


def _limits(series: Sequence[Stored], wanted: Range, enough: int) -> list[int]:
    """Of each line the level over which nothing need be read: all is wanted, and there it would be too coarse."""
    if not wanted.everything:
        return [_ANY] * len(series)
    counts = np.fromiter((stored.count for stored in series), np.float64, len(series))
    most = max((stored.sealed for stored in series), default=0)
    highest = max((level for level, _ in levels.loose(most // CHUNK)), default=OUTLINES)
    limits: list[int] = _levels(counts, enough, highest).tolist()
    return limits


def _roots(series: Sequence[Stored], limits: Sequence[int]) -> dict[int, list[tuple[int, int, int]]]:
    """Where to begin: at each level (line, first, last) of the rows that are not under another one, and at a line's
    limit what lies under its rows above that. Of each line the oldest come first.
    """
    found: dict[int, list[tuple[int, int, int]]] = {}
    for line, (stored, limit) in enumerate(zip(series, limits, strict=True)):
        chunks, rest = divmod(stored.sealed, CHUNK)
        rows = [*levels.loose(chunks)][::-1]
        if rest:
            rows.append((OUTLINES, chunks * CHUNK))
        low = [row for row in rows if row[0] <= limit]
        if len(low) < len(rows):
            found.setdefault(limit, []).append((line, 0, (low[0][1] if low else stored.sealed) - 1))
        for level, first in low:
            found.setdefault(level, []).append((line, first, first))
    return found


def _levels(extents: Column, enough: int, highest: int) -> Places:
    """Of each line the coarsest level, from `highest` on, of which there are enough summaries of so many points."""
    found = np.full(len(extents), _POINTS)
    for level in range(_POINTS + 1, highest + 1):
        found[extents >= enough * _span(level)] = level
    return found


def _spans(part: Part, level: int) -> list[tuple[int, int, int]]:
    """The points under some summaries of a level, in whole chunks: (line, first, last) of those without a gap."""
    step = max(CHUNK, _span(level))
    keys = np.unique((part.lines << _LINE) | (part.firsts - part.firsts % step))
    edges = np.flatnonzero(np.diff(keys, prepend=-1, append=-1) != step)
    lows, highs = keys[edges[:-1]], keys[edges[1:] - 1] + step - 1
    mask = (1 << _LINE) - 1
    return list(zip((lows >> _LINE).tolist(), (lows & mask).tolist(), (highs & mask).tolist(), strict=True))


def _extents(parts: dict[int, Part], counts: Places, wanted: Range) -> Column:
    """How many points of each line are in the range, about, with those of its tail."""
    found = counts.astype(np.float64)
    for level, part in parts.items():
        found += np.bincount(part.lines, wanted.share(part.table), len(counts)) * _span(level)
    return found


@dataclass(frozen=True, slots=True)
class _Reader:
    connection: sqlite3.Connection
    series: Sequence[Stored]
    wanted: Range

    def fetch(self, level: int, spans: Sequence[tuple[int, int, int]]) -> Part:
        """Summaries of a level: of each (line, first, last) those of the rows that begin between the two."""
        column, table = ("summaries", "point_level") if level >= OUTLINES else ("rollup", "point_chunk")
        if level == _POINTS:
            column = "points"
        of_level = f"AND level = {level} " if level >= OUTLINES else ""
        asked = json.dumps([(self.series[line].id, first, last) for line, first, last in spans])
        rows = self.connection.execute(
            f"SELECT span.key, found.first, found.{column} FROM json_each(?) AS span CROSS JOIN {table} AS found "  # noqa: S608
            f"WHERE series = json_extract(span.value, '$[0]') {of_level}"
            "AND first BETWEEN json_extract(span.value, '$[1]') AND json_extract(span.value, '$[2]')",
            (asked,),
        ).fetchall()
        if not rows:
            return _NOTHING
        keys, begins, data = zip(*rows, strict=True)
        if level >= OUTLINES:
            sizes = np.fromiter(map(len, data), np.int64, len(data)) // (8 * summaries.WIDTH)
            whole = summaries.decode(b"".join(data))
        else:
            found = list(map(summaries.unpack if level == _ROLLUPS else self._points, data))
            sizes, whole = np.fromiter(map(len, found), np.int64, len(found)), np.concatenate(found)
        lines = np.repeat(np.array([line for line, _, _ in spans])[np.array(keys)], sizes)
        # The number of a row's first point, less those of the rows before it: then one count goes through all rows.
        offsets = np.array(begins) - (np.cumsum(sizes) - sizes) * _span(level)
        firsts = np.repeat(offsets, sizes) + np.arange(len(whole)) * _span(level)
        return Part(lines, firsts, whole).kept(self.wanted.overlapped(*self.wanted.bounds(whole)))

    def _points(self, data: bytes) -> Table:
        """Of a chunk only what is wanted: nothing lies below points, so that nobody asks for their places."""
        columns = pointcodec.decode_columns(data)
        return summaries.of_columns(*columns[:, self.wanted.holds(columns)])


class _Tails:
    """The points of all series that are in the range and not in chunks; `counts` of each."""

    def __init__(self, connection: sqlite3.Connection, series: Sequence[Stored], wanted: Range) -> None:
        places = {stored.id: line for line, stored in enumerate(series) if stored.count > stored.sealed}
        rows = connection.execute(
            "SELECT series, points FROM point_tail WHERE series IN (SELECT value FROM json_each(?)) "
            "ORDER BY series, first",
            (json.dumps(list(places)),),
        )
        lines, parts = [_NOTHING.lines], [np.empty((3, 0))]
        for stored, data in rows:
            columns = pointcodec.decode_columns(data)
            parts.append(columns[:, wanted.holds(columns)])
            lines.append(np.full(parts[-1].shape[1], places[stored]))
        self._columns = np.concatenate(parts, axis=1)
        self._lines = np.concatenate(lines)
        self.counts: Places = np.bincount(self._lines, minlength=len(series))

    def summaries(self, sizes: Places) -> tuple[Places, Table]:
        """Of each line `sizes` points each; and the lines."""
        lines = self._lines
        if not len(lines):
            return _NOTHING.lines, _NOTHING.table
        # Rows came in order of the series' ids, whatever the order of the lines is.
        begins = np.flatnonzero(np.diff(lines, prepend=-1))
        lengths = np.diff(begins, append=len(lines))
        groups = (np.arange(len(lines)) - np.repeat(begins, lengths)) // sizes[lines]
        starts = summaries.group_starts(lines, groups)
        made: list[Table] = []
        at = 0
        while at < len(starts):  # in portions, as each point is a summary for a moment
            stop = max(at + 1, int(np.searchsorted(starts, starts[at] + _TAILS_AT_ONCE)))
            part = slice(starts[at], starts[stop] if stop < len(starts) else len(lines))
            table = summaries.of_columns(*self._columns[:, part])
            made.append(summaries.joined(table, starts[at:stop] - starts[at]))
            at = stop
        return lines[starts], np.concatenate(made)
