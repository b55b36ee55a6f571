"""A thread that works off what is durable and not decoded yet: woken after appends, patient while the store is not."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from typing import Final

from outrider_tracker.background import Background
from outrider_tracker.decode.process import DecodingAwayError
from outrider_tracker.decode.steps import Here, Steps
from outrider_tracker.log import say
from outrider_tracker.store import decoded
from outrider_tracker.store.errors import StorageFullError, StoreBrokenError
from outrider_tracker.store.store import Store
from outrider_tracker.store.writer import WriterBusyError, WriterClosedError

RETRY_SECONDS: Final = 1.0
REST: Final = 2.0  # times as long as a portion took, while several tenants write: they wait less for the interpreter


class Worker(Background):
    """Rounds until nothing moves, then waits to be woken, or for `poll` seconds. Its first round needs no waking: what
    an earlier process left is decoded first.

    `name` is the thread's, and (with _ for -) begins its events in the log. Without `steps` its thread makes them.
    """

    def __init__(self, store: Store, name: str, steps: Steps | None, poll: float | None = None) -> None:
        super().__init__(name)
        self._store = store
        self._steps = steps or Here(store.readers, store.objects)
        self._event = f"{name.replace('-', '_')}.waits"
        self._poll = poll
        self._wanted = threading.Event()
        self._wanted.set()

    def wake(self) -> None:
        """Something was appended."""
        self._wanted.set()

    def close(self) -> None:
        """Ends after the steps at hand."""
        self._stop.set()
        self._wanted.set()
        super().close()

    def drain(self) -> None:
        """Decodes all that is pending now, in the caller's thread."""
        moved = True
        while moved and not self._stop.is_set():
            # What earlier steps kept comes first: points of a series are written in their order.
            self._spread()
            moved = self._round()

    def _spread(self) -> None:
        """Writes what is kept, portion by portion: others have their turn with the writer in between."""
        if not self._store.readers.read(decoded.waiting):
            return
        begun = time.monotonic()
        while self._store.writer.run(decoded.spread) and not self._stop.is_set():
            if self._store.writer.shared:
                self._stop.wait(REST * (time.monotonic() - begun))
            begun = time.monotonic()

    @abstractmethod
    def _round(self) -> bool:
        """A step of everything that is pending. Whether anything moved."""

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wanted.wait(self._poll)
            self._wanted.clear()
            try:
                self.drain()
            except WriterClosedError:
                return
            except (StorageFullError, WriterBusyError, StoreBrokenError, DecodingAwayError) as error:
                say(self._event, reason=str(error))
                self._stop.wait(RETRY_SECONDS)
                self._wanted.set()
