"""One thread writes. Jobs that wait together are committed together, so that one fsync serves many requests.

A job is a function of the connection. Each runs in its own savepoint: if it raises, only its own changes are undone and
its caller gets the error. Callers get their results after the commit, never before.

A job belongs to a tenant (an entity, or "" for the tracker's own work). Tenants share the writer by the time their jobs
take; the jobs of one tenant run in the order they were submitted.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from outrider_tracker import failpoints
from outrider_tracker.core.fairness import FairQueue
from outrider_tracker.store.errors import StorageFullError, StoreBrokenError, StoreError

T = TypeVar("T")
MAX_SECONDS: Final = 0.02  # a group is closed after this long …
MAX_BYTES: Final = 4 << 20  # … or this much payload
SHARED_SECONDS: Final = 0.004  # … or this, while several tenants write: one's haul is not another's delay
SHARED_FOR: Final = 2.0  # seconds after its last job in which a tenant counts as one that writes
MAX_WAITING: Final = 10_000  # jobs; more than that is a stuck disk, and callers are told to come back
OWN: Final = ""  # the tracker's own work: decoding, sealing, compaction
OWN_WEIGHT: Final = 4.0  # as many tenants' share of the writer: what is taken in must be decoded, too

Job = Callable[[sqlite3.Connection], Any]


@dataclass(slots=True)
class _Waiting:
    job: Job
    weight: int
    tenant: str
    future: Future[Any]


class WriterClosedError(StoreError):
    """The tracker is stopping."""


class WriterBusyError(StoreError):
    """Too many jobs wait: the disk does not keep up."""


def classify(error: sqlite3.Error) -> StoreError | None:
    """What an SQLite error means for the store as a whole; None: it concerns the one job only."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return None
    primary = code & 0xFF
    if primary == sqlite3.SQLITE_FULL:
        return StorageFullError("the tracker's disk is full: nothing of this request was stored")
    if code in {sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_WRITE} or primary == sqlite3.SQLITE_CANTOPEN:
        return StorageFullError(f"the tracker's disk takes no more ({error}): nothing of this request was stored")
    if primary in {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return StoreBrokenError(f"the tracker's disk failed: {error} ({getattr(error, 'sqlite_errorname', '')})")
    return None


class Writer:
    """Owns the writing connection. `broken` is set (and told to `on_broken`) when only a restart can help."""

    def __init__(
        self, connection: sqlite3.Connection, on_broken: Callable[[StoreBrokenError], None] | None = None
    ) -> None:
        self._connection = connection
        self._queue: FairQueue[_Waiting] = FairQueue(MAX_WAITING, {OWN: OWN_WEIGHT})
        self._on_broken = on_broken
        self.broken: StoreBrokenError | None = None
        self._closed = False
        self._gate = threading.Condition()
        self._shared_at = -SHARED_FOR
        self._latest = self._other = ("", -SHARED_FOR)  # who wrote last, and when somebody else did
        self.commits = 0
        self.jobs = 0
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Jobs that wait for their turn, about."""
        return len(self._queue)

    @property
    def shared(self) -> bool:
        """Whether several tenants write, or did until a moment ago."""
        return time.monotonic() < self._shared_at + SHARED_FOR

    def shared_with(self, tenant: str) -> bool:
        """Whether somebody else writes, or did until a moment ago."""
        latest, other = self._latest, self._other
        return time.monotonic() < (other if latest[0] == tenant else latest)[1] + SHARED_FOR

    def submit(self, job: Callable[[sqlite3.Connection], T], weight: int = 0, tenant: str = OWN) -> Future[T]:
        """Queues a job; `weight` is its payload in bytes, `tenant` the entity that it is done for.

        The future fails with StorageFullError, StoreBrokenError, WriterClosedError, WriterBusyError, or whatever the
        job raised.
        """
        future: Future[T] = Future()
        with self._gate:
            if self._closed:
                future.set_exception(WriterClosedError("the tracker is stopping: send the request again"))
            elif self.broken is not None:
                future.set_exception(self.broken)
            elif not self._queue.room(tenant):
                future.set_exception(
                    WriterBusyError("the tracker's disk does not keep up: send the request again later")
                )
            else:
                self._queue.push(tenant, _Waiting(job, weight, tenant, future))
                self._gate.notify()
        return future

    def run(self, job: Callable[[sqlite3.Connection], T], weight: int = 0, tenant: str = OWN) -> T:
        """Submits and waits (never from the writer's own thread)."""
        return self.submit(job, weight, tenant).result()

    def close(self) -> None:
        """Commits what waits and closes the connection."""
        with self._gate:
            if self._closed:
                return
            self._closed = True
            self._gate.notify()
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        first: _Waiting | None = None
        while True:
            if first is None:
                with self._gate:
                    self._gate.wait_for(lambda: self._closed or len(self._queue))
                    if not len(self._queue):
                        return
                    _, first = self._queue.pop()
            first = self._group(first)

    def _group(self, first: _Waiting) -> _Waiting | None:
        """One transaction. The job that the next one begins with, if it was taken from the queue already."""
        done: list[tuple[_Waiting, Any]] = []
        begun = time.monotonic()
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            self._undo([(first, None)] if first.future.set_running_or_notify_cancel() else [], error)
            return None
        left: _Waiting | None = None
        try:
            weight = 0
            waiting: _Waiting | None = first
            while waiting is not None:
                started = time.monotonic()
                self._one(waiting, done)
                ended = time.monotonic()
                weight += waiting.weight
                shared = self._shared(waiting.tenant, ended)
                full = weight >= MAX_BYTES or ended - begun >= (SHARED_SECONDS if shared else MAX_SECONDS)
                served = waiting.tenant != OWN
                waiting = self._next(waiting.tenant, ended - started, full=full)
                if shared and served and waiting is not None and waiting.tenant == OWN:
                    # Who waits for an answer does not wait for our own work, too.
                    left, waiting = waiting, None
            failpoints.passing(failpoints.BEFORE_COMMIT)
            self._connection.execute("COMMIT")
            failpoints.passing(failpoints.AFTER_COMMIT)
        except (sqlite3.Error, StoreError) as error:
            self._undo(done, error)
            return left
        self.commits += 1
        self.jobs += len(done)
        for finished, result in done:
            finished.future.set_result(result)
        return left

    def _next(self, tenant: str, seconds: float, *, full: bool) -> _Waiting | None:
        """Charges a tenant for its job; the next job of the group, if there is one and the group is not full."""
        with self._gate:
            self._queue.charge(tenant, seconds)
            return None if full or not len(self._queue) else self._queue.pop()[1]

    def _shared(self, tenant: str, now: float) -> bool:
        """Notes a tenant's job. Whether several tenants wrote lately."""
        if tenant != OWN:
            if tenant != self._latest[0]:
                self._other = self._latest
            self._latest = tenant, now
        shared = self._other[1] >= now - SHARED_FOR
        if shared:
            self._shared_at = now
        return shared

    def _one(self, waiting: _Waiting, done: list[tuple[_Waiting, Any]]) -> None:
        if not waiting.future.set_running_or_notify_cancel():
            return
        connection = self._connection
        connection.execute("SAVEPOINT job")
        try:
            result = waiting.job(connection)
            connection.execute("RELEASE job")
        except Exception as error:
            whole = classify(error) if isinstance(error, sqlite3.Error) else None
            if whole is not None or not connection.in_transaction:
                # SQLite may have undone the whole group: nobody in it may be told that it is durable.
                waiting.future.set_exception(whole or StorageFullError(f"the transaction was undone: {error}"))
                raise whole or StorageFullError(str(error)) from error
            connection.execute("ROLLBACK TO job")
            connection.execute("RELEASE job")
            waiting.future.set_exception(error)
            return
        done.append((waiting, result))

    def _undo(self, done: list[tuple[_Waiting, Any]], error: sqlite3.Error | StoreError) -> None:
        """Rolls the group back and tells its members (and marks the store broken where that is the case)."""
        meaning = error if isinstance(error, StoreError) else classify(error)
        if meaning is None:
            meaning = StorageFullError(f"the transaction was undone: {error}")
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error as second:
            meaning = StoreBrokenError(f"the store cannot undo a transaction: {second}")
        for waiting, _ in done:
            waiting.future.set_exception(meaning)
        if isinstance(meaning, StoreBrokenError):
            with self._gate:
                self.broken = meaning
            if self._on_broken is not None:
                self._on_broken(meaning)
