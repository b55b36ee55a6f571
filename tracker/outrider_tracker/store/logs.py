"""LogStore on SQLite and a BlobStore: bytes lie in extents (sealed), frames (inline tail) and lost ranges."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from outrider_tracker.store import directory, sealing
from outrider_tracker.store.database import Readers
from outrider_tracker.store.errors import StoreBrokenError
from outrider_tracker.store.interfaces import BlobStore
from outrider_tracker.store.records import LostRange, StreamBytes
from outrider_tracker.store.writer import Writer


@dataclass(frozen=True, slots=True)
class Data:
    """Raw bytes from `start` that reached the tracker at `received`."""

    start: int
    data: bytes
    received: float


Piece = Data | LostRange


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One committed state of the rows, and the objects that they name."""

    connection: sqlite3.Connection
    objects: BlobStore


StreamKey = tuple[int, int]  # (stream id, generation)


def pieces(snapshot: Snapshot, key: StreamKey, start: int, stop: int) -> Iterator[Piece]:
    """What is stored of [start, stop), in order; lost ranges whole, data cut to the range."""
    at = start
    for span_start, read in sorted(_spans(snapshot, key, start, stop), key=lambda item: item[0]):
        if span_start > at:
            raise StoreBrokenError(
                f"stream {key[0]} generation {key[1]} lacks the bytes from {at} to {span_start}: the data folder was "
                "damaged outside of the tracker"
            )
        for piece in read:
            if isinstance(piece, LostRange):
                if piece.stop > at:
                    yield piece
                    at = piece.stop
                continue
            data = piece.data[max(0, at - piece.start) : stop - piece.start]
            if data:
                yield Data(max(at, piece.start), data, piece.received)
                at = max(at, piece.start) + len(data)
        if at >= stop:
            return


def _spans(snapshot: Snapshot, key: StreamKey, start: int, stop: int) -> list[tuple[int, Iterator[Piece]]]:
    values = (*key, *key, start, stop)
    spans: list[tuple[int, Iterator[Piece]]] = []
    query = snapshot.connection.execute
    extents = _OVERLAPPING.format("start, stop, object, position, directory", "extent")
    for low, high, name, position, entries in query(extents, values):
        if high > start:
            blocks = directory.unpack(low, position, entries)
            spans.append((low, _blocks(snapshot.objects, name, blocks, start, stop)))
    frames = _OVERLAPPING.format("start, length, coding, payload, received", "frame")
    for low, length, coding, payload, received in query(frames, values):
        if low + length > start:
            spans.append((low, _frame(low, coding, payload, received)))
    for low, high, reason in query(_OVERLAPPING.format("start, stop, reason", "lost"), values):
        if high > start:
            spans.append((low, iter((LostRange(low, high, reason),))))
    return spans


def _blocks(objects: BlobStore, name: str, blocks: Sequence[directory.Block], start: int, stop: int) -> Iterator[Piece]:
    wanted = [block for block in blocks if block.start < stop and block.start + block.length > start]
    if not wanted:
        return
    first = wanted[0].position
    packed = objects.read(name, first, wanted[-1].position + wanted[-1].stored - first)
    for block in wanted:
        payload = packed[block.position - first : block.position - first + block.stored]
        yield Data(block.start, directory.decode(block.coding, payload), block.received)


# The rows of a stream's generation from the last one that begins at or before `start`, up to `stop`.
_OVERLAPPING = (
    "SELECT {0} FROM {1} WHERE stream = ? AND generation = ? AND start >= ifnull((SELECT max(start) FROM {1} WHERE "
    "stream = ? AND generation = ? AND start <= ?), 0) AND start < ? ORDER BY start"
)


def _frame(start: int, coding: str, payload: bytes, received: float) -> Iterator[Piece]:
    yield Data(start, directory.decode(coding, payload), received)


def generation_end(connection: sqlite3.Connection, key: StreamKey) -> int:
    """The durable end of a generation. KeyError if there is none such."""
    row = connection.execute("SELECT end FROM generation WHERE stream = ? AND number = ?", key).fetchone()
    if row is None:
        raise KeyError(f"stream {key[0]} has no generation {key[1]}")
    return int(row[0])


def read_bytes(snapshot: Snapshot, key: StreamKey, offset: int, limit: int) -> StreamBytes:
    """See LogStore.read_bytes."""
    end = generation_end(snapshot.connection, key)
    parts: list[bytes] = []
    lost: LostRange | None = None
    if offset < end and limit > 0:
        for piece in pieces(snapshot, key, offset, min(end, offset + limit)):
            if isinstance(piece, LostRange):
                lost = piece
                break
            parts.append(piece.data)
    return StreamBytes(key[1], offset, b"".join(parts), lost, end)


class SqliteLogStore:
    """See LogStore."""

    def __init__(self, readers: Readers, writer: Writer, objects: BlobStore) -> None:
        self._readers = readers
        self._writer = writer
        self._objects = objects

    def read_bytes(self, stream: int, generation: int, offset: int, limit: int) -> StreamBytes:
        """See LogStore."""
        with self._readers.snapshot() as connection:
            return read_bytes(Snapshot(connection, self._objects), (stream, generation), offset, limit)

    def seal(self, min_bytes: int, now: float) -> int:
        """See LogStore."""
        return sealing.seal_logs(self._readers, self._writer, self._objects, sealing.Bounds(min_bytes, now))
