"""What the next bytes of a stream of events, metrics or user data say. Reads a snapshot, writes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from outrider_sidecar import contract
from outrider_tracker.decode import events, metrics
from outrider_tracker.decode.lines import WINDOW, cut, parse
from outrider_tracker.store.found import Found, Prepared, prepare
from outrider_tracker.store.logs import Snapshot, generation_end, pieces

PENDING: Final = (
    "SELECT stream.id, stream.name, stream.kind, stream.container, stream.source, source.entity, source.run_id, "
    "stream.generation, stream.decoded_generation, stream.decoded FROM stream JOIN source ON source.id = stream.source "
    "WHERE stream.kind IN ('events', 'metrics', 'user') "
    "AND (stream.decoded_generation < stream.generation OR stream.decoded < stream.end) "
    "ORDER BY stream.kind != 'events', stream.id"
)


@dataclass(frozen=True, slots=True)
class PendingStream:
    """A stream with bytes that are not decoded: a row of PENDING, which gives events first."""

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


class StreamStep(msgspec.Struct, frozen=True, tag=True):
    """What one step writes, and the place behind it. `values` and `items`: see decode/metrics.py."""

    to_generation: int
    to_offset: int
    prepared: Prepared
    events: list[events.Event] = []
    values: list[tuple[str, int, str, str, float]] = []
    items: list[metrics.UserItem] = []
    malformed: int = 0
    unknown: int = 0


def take(snapshot: Snapshot, pending: PendingStream, now: float, most: float) -> StreamStep:
    """Decodes at most one window of a stream. `now`: Unix seconds; `most`: series that its run may have."""
    generation = pending.decoded_generation
    try:
        end = generation_end(snapshot.connection, (pending.stream, generation))
    except KeyError:  # generations may be skipped
        return StreamStep(generation + 1, 0, prepare(Found(), now, most))
    closed = generation < pending.generation
    stop = min(end, pending.decoded + WINDOW)
    stored = (
        pieces(snapshot, (pending.stream, generation), pending.decoded, stop) if stop > pending.decoded else iter(())
    )
    lines = cut(stored, pending.decoded, closed=closed and stop >= end)
    place = (generation + 1, 0) if closed and lines.decoded >= end else (generation, lines.decoded)
    found: list[events.Event] = []
    gathered = metrics.Gathered(malformed=lines.malformed)
    rank = metrics.rank_of_name(pending.name)
    for line in lines.lines:
        record = parse(line)
        if record is None:
            gathered.malformed += 1
        elif pending.kind == contract.KIND_EVENTS:
            _read_event(record, found, gathered)
        elif pending.kind == contract.KIND_METRICS:
            metrics.read_metrics(record, gathered, now, pending.container)
        else:
            metrics.read_user(record, gathered, now, rank)
    return StreamStep(
        *place,
        prepared=prepare(Found(gathered.series), now, most),
        events=found,
        values=[(*key, text, time) for key, (text, time) in gathered.values.items()],
        items=gathered.items,
        malformed=gathered.malformed,
        unknown=gathered.unknown,
    )


def _read_event(record: dict[str, object], into: list[events.Event], gathered: metrics.Gathered) -> None:
    event = events.read(record)
    if event is None:
        gathered.malformed += 1
    elif not event.known:
        gathered.unknown += 1
    else:
        into.append(event)
