"""Blocks of lines: how they are packed, and which of them give the lines of a space.

A space's own blocks lie over the first `base_count` lines of its base; among its own the one with the higher sequence
number counts. `segments` resolves that without reading any block; `texts` reads the blocks that are needed.
"""

from __future__ import annotations

import heapq
import itertools
import math
import re
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

BLOCK_LINES: Final = 1000  # no block has more: what lies at a line is found by its first line
BLOCK_BYTES: Final = 256 << 10  # bytes of text that a block is filled to; a longer line has one of its own
MAX_STEP: Final = (1 << 62) - 1  # steps beyond are taken for this one: SQLite counts in 64 bits
_STEP: Final = re.compile(r'"_step"\s*:\s*(-?\d[\d.eE+-]*)')


class LineFile(StrEnum):
    """The files whose lines are kept."""

    HISTORY = "history"
    EVENTS = "events"
    CONSOLE = "console"


@dataclass(frozen=True, slots=True)
class Packed:
    """A block to be stored: lines [first, first + count). Steps: bounds of the rows' `_step`, None without."""

    first: int
    count: int
    step_low: int | None
    step_high: int | None
    size: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Segment:
    """Lines [start, stop) that the block `seq` gives. `level`: 0 for the space's own, 1 for its base's, and so on."""

    seq: int
    block_first: int
    start: int
    stop: int
    step_low: int | None
    step_high: int | None
    level: int


def pack(first: int, lines: Sequence[str], *, steps: bool) -> list[Packed]:
    """Blocks of the lines from number `first` on, each within the bounds. `steps`: the lines are rows of history."""
    blocks: list[Packed] = []
    start = 0
    while start < len(lines):
        stop, size = start, 0
        while stop < len(lines) and stop - start < BLOCK_LINES:
            size += len(lines[stop])
            if size > BLOCK_BYTES and stop > start:
                break
            stop += 1
        part = lines[start:stop]
        low, high = step_bounds(part) if steps else (None, None)
        raw = msgspec.json.encode(part)
        blocks.append(Packed(first + start, stop - start, low, high, len(raw), zlib.compress(raw, 1)))
        start = stop
    return blocks


def unpack(data: bytes) -> list[str]:
    """The texts of a block."""
    return msgspec.json.decode(zlib.decompress(data), type=list[str])


def step_bounds(lines: Sequence[str]) -> tuple[int | None, int | None]:
    """Bounds of the rows' `_step`: never too narrow, but wider where `_step` stands in a nested object or text."""
    found = _STEP.findall("\n".join(lines))
    if not found:
        return None, None
    try:
        steps = list(map(int, found))
        low, high = min(steps), max(steps)
    except ValueError:  # not all are integers
        numbers = [_number(text) for text in found]
        low, high = math.floor(min(numbers)), math.ceil(max(numbers))
    return _stored(low), _stored(high)


def _stored(step: int) -> int:
    """A step that SQLite can count to: one beyond, on either side, is taken for the last of them."""
    return max(-MAX_STEP, min(MAX_STEP, step))


def segments(connection: sqlite3.Connection, space: int, start: int, stop: int) -> list[Segment]:
    """What gives the lines [start, stop) of a space, in order of lines; lines that nobody wrote are in none."""
    found: list[Segment] = []
    level, here, end = 0, space, stop
    while start < end:
        row = connection.execute("SELECT base, base_count FROM line_space WHERE id = ?", (here,)).fetchone()
        rows = connection.execute(
            "SELECT seq, first, count, step_low, step_high FROM line_block WHERE space = ? AND first > ? AND first < ? "
            "ORDER BY first",
            (here, start - BLOCK_LINES, end),
        )
        found += [
            Segment(seq, first, max(start, first), min(end, first + count), low, high, level)
            for seq, first, count, low, high in rows
            if first + count > start
        ]
        if row is None or row[0] is None:
            break
        here, end, level = row[0], min(end, row[1]), level + 1
    return resolve(found)


def texts(connection: sqlite3.Connection, parts: Sequence[Segment]) -> Iterator[tuple[Segment, list[str]]]:
    """The lines of each segment, one block at a time."""
    seq, lines = -1, []
    for part in parts:
        if part.seq != seq:
            row = connection.execute("SELECT data FROM line_block WHERE seq = ?", (part.seq,)).fetchone()
            seq, lines = part.seq, unpack(row[0])
        yield part, lines[part.start - part.block_first : part.stop - part.block_first]


def resolve(found: list[Segment]) -> list[Segment]:
    """Segments without overlap: where several cover a line, the lowest level counts, then the highest `seq`. Pure."""
    found.sort(key=lambda part: part.start)
    if all(before.stop <= after.start for before, after in itertools.pairwise(found)):
        return found
    edges = sorted({edge for part in found for edge in (part.start, part.stop)})
    open_parts: list[tuple[int, int, Segment]] = []
    chosen: list[Segment] = []
    at = 0
    for start, stop in itertools.pairwise(edges):
        while at < len(found) and found[at].start <= start:
            heapq.heappush(open_parts, (found[at].level, -found[at].seq, found[at]))
            at += 1
        while open_parts and open_parts[0][2].stop <= start:
            heapq.heappop(open_parts)
        if not open_parts:
            continue
        best = open_parts[0][2]
        if chosen and chosen[-1].seq == best.seq and chosen[-1].stop == start:
            start = chosen.pop().start  # noqa: PLW2901  the segment goes on
        chosen.append(Segment(best.seq, best.block_first, start, stop, best.step_low, best.step_high, best.level))
    return chosen


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0  # no JSON number: such a row has no step
    return max(-float(MAX_STEP), min(float(MAX_STEP), value))
