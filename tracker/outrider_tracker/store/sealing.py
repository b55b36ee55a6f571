"""Log compaction: frames leave the inline tails of many streams for one immutable object.

    claim     choose contiguous frames of streams with more than the inline tail (a snapshot)
    write     one object under a fresh random key; small frames are joined into blocks first
    commit    one transaction: the claimed frames are still there -> extents in, frames out

A crash before the commit leaves an object that nothing refers to; `sweep` removes it later.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from outrider_tracker import failpoints
from outrider_tracker.store import directory
from outrider_tracker.store.database import Readers
from outrider_tracker.store.errors import StoreError
from outrider_tracker.store.interfaces import BlobStore
from outrider_tracker.store.writer import Writer

INLINE: Final = 64 << 10  # raw bytes at a stream's end that stay inline for live tail
MAX_OBJECT: Final = 64 << 20  # stored bytes of one object
BLOCK: Final = 256 << 10  # raw bytes that small frames are joined to
LARGE: Final = 64 << 10  # a frame of this many raw bytes is kept as it was sent
ORPHAN_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class _Frame:
    id: int
    start: int
    length: int
    coding: str
    received: float
    payload: bytes


@dataclass(frozen=True, slots=True)
class _Extent:
    stream: int
    generation: int
    start: int
    stop: int
    position: int
    blocks: Sequence[directory.Block]
    frames: Sequence[int]


class ClaimLostError(StoreError):
    """A claimed frame was gone when the seal was to be committed; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """When a seal is worth an object: `min_bytes` raw bytes may leave the tails. `now`: Unix seconds."""

    min_bytes: int
    now: float


def seal_logs(readers: Readers, writer: Writer, objects: BlobStore, bounds: Bounds) -> int:
    """Packs one object if it is worth it. How many streams gave something."""
    with readers.snapshot() as connection:
        waiting = connection.execute(
            "SELECT id, inline_bytes FROM stream WHERE inline_bytes > 65536 ORDER BY inline_bytes DESC LIMIT 10000"
        ).fetchall()
        if sum(inline - INLINE for _, inline in waiting) < max(1, bounds.min_bytes):
            return 0
        pieces: list[bytes] = []
        extents: list[_Extent] = []
        position = 0
        for stream, _ in waiting:
            for generation, run in _claim(connection, stream, MAX_OBJECT - position):
                blocks, data = _blocks(run, position)
                first, last = run[0], run[-1]
                extents.append(
                    _Extent(
                        stream,
                        generation,
                        first.start,
                        last.start + last.length,
                        position,
                        blocks,
                        [frame.id for frame in run],
                    )
                )
                pieces += data
                position += sum(map(len, data))
            if position >= MAX_OBJECT:
                break
    if not extents:
        return 0
    failpoints.passing(failpoints.SEAL_BEFORE_BLOB)
    key = secrets.token_hex(16)
    objects.put(key, pieces)
    failpoints.passing(failpoints.SEAL_AFTER_BLOB)
    try:
        writer.run(lambda connection: _commit(connection, key, position, extents, bounds.now))
    except BaseException:
        objects.delete(key)
        raise
    failpoints.passing(failpoints.SEAL_AFTER_COMMIT)
    return len({extent.stream for extent in extents})


def sweep_objects(readers: Readers, objects: BlobStore, now: float | None = None) -> int:
    """Removes objects that no row refers to and that are too old to be on their way. How many."""
    now = time.time() if now is None else now
    old = [key for key, written in objects.listed() if now - written > ORPHAN_SECONDS]
    with readers.snapshot() as connection:
        known = {row[0] for row in connection.execute("SELECT key FROM object")}
    orphans = [key for key in old if key not in known]
    for key in orphans:
        objects.delete(key)
    return len(orphans)


def _claim(connection: sqlite3.Connection, stream: int, room: int) -> list[tuple[int, list[_Frame]]]:
    """Contiguous runs of the stream's frames that may be sealed, oldest first, at most about `room` stored bytes."""
    newest, end = connection.execute("SELECT generation, end FROM stream WHERE id = ?", (stream,)).fetchone()
    runs: list[tuple[int, list[_Frame]]] = []
    rows = connection.execute(
        "SELECT generation, id, start, length, coding, received, payload FROM frame WHERE stream = ? "
        "ORDER BY generation, start",
        (stream,),
    )
    for generation, *values in rows:
        frame = _Frame(*values)
        if generation == newest and frame.start + frame.length > end - INLINE:
            break
        room -= len(frame.payload)
        if room < 0:
            break
        if runs and runs[-1][0] == generation and runs[-1][1][-1].start + runs[-1][1][-1].length == frame.start:
            runs[-1][1].append(frame)
        else:
            runs.append((generation, [frame]))
    return runs


def _blocks(run: Sequence[_Frame], position: int) -> tuple[list[directory.Block], list[bytes]]:
    """Blocks of a contiguous run, and their bytes as they follow each other from `position` of the object."""
    blocks: list[directory.Block] = []
    data: list[bytes] = []

    def add(start: int, length: int, coding: str, received: float, payload: bytes) -> None:
        nonlocal position
        blocks.append(directory.Block(start, length, position, len(payload), coding, received))
        data.append(payload)
        position += len(payload)

    def join(small: Sequence[_Frame]) -> None:
        if len(small) == 1:
            frame = small[0]
            add(frame.start, frame.length, frame.coding, frame.received, frame.payload)
        elif small:
            raw = b"".join(directory.decode(frame.coding, frame.payload) for frame in small)
            add(small[0].start, len(raw), "zlib", small[0].received, zlib.compress(raw, 6))

    small: list[_Frame] = []
    for frame in run:
        if frame.length >= LARGE:
            join(small)
            small = []
            add(frame.start, frame.length, frame.coding, frame.received, frame.payload)
            continue
        small.append(frame)
        if sum(item.length for item in small) >= BLOCK:
            join(small)
            small = []
    join(small)
    return blocks, data


def _commit(connection: sqlite3.Connection, key: str, size: int, extents: Sequence[_Extent], now: float) -> None:
    connection.execute("INSERT INTO object (key, bytes, created) VALUES (?, ?, ?)", (key, size, now))
    for extent in extents:
        gone = connection.executemany("DELETE FROM frame WHERE id = ?", [(frame,) for frame in extent.frames])
        if gone.rowcount != len(extent.frames):
            raise ClaimLostError(f"frames of stream {extent.stream} were sealed by somebody else: nothing was changed")
        connection.execute(
            "INSERT INTO extent (stream, generation, start, stop, object, position, directory) VALUES (?,?,?,?,?,?,?)",
            (
                extent.stream,
                extent.generation,
                extent.start,
                extent.stop,
                key,
                extent.position,
                directory.pack(extent.blocks),
            ),
        )
        connection.execute(
            "UPDATE stream SET inline_bytes = max(0, inline_bytes - ?) WHERE id = ?",
            (extent.stop - extent.start, extent.stream),
        )
    failpoints.passing(failpoints.SEAL_BEFORE_COMMIT)
