"""Decodes durable lines of events, metrics and user streams, exactly once.

Each stream has a decoded offset. One step reads from it, and one transaction writes what the lines mean together with
the new offset, if the offset is still where the step began. A crash between the two changes nothing; the next start
goes on.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Final

from outrider_sidecar import contract
from outrider_tracker import failpoints
from outrider_tracker.decode import events, metrics
from outrider_tracker.decode.lines import WINDOW, cut, parse
from outrider_tracker.decode.worker import Worker
from outrider_tracker.log import say
from outrider_tracker.notifier import FEED, run_topic
from outrider_tracker.store import decoded
from outrider_tracker.store.decoded import Found, Prepared
from outrider_tracker.store.errors import StoreError
from outrider_tracker.store.logs import Snapshot, generation_end, pieces
from outrider_tracker.store.store import Store

_PENDING: Final = (
    "SELECT stream.id, stream.name, stream.kind, stream.container, stream.source, source.entity, source.run_id, "
    "stream.generation, stream.decoded_generation, stream.decoded FROM stream JOIN source ON source.id = stream.source "
    "WHERE stream.kind IN ('events', 'metrics', 'user') "
    "AND (stream.decoded_generation < stream.generation OR stream.decoded < stream.end) "
)


@dataclass(frozen=True, slots=True)
class _Pending:
    stream: int
    name: str
    kind: str
    container: str | None
    source: int
    entity: str
    run: str | None
    generation: int
    decoded_generation: int
    decoded: int


@dataclass(slots=True)
class _Step:
    """What one step writes."""

    to_generation: int
    to_offset: int
    events: list[events.Event] = field(default_factory=list)
    gathered: metrics.Gathered = field(default_factory=metrics.Gathered)


class Decoder(Worker):
    """A thread that decodes whatever is pending. `wake` after each append; it also looks at its start."""

    def __init__(self, store: Store, publish: Callable[[Iterable[Hashable]], None]) -> None:
        super().__init__(store, "decoder")
        self._publish = publish
        self.stuck: set[int] = set()

    def _round(self) -> bool:
        """One step of every pending stream, events first. Whether any of them moved."""
        with self._store.readers.snapshot() as connection:
            rows = connection.execute(_PENDING + "ORDER BY stream.kind != 'events', stream.id").fetchall()
        moved = False
        for row in rows:
            pending = _Pending(*row)
            if pending.stream not in self.stuck:
                begun = time.monotonic()
                moved = self._safely(pending) or moved
                self._rest(begun)
            if self._stop.is_set():
                return False
        return moved

    def _safely(self, pending: _Pending) -> bool:
        """What this release cannot decode stops its own stream only; the raw bytes stay, a restart tries again."""
        try:
            return self.step(pending)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001  whatever hostile bytes found: others must go on
            self.stuck.add(pending.stream)
            say("decoder.stuck", stream=pending.stream, offset=pending.decoded, error=repr(error))
            return False

    def step(self, pending: _Pending) -> bool:
        """Decodes at most one window of a stream. Whether its offset moved."""
        step = self._read(pending)
        if (step.to_generation, step.to_offset) == (pending.decoded_generation, pending.decoded):
            return False
        found = Found(step.gathered.series)
        prepared = Prepared(found, self._store.clock(), self._store.max_series(pending.entity))
        moved = self._store.writer.run(lambda connection: _write(connection, pending, step, prepared))
        if moved and step.events:
            self._publish([FEED, *([run_topic(pending.run)] if pending.run else [])])
        return moved

    def _read(self, pending: _Pending) -> _Step:
        generation = pending.decoded_generation
        with self._store.reader.snapshot() as snapshot:
            try:
                end = generation_end(snapshot.connection, (pending.stream, generation))
            except KeyError:  # generations may be skipped
                return _Step(generation + 1, 0)
            closed = generation < pending.generation
            step = _decode(snapshot, pending, min(end, pending.decoded + WINDOW), self._store.clock(), closed=closed)
            if closed and step.to_offset >= end:
                step.to_generation, step.to_offset = generation + 1, 0
            return step


def _decode(snapshot: Snapshot, pending: _Pending, stop: int, received: float, *, closed: bool) -> _Step:
    key = (pending.stream, pending.decoded_generation)
    whole = closed and stop >= generation_end(snapshot.connection, key)
    stored = pieces(snapshot, key, pending.decoded, stop) if stop > pending.decoded else iter(())
    found = cut(stored, pending.decoded, closed=whole)
    step = _Step(pending.decoded_generation, found.decoded)
    step.gathered.malformed = found.malformed
    rank = metrics.rank_of_name(pending.name)
    for line in found.lines:
        record = parse(line)
        if record is None:
            step.gathered.malformed += 1
        elif pending.kind == contract.KIND_EVENTS:
            _read_event(record, step)
        elif pending.kind == contract.KIND_METRICS:
            metrics.read_metrics(record, step.gathered, received, pending.container)
        else:
            metrics.read_user(record, step.gathered, received, rank)
    return step


def _read_event(record: dict[str, object], step: _Step) -> None:
    event = events.read(record)
    if event is None:
        step.gathered.malformed += 1
    elif not event.known:
        step.gathered.unknown += 1
    else:
        step.events.append(event)


def _write(connection: sqlite3.Connection, pending: _Pending, step: _Step, prepared: Prepared) -> bool:
    """False if somebody else decoded this step already."""
    gathered = step.gathered
    changed = connection.execute(
        "UPDATE stream SET decoded_generation = ?, decoded = ?, malformed = malformed + ?, unknown = unknown + ? "
        "WHERE id = ? AND decoded_generation = ? AND decoded = ?",
        (
            step.to_generation,
            step.to_offset,
            gathered.malformed,
            gathered.unknown,
            pending.stream,
            pending.decoded_generation,
            pending.decoded,
        ),
    )
    if changed.rowcount != 1:
        return False
    for event in step.events:
        events.apply(connection, pending.source, event, prepared.now)
    decoded.put(connection, pending.source, prepared)
    connection.executemany(
        "INSERT OR REPLACE INTO user_value (source, type, rank, key, value_json, time) VALUES (?, ?, ?, ?, ?, ?)",
        [(pending.source, *key, text, time) for key, (text, time) in gathered.values.items()],
    )
    connection.executemany(
        "INSERT INTO user_item (source, type, rank, step, time, data_json) VALUES (?, ?, ?, ?, ?, ?)",
        [(pending.source, item.type, item.rank, item.step, item.time, item.data) for item in gathered.items],
    )
    failpoints.passing(failpoints.DECODE_BEFORE_COMMIT)
    return True
