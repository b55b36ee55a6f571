"""Which lines of a space come next for decoding. A place in a space: see decode/line_decoder.py."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from outrider_tracker.store.line_blocks import LineFile, Segment, segments

STEP_LINES: Final = 5000  # given at once, about …
STEP_BYTES: Final = 1 << 20  # … or this much text
_WANTED: Final = "file != 'console' AND (decoded < newest OR base_decoded < base_count)"


@dataclass(frozen=True, slots=True)
class Pending:
    """A space with lines that are not decoded. `entity`: whose run it is, "" if the run is gone."""

    space: int
    run: int
    branch: int
    file: LineFile
    client: str
    base_count: int
    base_decoded: int
    decoded: int
    newest: int
    entity: str


@dataclass(frozen=True, slots=True)
class Next:
    """What comes next, and the place behind it. `seen`: the space's newest block. `received`: when the first came."""

    parts: Sequence[Segment]
    base_decoded: int
    decoded: int
    seen: int
    received: float | None


def pending(connection: sqlite3.Connection, run: int | None = None) -> list[Pending]:
    """All spaces (of one run) with lines to decode."""
    rows = connection.execute(
        "SELECT line_space.id, run, line_space.branch, file, client, base_count, base_decoded, decoded, newest, "  # noqa: S608
        "ifnull(project.entity, '') FROM line_space LEFT JOIN sdk_run ON sdk_run.id = run "
        f"LEFT JOIN project ON project.id = sdk_run.project WHERE {_WANTED} AND (? IS NULL OR run = ?) "
        "ORDER BY line_space.id",
        (run, run),
    )
    return [Pending(row[0], row[1], row[2], LineFile(row[3]), *row[4:]) for row in rows]


def backlog(connection: sqlite3.Connection) -> int:
    """Lines that are durable and not decoded."""
    row = connection.execute(
        "SELECT ifnull(sum(base_count - base_decoded), 0) + ifnull(sum((SELECT sum(line_block.count) FROM line_block "  # noqa: S608
        f"WHERE space = line_space.id AND seq > decoded)), 0) FROM line_space WHERE {_WANTED}"
    ).fetchone()
    return int(row[0])


def following(connection: sqlite3.Connection, place: Pending) -> Next:
    """The next lines of a space, its base's before its own."""
    (seen,) = connection.execute("SELECT max(seq) FROM line_block WHERE space = ?", (place.space,)).fetchone()
    base_decoded, decoded = place.base_decoded, place.decoded
    if base_decoded < place.base_count:
        parts, base_decoded = _of_base(connection, place)
    else:
        parts, decoded = _of_own(connection, place)
    received = None
    if parts:
        (received,) = connection.execute("SELECT received FROM line_block WHERE seq = ?", (parts[0].seq,)).fetchone()
    return Next(parts, base_decoded, decoded, seen or 0, received)


def _of_base(connection: sqlite3.Connection, place: Pending) -> tuple[list[Segment], int]:
    """The next segments of the base that nothing of the space's own covers, and the line that they go up to."""
    start, width = place.base_decoded, STEP_LINES
    stop = min(place.base_count, start + width)
    while not (found := segments(connection, place.space, start, stop)) and stop < place.base_count:
        width *= 8  # lines that nobody wrote
        stop = min(place.base_count, start + width)
    parts = [part for part in found if part.level]
    count, size = 0, 0
    for at, part in enumerate(parts):
        count += part.stop - part.start
        size += connection.execute("SELECT bytes FROM line_block WHERE seq = ?", (part.seq,)).fetchone()[0]
        if at and (count > STEP_LINES or size > STEP_BYTES):
            return parts[:at], part.start
    return parts, stop


def _of_own(connection: sqlite3.Connection, place: Pending) -> tuple[list[Segment], int]:
    """The next blocks' segments that no newer block covers, and the last one's sequence number."""
    count, size = 0, 0
    chosen: dict[int, tuple[int, int]] = {}
    for seq, first, lines, length in connection.execute(
        "SELECT seq, first, count, bytes FROM line_block WHERE space = ? AND seq > ? ORDER BY seq",
        (place.space, place.decoded),
    ):
        count, size = count + lines, size + length
        if chosen and (count > STEP_LINES or size > STEP_BYTES):
            break
        chosen[seq] = first, first + lines
    if not chosen:
        return [], place.newest
    low, high = min(first for first, _ in chosen.values()), max(stop for _, stop in chosen.values())
    # Blocks that follow each other are resolved together, those that lie far apart one by one.
    ranges = [(low, high)] if high - low <= 4 * count else list(chosen.values())
    parts = {
        (part.seq, part.start): part
        for start, stop in ranges
        for part in segments(connection, place.space, start, stop)
        if part.seq in chosen
    }
    return [parts[key] for key in sorted(parts)], max(chosen)
