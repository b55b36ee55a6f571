"""Points as bytes: columns of doubles (time, step, value), byte-shuffled and deflated when sealed. Pure.

A step that is not known is NaN. Summaries skip values that are not finite, and count the finite ones.
"""

from __future__ import annotations

import math
import struct
import sys
import zlib
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

GROUP: Final = 16  # points under one entry of the roll-up
OUTLINE: Final = 8  # entries of the roll-up under one of the outline
_MAGIC: Final = struct.Struct("<BI")
_PLAIN, _SHUFFLED = 0, 1


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


@dataclass(frozen=True, slots=True)
class Summary:
    """What a chart needs of several points. Steps: NaN if none has one. `finite`: how many values are."""

    time_low: float
    time_high: float
    step_low: float
    step_high: float
    low: float
    high: float
    sum: float
    finite: float


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
    """Bytes of the points; `pack` makes them small (about 9 bytes a point instead of 24) at some cost."""
    raw = points.times.tobytes() + points.steps.tobytes() + points.values.tobytes()
    if not pack:
        return _MAGIC.pack(_PLAIN, len(points)) + raw
    return _MAGIC.pack(_SHUFFLED, len(points)) + zlib.compress(_shuffle(raw), 1)


def decode(data: bytes) -> Points:
    """The points of `encode`'s bytes. ValueError: they are not."""
    kind, count = _MAGIC.unpack_from(data)
    raw = data[_MAGIC.size :]
    if kind == _SHUFFLED:
        raw = _unshuffle(zlib.decompress(raw))
    elif kind != _PLAIN:
        raise ValueError(f"points of unknown form {kind}")
    whole = array("d")
    whole.frombytes(raw)
    if len(whole) != 3 * count:
        raise ValueError(f"{len(whole)} numbers for {count} points")
    return Points(whole[:count], whole[count : 2 * count], whole[2 * count :])


def summarize(points: Points, start: int = 0, stop: int | None = None) -> Summary:
    """The summary of points [start, stop), at least one."""
    times, steps = points.times[start:stop], points.steps[start:stop]
    values = [value for value in points.values[start:stop] if math.isfinite(value)]
    known = [step for step in steps if step == step]  # noqa: PLR0124  drops NaN
    return Summary(
        min(times),
        max(times),
        min(known, default=math.nan),
        max(known, default=math.nan),
        min(values, default=math.nan),
        max(values, default=math.nan),
        total(values),
        float(len(values)),
    )


def total(values: Iterable[float]) -> float:
    """The sum of finite numbers, finite itself: what is beyond the range of doubles is cut to its end."""
    kept = values if isinstance(values, list) else list(values)
    try:
        return math.fsum(kept)
    except OverflowError:
        # Scaled down no list that fits into memory overflows.
        scaled = math.fsum(value * 2.0**-64 for value in kept) * 2.0**64
        return max(-sys.float_info.max, min(sys.float_info.max, scaled))


def rollup(points: Points) -> list[Summary]:
    """One summary for each GROUP points."""
    starts = range(0, len(points), GROUP)
    lists = points.times.tolist(), points.steps.tolist(), points.values.tolist()
    if not all(map(math.isfinite, map(sum, lists))):
        return [summarize(points, start, start + GROUP) for start in starts]
    # No NaN and no infinity anywhere: nothing needs to be picked out.
    times, steps, values = ([column[start : start + GROUP] for start in starts] for column in lists)
    sizes = [float(len(group)) for group in values]
    lows, highs, sums = map(min, values), map(max, values), map(total, values)
    return list(
        map(Summary, map(min, times), map(max, times), map(min, steps), map(max, steps), lows, highs, sums, sizes)
    )


def outline(rolled: Sequence[Summary]) -> list[Summary]:
    """One summary for each OUTLINE of a roll-up's."""
    return [merged(rolled[start : start + OUTLINE]) for start in range(0, len(rolled), OUTLINE)]


def merged(parts: Sequence[Summary]) -> Summary:
    """The summary of what the parts are summaries of."""
    known = [part for part in parts if part.step_low == part.step_low]
    finite = [part for part in parts if part.finite]
    return Summary(
        min(part.time_low for part in parts),
        max(part.time_high for part in parts),
        min((part.step_low for part in known), default=math.nan),
        max((part.step_high for part in known), default=math.nan),
        min((part.low for part in finite), default=math.nan),
        max((part.high for part in finite), default=math.nan),
        total(part.sum for part in finite),
        sum(part.finite for part in finite),
    )


def encode_outline(summaries: Sequence[Summary]) -> bytes:
    """Bytes of an outline: eight doubles of each summary, one after the other, as `array("d")` reads them."""
    return array("d", (number for summary in summaries for number in _numbers(summary))).tobytes()


def encode_summaries(summaries: Sequence[Summary]) -> bytes:
    """Bytes of a roll-up, small."""
    flat = array("d", (number for summary in summaries for number in _numbers(summary)))
    return zlib.compress(_shuffle(flat.tobytes()), 1)


def decode_summaries(data: bytes) -> list[Summary]:
    """The roll-up of `encode_summaries`' bytes."""
    flat = decode_flat(data)
    return [Summary(*flat[start : start + 8]) for start in range(0, len(flat), 8)]


def decode_flat(data: bytes) -> array[float]:
    """The same, as the eight numbers of each summary one after the other."""
    flat = array("d")
    flat.frombytes(_unshuffle(zlib.decompress(data)))
    return flat


_numbers: Final = attrgetter("time_low", "time_high", "step_low", "step_high", "low", "high", "sum", "finite")


def _shuffle(raw: bytes) -> bytes:
    """All first bytes of the doubles, then all second bytes …: neighbours then differ little and deflate well."""
    return b"".join(raw[byte::8] for byte in range(8))


def _unshuffle(shuffled: bytes) -> bytes:
    count = len(shuffled) // 8
    raw = bytearray(len(shuffled))
    for byte in range(8):
        raw[byte::8] = shuffled[byte * count : (byte + 1) * count]
    return bytes(raw)
