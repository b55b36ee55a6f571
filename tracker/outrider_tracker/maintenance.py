"""Background work on the store: sealing, sweeping, forgetting. One thread; failures are retried.

Of normal priority: a thread that waits for a core while it holds the interpreter holds everybody up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from outrider_tracker.background import Background
from outrider_tracker.log import say
from outrider_tracker.store import feed, files, sdk_runs, sdk_stream
from outrider_tracker.store.compaction import compact_lines
from outrider_tracker.store.errors import StorageFullError
from outrider_tracker.store.store import Store
from outrider_tracker.store.writer import WriterClosedError

INTERVAL: Final = 5.0
SLOW_INTERVAL: Final = 600.0
SEAL_BYTES: Final = 8 << 20
STALLED: Final = 60.0  # between two rounds: the process was stopped, or its disk hung


class Maintenance(Background):
    """A round after the other."""

    def __init__(
        self,
        store: Store,
        *,
        interval: float = INTERVAL,
        seal_bytes: int = SEAL_BYTES,
        chores: Sequence[Callable[[], None]] = (),
        serving: Callable[[], bool] = lambda: True,
    ) -> None:
        """`chores` are called each round; each of them knows when it is due.

        `serving`: whether clients' data is taken now; while it is not, nobody's silence counts against a run.
        """
        super().__init__("maintenance")
        self._store = store
        self._interval = interval
        self._seal_bytes = seal_bytes
        self._chores = chores
        self._serving = serving
        self._last_round = store.clock()
        self._slow_since = float("-inf")
        self.sealed_streams = 0
        self.sealed_series = 0
        self.joined_blocks = 0

    def round(self) -> None:
        """One round, in the caller's thread."""
        now = self._store.clock()
        self._lose_silent(now)
        for chore in self._chores:
            chore()
        while not self._stop.is_set():
            sealed = self._store.logs.seal(self._seal_bytes, now)
            self.sealed_streams += sealed
            if sealed == 0:
                break
        self.sealed_series += self._store.points.seal(now)
        self.joined_blocks += compact_lines(self._store.readers, self._store.writer)
        if now - self._slow_since >= SLOW_INTERVAL:
            self._slow_since = now
            self._store.writer.run(lambda connection: feed.trim(connection, now))
            self._store.writer.run(lambda connection: files.expire_uploads(connection, now))
            self._store.sweep()

    def _lose_silent(self, now: float) -> None:
        """Ends SDK runs that nobody hears of any more."""
        store = self._store
        if not self._serving() or now - self._last_round > STALLED:
            store.sdk.serving_since = now
        self._last_round = now
        if store.readers.read(lambda connection: sdk_runs.any_silent(connection, now)):
            store.writer.run(lambda connection: sdk_stream.end_silent(connection, now))
            store.writer.run(lambda connection: sdk_runs.lose_silent(connection, now, store.sdk.serving_since))

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            try:
                self.round()
            except WriterClosedError:
                return
            except StorageFullError as error:
                say("maintenance.waits", reason=str(error))
            except Exception as error:  # noqa: BLE001  one bad row must not end all rounds to come
                say("maintenance.failed", reason=repr(error))
