"""Decodes durable lines of events, metrics and user streams, exactly once.

Each stream has a decoded offset. One step reads from it, and one transaction writes what the lines mean together with
the new offset, if the offset is still where the step began. A crash between the two changes nothing; the next start
goes on.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Hashable, Iterable

from outrider_sidecar import contract
from outrider_tracker import failpoints
from outrider_tracker.decode import events
from outrider_tracker.decode.steps import Steps
from outrider_tracker.decode.stream_step import PENDING, PendingStream, StreamStep
from outrider_tracker.decode.turns import Turns
from outrider_tracker.decode.worker import MOMENT, Worker
from outrider_tracker.log import say
from outrider_tracker.notifier import FEED, run_topic
from outrider_tracker.store import decoded
from outrider_tracker.store.errors import StoreError
from outrider_tracker.store.store import Store


class Decoder(Worker):
    """A thread that decodes whatever is pending. `wake` after each append; it also looks at its start."""

    def __init__(self, store: Store, publish: Callable[[Iterable[Hashable]], None], steps: Steps | None = None) -> None:
        super().__init__(store, "decoder", steps)
        self._publish = publish
        self.stuck: set[int] = set()
        self._streams = Turns[PendingStream](
            lambda each: each.entity, lambda each: each.stream, lambda each: each.kind == contract.KIND_EVENTS
        )

    def backlog(self) -> int:
        """Streams with bytes that are not decoded; one whose last line has no end yet is one of them."""
        return int(self._store.readers.read(lambda c: c.execute(f"SELECT count(*) FROM ({PENDING})").fetchone())[0])  # noqa: S608

    def _round(self) -> bool:
        """See Worker; of each tenant, events first."""
        moved = False
        end = time.monotonic() + MOMENT
        for pending in self._streams.take(self._store.readers.read(self._ready)):
            moved = self._safely(pending) or moved
            if self._stop.is_set():
                return False
            if moved and time.monotonic() > end:
                break
        return moved

    def _ready(self, connection: sqlite3.Connection) -> list[PendingStream]:
        keeping = {keeper.owner for keeper in decoded.keepers(connection)}
        found = [PendingStream(*row) for row in connection.execute(PENDING)]
        return [each for each in found if each.source not in keeping and each.stream not in self.stuck]

    def _safely(self, pending: PendingStream) -> bool:
        """What this release cannot decode stops its own stream only; the raw bytes stay, a restart tries again."""
        try:
            return self.step(pending)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001  whatever hostile bytes found: others must go on
            self.stuck.add(pending.stream)
            say("decoder.stuck", stream=pending.stream, offset=pending.decoded, error=repr(error))
            return False

    def step(self, pending: PendingStream) -> bool:
        """Decodes at most one window of a stream. Whether its offset moved."""
        step = self._steps.of_stream(pending, self._store.clock(), self._store.max_series(pending.entity))
        if (step.to_generation, step.to_offset) == (pending.decoded_generation, pending.decoded):
            return False
        moved = self._store.writer.run(lambda connection: _write(connection, pending, step))
        if moved and step.events:
            self._publish([FEED, *([run_topic(pending.run)] if pending.run else [])])
        return moved


def _write(connection: sqlite3.Connection, pending: PendingStream, step: StreamStep) -> bool:
    """False if somebody else decoded this step already."""
    changed = connection.execute(
        "UPDATE stream SET decoded_generation = ?, decoded = ?, malformed = malformed + ?, unknown = unknown + ? "
        "WHERE id = ? AND decoded_generation = ? AND decoded = ?",
        (
            step.to_generation,
            step.to_offset,
            step.malformed,
            step.unknown,
            pending.stream,
            pending.decoded_generation,
            pending.decoded,
        ),
    )
    if changed.rowcount != 1:
        return False
    for event in step.events:
        events.apply(connection, pending.source, event, step.prepared.whole.now)
    decoded.put(connection, pending.source, step.prepared)
    connection.executemany(
        "INSERT OR REPLACE INTO user_value (source, type, rank, key, value_json, time) VALUES (?, ?, ?, ?, ?, ?)",
        [(pending.source, *value) for value in step.values],
    )
    connection.executemany(
        "INSERT INTO user_item (source, type, rank, step, time, data_json) VALUES (?, ?, ?, ?, ?, ?)",
        [(pending.source, item.type, item.rank, item.step, item.time, item.data) for item in step.items],
    )
    failpoints.passing(failpoints.DECODE_BEFORE_COMMIT)
    return True
