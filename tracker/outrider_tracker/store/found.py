"""What a step of a decoder found, and how it travels to the writer. Pure, and light: the decoding process loads it.

One row of a hostile run may have as many keys as a run may have series at all. What is too much for one transaction of
the writer, which all tenants share, is cut into portions here, which are kept and then written one by one
(store/decoded.py).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

import msgspec

from outrider_tracker.store.batches import Batch, Points, SeriesKey, batches

DIRECT: Final = 300  # series, keys and media that a step writes at once: a few milliseconds
PORTION: Final = 50  # … and those of each transaction where a step found more

KeyCount = tuple[str, str, int, str | None]  # key, type, how often, the newest value as JSON (None if it is long)
Media = tuple[str, int | None, str, str]  # key, step, type, value as JSON


@dataclass(frozen=True, slots=True)
class Found:
    """What a step of a decoder found."""

    series: Mapping[SeriesKey, Points] = field(default_factory=dict)
    keys: Sequence[KeyCount] = ()
    media: Sequence[Media] = ()

    def __len__(self) -> int:
        return len(self.series) + len(self.keys) + len(self.media)


class Portion(msgspec.Struct, frozen=True, array_like=True):
    """What one transaction writes. `now`: Unix seconds; `most`: series that its run may have."""

    now: float
    most: float
    series: list[Batch] = []
    keys: list[KeyCount] = []
    media: list[Media] = []


class Prepared(msgspec.Struct, frozen=True, array_like=True):
    """What was found, ready for the writer: whole, or in coded portions that are to be kept."""

    whole: Portion
    kept: list[bytes] = []


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Portion)


def prepare(found: Found, now: float, most: float) -> Prepared:
    """Codes what was found: costs more than writing it, so it is done outside the writer."""
    if len(found) <= DIRECT:
        return Prepared(Portion(now, most, batches(found.series), list(found.keys), list(found.media)))
    # Times and steps are those of other series, too: it is much smaller when deflated, and quickly written.
    parts = [zlib.compress(_ENCODER.encode(part), 1) for part in _portions(found, now, most)]
    return Prepared(Portion(now, most), parts)


def read_portion(data: bytes) -> Portion:
    """A portion that was kept."""
    return _DECODER.decode(zlib.decompress(data))


def _portions(found: Found, now: float, most: float) -> Iterator[Portion]:
    for series in _cut(found.series.items()):
        yield Portion(now, most, series=batches(dict(series)))
    for keys in _cut(found.keys):
        yield Portion(now, most, keys=keys)
    for media in _cut(found.media):
        yield Portion(now, most, media=media)


def _cut(items: Iterable[Any]) -> Iterator[list[Any]]:
    left = iter(items)
    while part := list(islice(left, PORTION)):
        yield part
