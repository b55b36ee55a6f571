"""A thread that works off what is durable and not decoded yet: woken after appends, patient while the store is not."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from functools import partial
from typing import Final

from outrider_tracker.background import Background
from outrider_tracker.decode.process import DecodingAwayError
from outrider_tracker.decode.steps import Here, Steps
from outrider_tracker.decode.turns import Turns
from outrider_tracker.log import say
from outrider_tracker.store import decoded
from outrider_tracker.store.decoded import Keeper
from outrider_tracker.store.errors import StorageFullError, StoreBrokenError
from outrider_tracker.store.store import Store
from outrider_tracker.store.writer import WriterBusyError, WriterClosedError

RETRY_SECONDS: Final = 1.0
MOMENT: Final = 0.25  # seconds after which a round, or spreading, gives way to the other one
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
        self._keepers = Turns[Keeper](lambda keeper: keeper.tenant, lambda keeper: keeper.owner)
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
        going = True
        while going and not self._stop.is_set():
            moved = self._round()
            going = self._spread() or moved

    def _spread(self) -> bool:
        """Writes for a moment what is kept, portion by portion: others have their turn with the writer in between.
        Whether there was any.
        """
        waiting = {keeper.owner: keeper for keeper in self._store.readers.read(decoded.keepers)}
        some = bool(waiting)
        end = time.monotonic() + MOMENT
        while waiting and not self._stop.is_set():
            begun = time.monotonic()
            keeper = next(self._keepers.take(waiting.values()))
            if not self._store.writer.run(partial(decoded.spread, owner=keeper.owner)):
                del waiting[keeper.owner]
            if self._store.writer.shared:
                self._stop.wait(REST * (time.monotonic() - begun))
            if time.monotonic() > end:
                break
        return some

    @abstractmethod
    def _round(self) -> bool:
        """A step of what is pending, tenant by tenant, but of whoever owns something that is kept: its points are
        written in their order. Whether anything moved; if so it may end after a moment, otherwise all had their turn.
        """

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
