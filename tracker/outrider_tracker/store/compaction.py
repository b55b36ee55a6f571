"""Line compaction: small neighbour blocks of a space become one, without what later blocks have replaced.

    claim     decoded blocks that follow each other (a snapshot), with all decoded blocks that lie over them
    join      the lines that count, packed anew, under sequence numbers of the joined blocks: whatever came meanwhile
              has a higher one and still lies over them
    commit    one transaction: the claimed blocks are still there and still decoded -> the new ones in, the old ones out

Blocks are joined in groups that fill a block or at least double the largest of them: each line is rewritten about as
often as the number of lines of a block has binary digits.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from outrider_tracker import failpoints
from outrider_tracker.store import decoded
from outrider_tracker.store.database import Readers
from outrider_tracker.store.errors import StoreError
from outrider_tracker.store.line_blocks import BLOCK_BYTES, BLOCK_LINES, LineFile, Packed, Segment, pack, resolve, texts
from outrider_tracker.store.lines import sweep_lines
from outrider_tracker.store.writer import Writer

MIN_BLOCKS: Final = 8  # neighbours that are worth a join
MAX_BLOCKS: Final = 256  # joined at once …
MAX_BYTES: Final = 4 << 20  # … of about this much text; so many that lie over each other are joined in any case
MAX_SPACES: Final = 1000  # looked at in one call
_MANY: Final = 64
_SWEPT_AT_ONCE: Final = 50
_SWEEPS: Final = 100  # transactions of one call


@dataclass(frozen=True, slots=True)
class Block:
    """A stored block of lines [first, stop): `size` bytes of text."""

    seq: int
    first: int
    stop: int
    size: int


@dataclass(frozen=True, slots=True)
class _Space:
    id: int
    file: LineFile
    decoded: int
    loose: int


@dataclass(frozen=True, slots=True)
class _Join:
    """Blocks `old` (sequence numbers, ascending) become `new`, which came at `received`."""

    old: Sequence[int]
    new: Sequence[Packed]
    received: float


class ClaimLostError(StoreError):
    """A claimed block was gone, or not decoded any more, when the join was to be committed; nothing was changed."""


def compact_lines(readers: Readers, writer: Writer) -> int:
    """Joins blocks of the spaces that got many since the last time, and removes what nobody owns. Blocks joined."""
    with readers.snapshot() as connection:
        rows = connection.execute(
            "SELECT id, file, decoded, loose FROM line_space WHERE loose >= 8 ORDER BY loose DESC LIMIT ?",
            (MAX_SPACES,),
        ).fetchall()
    joined = sum(_compact_space(readers, writer, _Space(row[0], LineFile(row[1]), row[2], row[3])) for row in rows)
    for _ in range(_SWEEPS):
        if not writer.run(lambda connection: sweep_lines(connection, _SWEPT_AT_ONCE)) and not writer.run(
            lambda connection: decoded.sweep(connection, _SWEPT_AT_ONCE)
        ):
            break
    return joined


def _compact_space(readers: Readers, writer: Writer, space: _Space) -> int:
    with readers.snapshot() as connection:
        found = [
            Block(*row)
            for row in connection.execute(
                "SELECT seq, first, first + count, bytes FROM line_block WHERE space = ? ORDER BY first, seq",
                (space.id,),
            )
        ]
        ready = found if space.file is LineFile.CONSOLE else [block for block in found if block.seq <= space.decoded]
        left = len(found) - len(ready)
        joins = [join for group in groups(ready) if (join := _join(connection, space, group)) is not None]
    for join in joins:
        try:
            writer.run(lambda connection, join=join: _commit(connection, space, join))  # type: ignore[misc]
        except ClaimLostError:
            return 0  # the run starts over, or is gone: there is a next time
        failpoints.passing(failpoints.COMPACT_AFTER_COMMIT)
    writer.run(
        lambda connection: connection.execute(
            "UPDATE line_space SET loose = max(0, loose - ?) WHERE id = ?", (space.loose - left, space.id)
        )
    )
    return sum(len(join.old) for join in joins)


def groups(blocks: Sequence[Block]) -> Iterator[list[Block]]:
    """Which blocks to join, of all decoded ones of a space in order of `first`. Pure.

    The lines of a group have no gap, and no other block lies over them with a sequence number between the group's.
    """
    row: list[list[Block]] = []
    for unit in _units(blocks):
        if len(unit) > MAX_BLOCKS:
            yield from _of_row(row)
            row = []
            # Too many that lie over each other: the oldest of them first; the others are newer, and stay above.
            oldest = sorted(sorted(unit, key=lambda block: block.seq)[:MAX_BLOCKS], key=lambda block: block.first)
            yield from (part for part in _units(oldest) if len(part) > 1)
            continue
        full = len(unit) == 1 and (2 * (unit[0].stop - unit[0].first) >= BLOCK_LINES or 2 * unit[0].size >= BLOCK_BYTES)
        if full or (row and max(block.stop for block in row[-1]) != unit[0].first):
            yield from _of_row(row)
            row = []
        if not full:
            row.append(unit)
    yield from _of_row(row)


def _units(blocks: Sequence[Block]) -> Iterator[list[Block]]:
    """Blocks that lie over each other stay together."""
    unit: list[Block] = []
    stop = 0
    for block in blocks:
        if unit and block.first >= stop:
            yield unit
            unit = []
        unit.append(block)
        stop = max(stop, block.stop) if len(unit) > 1 else block.stop
    if unit:
        yield unit


def _of_row(row: Sequence[list[Block]]) -> Iterator[list[Block]]:
    """Groups of units without a gap: as many as fill a block, and of the rest as many as double the largest."""
    group: list[list[Block]] = []
    for unit in row:
        group.append(unit)
        lines = max(block.stop for block in unit) - group[0][0].first
        size = sum(block.size for part in group for block in part)
        if lines >= BLOCK_LINES or size >= BLOCK_BYTES:
            if sum(map(len, group)) > 1:
                yield list(itertools.chain.from_iterable(group))
            group = []
    while group:
        sizes = [block.size for part in group for block in part]
        doubled = 2 * max(sizes) <= sum(sizes)
        if len(sizes) >= _MANY or (len(sizes) >= MIN_BLOCKS and doubled):
            yield list(itertools.chain.from_iterable(group))
            return
        group = group[1:]


def _join(connection: sqlite3.Connection, space: _Space, group: Sequence[Block]) -> _Join | None:
    """The group's lines in new blocks; None if that would not make them fewer."""
    old = sorted(block.seq for block in group)
    claimed = [Segment(block.seq, block.first, block.first, block.stop, None, None, 0) for block in group]
    lines = [line for _, found in texts(connection, resolve(claimed)) for line in found]
    new = pack(min(block.first for block in group), lines, steps=space.file is LineFile.HISTORY)
    (received,) = connection.execute("SELECT received FROM line_block WHERE seq = ?", (old[0],)).fetchone()
    return _Join(old, new, received) if len(new) < len(old) else None


def _commit(connection: sqlite3.Connection, space: _Space, join: _Join) -> None:
    row = connection.execute("SELECT decoded FROM line_space WHERE id = ?", (space.id,)).fetchone()
    gone = connection.executemany("DELETE FROM line_block WHERE seq = ?", [(seq,) for seq in join.old]).rowcount
    if row is None or gone != len(join.old) or (space.file is not LineFile.CONSOLE and row[0] < join.old[-1]):
        raise ClaimLostError(f"blocks of space {space.id} are not what they were: nothing was changed")
    connection.executemany(
        "INSERT INTO line_block (seq, space, first, count, step_low, step_high, bytes, received, data) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (seq, space.id, new.first, new.count, new.step_low, new.step_high, new.size, join.received, new.data)
            for seq, new in zip(join.old[-len(join.new) :], join.new, strict=True)
        ],
    )
    failpoints.passing(failpoints.COMPACT_BEFORE_COMMIT)
