"""Points as bytes: columns of doubles (time, step, value). Sealed ones are small. Pure.

    times, steps    the differences of the doubles' bits: clocks and steps go on evenly, so most of these are alike
    all three       all first bytes of the numbers, then all second ones, …: neighbours differ little; and deflated

A step that is not known is NaN.
"""

from __future__ import annotations

import math
import struct
import sys
import zlib
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

_MAGIC: Final = struct.Struct("<BI")
_PLAIN, _PACKED = 0, 1


@dataclass(frozen=True, slots=True)
class Points:
    """Three equally long columns."""

    times: array[float]
    steps: array[float]
    values: array[float]

    def __len__(self) -> int:
        return len(self.times)

    def cut(self, start: int, stop: int) -> Points:
        """Points [start, stop)."""
        return Points(self.times[start:stop], self.steps[start:stop], self.values[start:stop])


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


def encode(points: Points, *, pack: bool) -> bytes:
    """Bytes of the points; `pack` makes them small (some 7 bytes a point instead of 24) at some cost."""
    if not pack:
        raw = points.times.tobytes() + points.steps.tobytes() + points.values.tobytes()
        return _MAGIC.pack(_PLAIN, len(points)) + raw
    clocks = b"".join(
        np.diff(np.frombuffer(each, np.int64), prepend=0).tobytes() for each in (points.times, points.steps)
    )
    return _MAGIC.pack(_PACKED, len(points)) + zlib.compress(shuffled(clocks + points.values.tobytes()), 1)


def decode(data: bytes) -> Points:
    """The points of `encode`'s bytes. ValueError: they are not."""
    count, raw = _unpacked(data)
    whole = array("d")
    whole.frombytes(raw)
    return Points(whole[:count], whole[count : 2 * count], whole[2 * count :])


def decode_columns(data: bytes) -> NDArray[np.float64]:
    """The same as three rows of numbers: times, steps, values."""
    count, raw = _unpacked(data)
    return np.frombuffer(raw).reshape(3, count)


def _unpacked(data: bytes) -> tuple[int, bytes | bytearray]:
    kind, count = _MAGIC.unpack_from(data)
    raw: bytes | bytearray = data[_MAGIC.size :]
    if kind == _PACKED:
        raw = bytearray(unshuffled(zlib.decompress(raw)))
        clocks = np.frombuffer(raw, np.int64, 2 * count).reshape(2, count)
        np.cumsum(clocks, axis=1, out=clocks)
    elif kind != _PLAIN:
        raise ValueError(f"points of unknown form {kind}")
    if len(raw) != 24 * count:
        raise ValueError(f"{len(raw)} bytes for {count} points")
    return count, raw


def shuffled(raw: bytes) -> bytes:
    """All first bytes of eight-byte numbers, then all second bytes …"""
    return np.frombuffer(raw, np.uint8).reshape(-1, 8).T.tobytes()


def unshuffled(data: bytes) -> bytes:
    """The numbers of `shuffled`'s bytes."""
    return np.frombuffer(data, np.uint8).reshape(8, -1).T.tobytes()


def total(values: Iterable[float]) -> float:
    """The sum of finite numbers, finite itself: what is beyond the range of doubles is cut to its end."""
    kept = values if isinstance(values, list) else list(values)
    try:
        return math.fsum(kept)
    except OverflowError:
        # Scaled down no list that fits into memory overflows.
        scaled = math.fsum(value * 2.0**-64 for value in kept) * 2.0**64
        return max(-sys.float_info.max, min(sys.float_info.max, scaled))
