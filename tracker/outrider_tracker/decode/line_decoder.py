"""Decodes stored lines of history and events, exactly once, behind the writer.

A space's `decoded` is the sequence number up to which its own blocks were decoded, `base_decoded` the number of lines
of its base. One step reads from there; one transaction writes what the lines mean together with the new place, if the
place is still where the step began and nothing was laid over these lines meanwhile. A line that a later block covers is
decoded with that block. Lines that were decoded and are overwritten make the run start over (store/lines.py).
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import Future
from typing import Final

from outrider_tracker import failpoints
from outrider_tracker.decode.line_lag import LineLag
from outrider_tracker.decode.line_step import LineStep
from outrider_tracker.decode.steps import Steps
from outrider_tracker.decode.turns import Turns
from outrider_tracker.decode.worker import MOMENT, Worker
from outrider_tracker.log import say
from outrider_tracker.notifier import sdk_run_topic
from outrider_tracker.store import decoded
from outrider_tracker.store.errors import StoreError
from outrider_tracker.store.store import Store
from outrider_tracker.store.undecoded import Pending, backlog, pending

POLL_SECONDS: Final = 1.0  # a wake-up is a hint; the tables are looked at this often all the same
_AT_ONCE: Final = 8  # steps on their way to the writer
_Waiting = tuple[Pending, LineStep, Future[bool]]


class LineDecoder(Worker):
    """A thread that decodes whatever is pending. `wake` after each append; it also looks at its start."""

    def __init__(self, store: Store, publish: Callable[[Iterable[Hashable]], None], steps: Steps | None = None) -> None:
        super().__init__(store, "line-decoder", steps, POLL_SECONDS)
        self._publish = publish
        self.stuck: set[int] = set()
        self.lag = LineLag()
        self._places = Turns[Pending](lambda place: place.entity, lambda place: place.space)

    def drain(self) -> None:
        """Decodes all that is pending now, in the caller's thread; nobody is behind any more then."""
        super().drain()
        if not self._stop.is_set():
            self.lag.clear()

    def backlog(self) -> int:
        """Lines that are durable and not decoded, and portions that wait to be spread."""
        with self._store.readers.snapshot() as connection:
            return backlog(connection) + decoded.waiting(connection)

    def _round(self) -> bool:
        """See Worker."""
        moved = False
        waiting: list[_Waiting] = []
        end = time.monotonic() + MOMENT
        for place in self._places.take(self._store.readers.read(self._ready)):
            step = self._read(place)
            if step is not None:
                waiting.append((place, step, self._submit(place, step)))
            if len(waiting) >= _AT_ONCE or self._stop.is_set():
                moved = self._finish(waiting) or moved
            if self._stop.is_set():
                return False
            if moved and time.monotonic() > end:
                break
        return self._finish(waiting) or moved

    def _ready(self, connection: sqlite3.Connection) -> list[Pending]:
        keeping = {keeper.run for keeper in decoded.keepers(connection)}
        return [place for place in pending(connection) if place.run not in keeping and place.space not in self.stuck]

    def _submit(self, place: Pending, step: LineStep) -> Future[bool]:
        return self._store.writer.submit(lambda connection: _write(connection, place, step))

    def _finish(self, waiting: list[_Waiting]) -> bool:
        """Waits for the steps under way. What breaks one of them stops its own space only; a restart tries again."""
        moved = False
        for place, step, future in waiting:
            try:
                if future.result():
                    moved = True
                    self.lag.gone(place.run, sum(part.stop - part.start for part in step.to.parts))
                    self._publish([sdk_run_topic(place.run)])
                else:
                    self._wanted.set()  # somebody changed the lines meanwhile: once more
            except StoreError:
                waiting.clear()
                raise
            except Exception as error:  # noqa: BLE001  whatever hostile rows found: others must go on
                self._give_up(place, error)
        waiting.clear()
        return moved

    def _give_up(self, place: Pending, error: Exception) -> None:
        self.stuck.add(place.space)
        say("line_decoder.stuck", space=place.space, block=place.decoded, error=repr(error))

    def _read(self, place: Pending) -> LineStep | None:
        """What the next lines of the space come to; None if this release cannot say."""
        try:
            return self._steps.of_lines(place, self._store.clock(), self._store.max_series(place.entity))
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001  as above
            self._give_up(place, error)
            return None


def _write(connection: sqlite3.Connection, place: Pending, step: LineStep) -> bool:
    """False if the space is not any more what the step was made from."""
    to = step.to
    changed = connection.execute(
        "UPDATE line_space SET base_decoded = ?, decoded = ? WHERE id = ? AND run = ? AND branch = ? "
        "AND base_decoded = ? AND decoded = ? AND NOT EXISTS (SELECT 1 FROM line_block "
        "INDEXED BY line_block_by_seq WHERE space = ? AND seq > ? AND first < ? AND first + count > ?)",
        (
            to.base_decoded,
            to.decoded,
            place.space,
            place.run,
            place.branch,
            place.base_decoded,
            place.decoded,
            place.space,
            to.seen,
            max((part.stop for part in to.parts), default=0),
            min((part.start for part in to.parts), default=0),
        ),
    )
    if changed.rowcount != 1:
        return False
    decoded.put(connection, -decoded.begin(connection, place.run), step.prepared)
    failpoints.passing(failpoints.LINE_DECODE_BEFORE_COMMIT)
    return True
