"""The store's seams. Each implementation passes the conformance suite of its interface (tests/unit/tracker/store).

All calls block (run them in a thread) and are safe from several threads. Reads see one snapshot each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from outrider_tracker.store.projects import Project
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


class BlobStore(Protocol):
    """Immutable objects under opaque keys. A key answered by `put` survives a crash of the machine."""

    def put(self, key: str, data: Sequence[bytes]) -> int:
        """Keeps the pieces under a fresh key, durably; the length in bytes. FileExistsError if the key is taken."""

    def read(self, key: str, position: int, length: int) -> bytes:
        """Exactly `length` bytes from `position`. KeyError: no such object. EOFError: it is shorter."""

    def delete(self, key: str) -> None:
        """Removes the object; a key that is not there is no error."""

    def listed(self) -> Sequence[tuple[str, float]]:
        """All keys with the Unix time they were written, in no order."""


class LogStore(Protocol):
    """The bytes of streams: appended by ingest, sealed by compaction, read by offset."""

    def read_bytes(self, stream: int, generation: int, offset: int, limit: int) -> StreamBytes:
        """At most `limit` raw bytes from `offset`; fewer at the end or before a lost range. KeyError: none such."""

    def seal(self, min_bytes: int, now: float) -> int:
        """Packs what may leave the inline tails into objects, if it is at least `min_bytes`; streams packed."""


class PointStore(Protocol):
    """Series of (time, step, value) points: tails that take batches, sealed into chunks with summaries."""

    def read_points(self, series: int) -> tuple[Sequence[float], Sequence[float], Sequence[float]]:
        """Times, steps (NaN = none) and values of all points, in the order they came."""

    def seal(self, now: float) -> int:
        """Moves full or old tails into chunks; the number of series sealed."""


class ReadStore(Protocol):
    """What the read API and the controller ask. Who may ask is the door's concern: records name their entity."""

    def list_runs(self, chosen: RunFilter, limit: int = 100, cursor: str | None = None) -> Page[Run | SdkRun]:
        """Newest first, Runs without `config`, `notes`, `conditions`, `attempts`. ValueError: no cursor of ours."""

    def get_run(self, run: str) -> Run | None:
        """The Run with its whole record."""

    def project_of_run(self, run: str) -> Project | None:
        """The project of a Run: who may see what belongs to it."""

    def collection(self, run: str) -> Collection:
        """How complete the Run's data is; zeros for an unknown Run."""

    def list_ranks(self, run: str, *, last_words: bool = False) -> Sequence[Rank]:
        """Ordered by attempt, node rank, rank (unknown last), restart. `last_words` on exited ones if asked."""

    def list_run_streams(self, run: str) -> Sequence[StreamInfo]:
        """All streams of all sources that are joined to the Run."""

    def get_stream(self, stream: int) -> StreamInfo | None:
        """One stream."""

    def read_bytes(self, stream: int, generation: int | None, offset: int, limit: int) -> StreamBytes:
        """See LogStore; generation None = the newest. KeyError: no such stream or generation."""

    def lines_from(self, stream: int, offset: int, limit: int, generation: int | None = None) -> Lines:
        """At most `limit` lines forward from a raw offset (the end of an earlier answer, or 0)."""

    def lines_before(self, stream: int, offset: int, limit: int, generation: int | None = None) -> Lines:
        """The at most `limit` lines that end at or before a raw offset (the start of an earlier answer)."""

    def last_lines(self, stream: int, limit: int, generation: int | None = None) -> Lines:
        """The newest at most `limit` lines, an unfinished last one included (`partial`)."""

    def list_series(self, run: str) -> Sequence[SeriesInfo]:
        """Every key of the Run, ordered by kind and key."""

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
        """One line a rank, at most `points` buckets each over [start, stop] of x ("time" or "step")."""

    def list_files(self, run: str) -> Sequence[FileInfo]:
        """The newest version of each path of each source of the Run."""

    def get_file(self, file: str) -> StoredFile | None:
        """A file by its id, with the place of its bytes."""

    def list_entities(self) -> Sequence[str]:
        """All entities that own a Run or have a member, sorted."""

    def list_projects(self, entity: str) -> Sequence[str]:
        """All projects of an entity, sorted."""
