"""What a chart needs of many points, as tables: one row a summary, eight columns. Pure.

A step that is not known is NaN. The values that are not finite are left out; a row of nothing else has `finite` 0.
"""

from __future__ import annotations

import zlib
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from outrider_tracker.store import pointcodec
from outrider_tracker.store.batches import Points

Column: TypeAlias = NDArray[np.float64]
Table: TypeAlias = NDArray[np.float64]
"""n rows of WIDTH doubles."""
Places: TypeAlias = NDArray[np.int64]

TIME_LOW, TIME_HIGH, STEP_LOW, STEP_HIGH, LOW, HIGH, SUM, FINITE = range(8)
WIDTH: Final = 8
ROLLUP: Final = 16  # points under one row of a chunk's roll-up
OUTLINE: Final = 128  # points under one row of its outline
NONE: Final[Table] = np.empty((0, WIDTH))


def of_points(points: Points) -> Table:
    """Each point as its own row; one that is not finite stands there with its value, and counts as none."""
    return of_columns(np.asarray(points.times), np.asarray(points.steps), np.asarray(points.values))


def of_columns(times: Column, steps: Column, values: Column) -> Table:
    """The same, of equally long columns."""
    made = np.empty((len(times), WIDTH))
    made[:, TIME_LOW] = made[:, TIME_HIGH] = times
    made[:, STEP_LOW] = made[:, STEP_HIGH] = steps
    made[:, LOW] = made[:, HIGH] = made[:, SUM] = values
    made[:, FINITE] = np.isfinite(values)
    return made


def joined(table: Table, starts: Places, *, values_only: bool = False) -> Table:
    """One row for each group of rows; a group begins at each of `starts`, ascending and at least one row apart.

    `values_only`: times and steps are not asked for, and hold nothing of use.
    """
    made = np.empty((len(starts), WIDTH))
    if not len(starts):
        return made
    for low, high in () if values_only else ((TIME_LOW, TIME_HIGH), (STEP_LOW, STEP_HIGH)):
        made[:, low] = np.fmin.reduceat(table[:, low], starts)
        made[:, high] = np.fmax.reduceat(table[:, high], starts)
    known = table[:, FINITE] > 0
    every = bool(known.all())
    lows, highs, sums = table[:, LOW], table[:, HIGH], table[:, SUM]
    if not every:
        lows, highs, sums = np.where(known, lows, np.nan), np.where(known, highs, np.nan), np.where(known, sums, 0.0)
    made[:, LOW] = np.fmin.reduceat(lows, starts)
    made[:, HIGH] = np.fmax.reduceat(highs, starts)
    made[:, FINITE] = np.add.reduceat(table[:, FINITE], starts)
    with np.errstate(over="ignore", invalid="ignore"):
        made[:, SUM] = np.add.reduceat(sums, starts)
    for group in np.flatnonzero(~np.isfinite(made[:, SUM])):
        stop = starts[group + 1] if group + 1 < len(starts) else len(table)
        made[group, SUM] = pointcodec.total(sums[starts[group] : stop].tolist())
    return made


def group_starts(lines: Places, groups: Places) -> Places:
    """Where a group begins among rows of which each has a line and a group in it."""
    return np.flatnonzero((np.diff(lines, prepend=-1) != 0) | (np.diff(groups, prepend=-1) != 0))


def by(table: Table, size: int) -> Table:
    """Each `size` rows joined to one; the last may be of fewer."""
    return joined(table, np.arange(0, len(table), size))


def encode(table: Table) -> bytes:
    """Bytes of a table, as they lie in memory."""
    return table.tobytes()


def decode(data: bytes) -> Table:
    """The table of `encode`'s bytes, or of several that follow each other."""
    return np.frombuffer(data).reshape(-1, WIDTH)


def pack(table: Table) -> bytes:
    """Bytes of a table, small."""
    return zlib.compress(pointcodec.shuffled(table.tobytes()), 1)


def unpack(data: bytes) -> Table:
    """The table of `pack`'s bytes."""
    return decode(pointcodec.unshuffled(zlib.decompress(data)))
