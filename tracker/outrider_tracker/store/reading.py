"""ReadStore on SQLite: each call one snapshot, the work in the read_* modules."""

from __future__ import annotations

import json
import math
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from outrider_tracker.store import files, logs, projects, read_lines, read_ranks, read_series, run_list, runs
from outrider_tracker.store.blobs import BlobFolder
from outrider_tracker.store.database import Readers
from outrider_tracker.store.interfaces import BlobStore
from outrider_tracker.store.logs import Snapshot, StreamKey
from outrider_tracker.store.projects import Project
from outrider_tracker.store.read_summaries import Range
from outrider_tracker.store.records import (
    Collection,
    FileInfo,
    Lines,
    Page,
    Rank,
    Run,
    RunFilter,
    SeriesInfo,
    SeriesLine,
    StoredFile,
    StreamBytes,
    StreamInfo,
)
from outrider_tracker.store.sdk_runs import SdkRun

MAX_BYTES: Final = 8 << 20  # of one read
_SELECT_STREAM: Final = (
    "SELECT stream.id, source.uid, source.entity, source.run_id, stream.name, stream.kind, stream.labels_json, "
    "stream.generation, stream.end, (SELECT ifnull(sum(lost), 0) FROM generation WHERE stream = stream.id), "
    "stream.last_append, stream.malformed FROM stream JOIN source ON source.id = stream.source "
)


class SqliteReadStore:
    """See ReadStore."""

    def __init__(
        self, readers: Readers, objects: BlobStore, blobs: BlobFolder, clock: Callable[[], float] = time.time
    ) -> None:
        self._readers = readers
        self._objects = objects
        self._blobs = blobs
        self._clock = clock
        self._since = clock()

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """One committed state for several reads."""
        with self._readers.snapshot() as connection:
            yield Snapshot(connection, self._objects)

    def list_runs(self, chosen: RunFilter, limit: int = 100, cursor: str | None = None) -> Page[Run | SdkRun]:
        """See ReadStore."""
        with self._readers.snapshot() as connection:
            return run_list.list_runs(connection, chosen, limit, cursor, self._now())

    def get_run(self, run: str) -> Run | None:
        """See ReadStore."""
        with self._readers.snapshot() as connection:
            return runs.get_run(connection, run, self._now())

    def project_of_run(self, run: str) -> Project | None:
        """See ReadStore."""
        with self._readers.snapshot() as connection:
            return projects.project_of_run(connection, run)

    def collection(self, run: str) -> Collection:
        """See ReadStore."""
        with self._readers.snapshot() as connection:
            return runs.collection(connection, run, self._now())

    def list_ranks(self, run: str, *, last_words: bool = False) -> Sequence[Rank]:
        """See ReadStore."""
        with self.snapshot() as snapshot:
            return read_ranks.list_ranks(snapshot, run, last_words=last_words)

    def list_run_streams(self, run: str) -> Sequence[StreamInfo]:
        """See ReadStore."""
        with self._readers.snapshot() as connection:
            rows = connection.execute(
                _SELECT_STREAM + "WHERE source.run_id = ? ORDER BY source.uid, stream.name", (run,)
            )
            return [_stream(row) for row in rows]

    def get_stream(self, stream: int) -> StreamInfo | None:
        """See ReadStore."""
        with self._readers.snapshot() as connection:
            row = connection.execute(_SELECT_STREAM + "WHERE stream.id = ?", (stream,)).fetchone()
            return None if row is None else _stream(row)

    def read_bytes(self, stream: int, generation: int | None, offset: int, limit: int) -> StreamBytes:
        """See ReadStore."""
        with self.snapshot() as snapshot:
            key = _key(snapshot.connection, stream, generation)
            return logs.read_bytes(snapshot, key, offset, min(limit, MAX_BYTES))

    def lines_from(self, stream: int, offset: int, limit: int, generation: int | None = None) -> Lines:
        """See ReadStore."""
        with self.snapshot() as snapshot:
            return read_lines.forward(snapshot, _key(snapshot.connection, stream, generation), offset, limit)

    def lines_before(self, stream: int, offset: int, limit: int, generation: int | None = None) -> Lines:
        """See ReadStore."""
        with self.snapshot() as snapshot:
            return read_lines.backward(snapshot, _key(snapshot.connection, stream, generation), offset, limit)

    def last_lines(self, stream: int, limit: int, generation: int | None = None) -> Lines:
        """See ReadStore."""
        with self.snapshot() as snapshot:
            return read_lines.backward(snapshot, _key(snapshot.connection, stream, generation), None, limit)

    def list_series(self, run: str) -> Sequence[SeriesInfo]:
        """See ReadStore."""
        with self._readers.snapshot() as connection:
            return read_series.list_series(connection, run)

    def read_series(
        self,
        run: str,
        key: str,
        *,
        x: str = "time",
        points: int = 400,
        start: float | None = None,
        stop: float | None = None,
    ) -> Sequence[SeriesLine]:
        """See ReadStore. ValueError: x is neither "time" nor "step"."""
        if x not in {"time", "step"}:
            raise ValueError(f"x is {x!r}: time or step")
        wanted = Range(x, -math.inf if start is None else start, math.inf if stop is None else stop)
        with self._readers.snapshot() as connection:
            return read_series.read_series(connection, run, key, wanted, points)

    def list_files(self, run: str) -> Sequence[FileInfo]:
        """See ReadStore."""
        with self._readers.snapshot() as connection:
            return files.list_files(connection, run)

    def get_file(self, file: str) -> StoredFile | None:
        """See ReadStore."""
        with self._readers.snapshot() as connection:
            return files.get_file(connection, self._blobs, file)

    def list_entities(self) -> Sequence[str]:
        """See ReadStore."""
        with self._readers.snapshot() as connection:
            return [str(row[0]) for row in connection.execute("SELECT name FROM entity ORDER BY name")]

    def list_projects(self, entity: str) -> Sequence[str]:
        """See ReadStore."""
        with self._readers.snapshot() as connection:
            rows = connection.execute("SELECT name FROM project WHERE entity = ? ORDER BY name", (entity,))
            return [str(row[0]) for row in rows]

    def _now(self) -> runs.Now:
        return runs.Now(self._clock(), self._since)


def _key(connection: sqlite3.Connection, stream: int, generation: int | None) -> StreamKey:
    row = connection.execute("SELECT generation FROM stream WHERE id = ?", (stream,)).fetchone()
    if row is None:
        raise KeyError(f"there is no stream {stream}")
    return (stream, int(row[0]) if generation is None else generation)


def _stream(row: Sequence[Any]) -> StreamInfo:
    stream, source, entity, run, name, kind, labels, generation, end, lost, last_append, malformed = row
    return StreamInfo(
        stream, source, entity, run, name, kind, json.loads(labels), generation, end, lost, last_append, malformed
    )
