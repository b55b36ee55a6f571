"""The curves of a chart: summaries of many points in buckets of equal width, of all lines at once. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np

from outrider_tracker.store import summaries
from outrider_tracker.store.summaries import Column, Places, Table

Curve: TypeAlias = tuple[list[float], list[float], list[float], list[float]]
"""x, min, max and mean of each bucket."""

CELLS: Final = 32_768  # buckets of all lines together, about: more could not be told apart
MANY: Final = 32  # lines from which on that counts
FEWEST: Final = 8  # buckets of a line


def buckets_for(lines: int, buckets: int) -> int:
    """How many each of so many lines gets."""
    return buckets if lines < MANY else max(FEWEST, min(buckets, CELLS // lines))


def curves(  # noqa: PLR0917  rows, where each of them lies, and what is asked for
    lines: Places, table: Table, x: Column, between: tuple[float, float], count: int, buckets: int
) -> Sequence[Curve]:
    """Of each of `count` lines at most `buckets` equal parts of x that hold something.

    `lines` and `x` say where each summary stands. A line of no more summaries than buckets keeps each at its own x.
    A bucket without a finite value shows NaN, or its one value.
    """
    inside = (x >= between[0]) & (x <= between[1])
    if not inside.all():
        lines, table, x = lines[inside], table[inside], x[inside]
    lines, table, x = _in_order(lines, table, x)
    sizes = np.bincount(lines, minlength=count)
    begins = np.cumsum(sizes) - sizes
    group = _buckets(lines, x, begins, sizes, buckets)
    starts = summaries.group_starts(lines, group)
    held = np.diff(starts, append=len(lines))
    whole = summaries.joined(table, starts, values_only=True)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        at = np.where(held == 1, x[starts], np.add.reduceat(x, starts) / held) if len(starts) else x
        mean = whole[:, summaries.SUM] / whole[:, summaries.FINITE]
    low, high = whole[:, summaries.LOW], whole[:, summaries.HIGH]
    odd = whole[:, summaries.FINITE] == 0
    alone = np.where(held == 1, table[starts, summaries.LOW], np.nan)
    low, high = np.where(odd, alone, low), np.where(odd, alone, high)
    # The sum of huge values is cut where doubles end: their mean is between the extremes all the same.
    mean = np.where(odd, alone, np.clip(mean, low, high))
    columns = [column.tolist() for column in (at, low, high, mean)]
    edges = np.searchsorted(lines[starts], np.arange(count + 1)).tolist()
    return [
        (columns[0][start:stop], columns[1][start:stop], columns[2][start:stop], columns[3][start:stop])
        for start, stop in itertools.pairwise(edges)
    ]


def _in_order(lines: Places, table: Table, x: Column) -> tuple[Places, Table, Column]:
    """Line by line, and each by x, as it nearly always is."""
    if not (np.diff(lines) >= 0).all():
        order = np.argsort(lines, kind="stable")
        lines, table, x = lines[order], table[order], x[order]
    if not ((np.diff(x) >= 0) | (np.diff(lines) > 0)).all():
        order = np.lexsort((x, lines))
        lines, table, x = lines[order], table[order], x[order]
    return lines, table, x


def _buckets(lines: Places, x: Column, begins: Places, sizes: Places, buckets: int) -> Places:
    """The bucket of each summary in its line."""
    if not len(lines):
        return lines
    some = sizes > 0
    first, last = np.zeros(len(sizes)), np.zeros(len(sizes))
    first[some], last[some] = x[begins[some]], x[begins[some] + sizes[some] - 1]
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        width = last / buckets - first / buckets
        width[width == 0] = 1.0
        found = np.clip((x - first[lines]) / width[lines], 0, buckets - 1)
    own = np.arange(len(lines)) - begins[lines]
    return np.where(sizes[lines] > buckets, np.nan_to_num(found).astype(np.int64), own)
