"""Points of a series as they come, and as its tail keeps them. Pure, and light: the decoding process loads it."""

from __future__ import annotations

import math
import struct
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

HEAD: Final = struct.Struct("<BI")  # the form of the bytes, the number of points
PLAIN: Final = 0


class SeriesKey(msgspec.Struct, frozen=True, array_like=True):
    """What tells the series of one source apart. `kind`: system or user; `scope`: rank, container, node or user."""

    key: str
    kind: str
    scope: str
    rank: int | None
    container: str


@dataclass(frozen=True, slots=True)
class Points:
    """Three equally long columns. A step that is not known is NaN."""

    times: array[float]
    steps: array[float]
    values: array[float]

    def __len__(self) -> int:
        return len(self.times)

    def cut(self, start: int, stop: int) -> Points:
        """Points [start, stop)."""
        return Points(self.times[start:stop], self.steps[start:stop], self.values[start:stop])


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """Points of one series, in the bytes that its tail keeps (store/pointcodec.py reads them).

    `last`: the newest value, None unless it is finite; `last_time`: its time.
    """

    key: SeriesKey
    count: int
    last: float | None
    last_time: float
    points: bytes


def columns(times: Iterable[float], steps: Iterable[float], values: Iterable[float]) -> Points:
    """Points from any iterables of equal length."""
    return Points(array("d", times), array("d", steps), array("d", values))


def join(parts: Iterable[Points]) -> Points:
    """All points of several parts, in order."""
    whole = columns((), (), ())
    for part in parts:
        whole.times.extend(part.times)
        whole.steps.extend(part.steps)
        whole.values.extend(part.values)
    return whole


def plain(points: Points) -> bytes:
    """The columns' bytes, one after the other."""
    raw = points.times.tobytes() + points.steps.tobytes() + points.values.tobytes()
    return HEAD.pack(PLAIN, len(points)) + raw


def batches(series: Mapping[SeriesKey, Points]) -> list[Batch]:
    """Each series' points, of which there is at least one."""
    return [
        Batch(
            key,
            len(points),
            points.values[-1] if math.isfinite(points.values[-1]) else None,
            points.times[-1],
            plain(points),
        )
        for key, points in series.items()
    ]
