"""Points as bytes: columns of doubles (time, step, value). Sealed ones are small. Pure.

    times, steps    the differences of the doubles' bits: clocks and steps go on evenly, so most of these are alike
    all three       all first bytes of the numbers, then all second ones, …: neighbours differ little; and deflated

A step that is not known is NaN.
"""

from __future__ import annotations

import math
import sys
import zlib
from array import array
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from outrider_tracker.store.batches import HEAD, PLAIN, Points

_PACKED: Final = 1


def pack(points: Points) -> bytes:
    """Some 7 bytes a point instead of 24, at some cost."""
    clocks = b"".join(
        np.diff(np.frombuffer(each, np.int64), prepend=0).tobytes() for each in (points.times, points.steps)
    )
    return HEAD.pack(_PACKED, len(points)) + zlib.compress(shuffled(clocks + points.values.tobytes()), 1)


def decode(data: bytes) -> Points:
    """The points of `pack`'s or `batches.plain`'s bytes. ValueError: they are not."""
    count, raw = _unpacked(data)
    whole = array("d")
    whole.frombytes(raw)
    return Points(whole[:count], whole[count : 2 * count], whole[2 * count :])


def decode_columns(data: bytes) -> NDArray[np.float64]:
    """The same as three rows of numbers: times, steps, values."""
    count, raw = _unpacked(data)
    return np.frombuffer(raw).reshape(3, count)


def _unpacked(data: bytes) -> tuple[int, bytes | bytearray]:
    kind, count = HEAD.unpack_from(data)
    raw: bytes | bytearray = data[HEAD.size :]
    if kind == _PACKED:
        raw = bytearray(unshuffled(zlib.decompress(raw)))
        clocks = np.frombuffer(raw, np.int64, 2 * count).reshape(2, count)
        np.cumsum(clocks, axis=1, out=clocks)
    elif kind != PLAIN:
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
