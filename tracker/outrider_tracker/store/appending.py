"""Appending to streams: observe heads, compare overlaps, apply a plan as a compare-and-set in one transaction."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from outrider_sidecar import contract
from outrider_tracker.core.errors import RefusedError
from outrider_tracker.core.frames import DataFrame, Frame, LostFrame
from outrider_tracker.core.plan import Check, Head, Hole, Plan, Put, StreamPlan
from outrider_tracker.store.errors import StoreError
from outrider_tracker.store.logs import Data, Snapshot, pieces


class StaleError(StoreError):
    """The heads moved between observing and applying: observe again."""


@dataclass(frozen=True, slots=True)
class Writing:
    """Who appends and when: `epoch` must still be the source's; clocks and backlog are recorded with the bytes."""

    source: int
    epoch: int
    received: float
    unsent: int | None
    clock: tuple[float, float, float] | None


@dataclass(frozen=True, slots=True)
class Applied:
    """Ends of the streams of the request, by name; ids of those that grew."""

    ends: Mapping[str, tuple[int, int]]
    grown: Sequence[int]
    decodable: bool


def heads(
    connection: sqlite3.Connection, source: int, wanted: Sequence[str], frames: Sequence[Frame]
) -> dict[str, Head]:
    """The heads of the source's streams of these names; ends of older generations where a frame speaks of one."""
    found: dict[str, Head] = {}
    for start in range(0, len(wanted), 500):
        part = wanted[start : start + 500]
        marks = ",".join("?" * len(part))
        rows = connection.execute(
            f"SELECT name, id, kind, labels_json, generation, end FROM stream WHERE source = ? AND name IN ({marks})",  # noqa: S608
            (source, *part),
        )
        for name, stream, kind, labels, generation, end in rows:
            found[name] = Head(stream, kind, json.loads(labels), generation, end)
    older = {
        frame.stream
        for frame in frames
        if isinstance(frame, (DataFrame, LostFrame))
        and frame.stream in found
        and frame.generation < found[frame.stream].generation
    }
    for name in older:
        head = found[name]
        ends = dict(connection.execute("SELECT number, end FROM generation WHERE stream = ?", (head.id,)))
        found[name] = Head(head.id, head.kind, head.labels, head.generation, head.end, ends)
    return found


@dataclass(frozen=True, slots=True)
class Sent:
    """The frames of a request and, by frame number, the raw bytes of its data frames."""

    frames: Sequence[Frame]
    raws: Mapping[int, bytes]


def compare(snapshot: Snapshot, plan: StreamPlan, sent: Sent) -> None:
    """Makes the plan's comparisons. RefusedError (mismatch) where bytes differ.

    Bytes that are recorded as lost match anything: nothing is known of them.
    """
    for check in plan.checks:
        frame = sent.frames[check.frame]
        assert isinstance(frame, DataFrame)
        mine = sent.raws[check.frame]
        for start, data in _there(snapshot, check, sent):
            if mine[start - frame.offset : start - frame.offset + len(data)] != data:
                raise RefusedError(
                    contract.ERROR_MISMATCH,
                    f"stream {plan.name} generation {check.generation} holds other bytes from {check.start} to "
                    f"{check.stop} than were sent: the file was replaced or rewritten; open the next generation",
                    stream=plan.name,
                    generation=plan.before.generation if plan.before else plan.generation,
                    end=plan.before.end if plan.before else plan.end,
                )


def _there(snapshot: Snapshot, check: Check, sent: Sent) -> list[tuple[int, bytes]]:
    if check.earlier is not None:
        earlier = sent.frames[check.earlier]
        assert isinstance(earlier, DataFrame)
        raw = sent.raws[check.earlier]
        return [(check.start, raw[check.start - earlier.offset : check.stop - earlier.offset])]
    return [
        (piece.start, piece.data)
        for piece in pieces(snapshot, (check.stream, check.generation), check.start, check.stop)
        if isinstance(piece, Data)
    ]


@dataclass(frozen=True, slots=True)
class Stored:
    """(coding, payload) of each data frame that is written, by frame number."""

    payloads: Mapping[int, tuple[str, bytes]]


def prepare(plan: Plan, sent: Sent) -> Stored:
    """Codes what the plan writes; outside of any transaction."""
    made: dict[int, tuple[str, bytes]] = {}
    for stream in plan.streams:
        for put in stream.writes:
            if isinstance(put, Put):
                frame = sent.frames[put.frame]
                assert isinstance(frame, DataFrame)
                made[put.frame] = (frame.coding, payload(frame, put, sent.raws[put.frame]))
    return Stored(made)


def payload(frame: DataFrame, put: Put, raw: bytes) -> bytes:
    """What is stored for a frame: as it was sent, or coded anew without the bytes that are there already."""
    if put.skip == 0:
        return frame.payload
    rest = raw[put.skip :]
    return zlib.compress(rest, 6) if frame.coding == "zlib" else rest


def apply(connection: sqlite3.Connection, writing: Writing, plan: Plan, stored: Stored) -> Applied:
    """Writes the plan within the caller's transaction.

    RefusedError (fenced) if a newer epoch exists; StaleError if a stream moved since its head was observed.
    """
    row = connection.execute("SELECT epoch, deleted FROM source WHERE id = ?", (writing.source,)).fetchone()
    if row is None or row[0] != writing.epoch:
        raise RefusedError(
            contract.ERROR_FENCED,
            f"writer epoch {writing.epoch} of this source is over: epoch {row[0] if row else 0} writes now",
        )
    ends: dict[str, tuple[int, int]] = {}
    grown: list[int] = []
    decodable = False
    for stream in plan.streams:
        ends[stream.name] = (stream.generation, stream.end)
        if stream.changes:
            grown.append(_apply_stream(connection, writing, stream, stored))
            decodable = decodable or stream.kind in {contract.KIND_EVENTS, contract.KIND_METRICS, contract.KIND_USER}
    connection.execute(
        "UPDATE source SET last_contact = ?, unsent = ifnull(?, unsent), unknown_frames = unknown_frames + ?, "
        "clock_low = ifnull(?, clock_low), clock_high = ifnull(?, clock_high), clock_base = ifnull(?, clock_base) "
        "WHERE id = ?",
        (writing.received, writing.unsent, plan.unknown, *(writing.clock or (None, None, None)), writing.source),
    )
    return Applied(ends, grown, decodable)


def _apply_stream(connection: sqlite3.Connection, writing: Writing, plan: StreamPlan, stored: Stored) -> int:
    inline = sum(put.length for put in plan.writes if isinstance(put, Put))
    stream = _set_head(connection, writing, plan, inline)
    for number, end, lost in _generations(plan):
        connection.execute(
            "INSERT INTO generation (stream, number, end, lost) VALUES (?, ?, ?, ?) ON CONFLICT (stream, number) "
            "DO UPDATE SET end = max(end, excluded.end), lost = lost + excluded.lost",
            (stream, number, end, lost),
        )
    connection.executemany(
        "INSERT INTO frame (stream, generation, start, length, received, coding, payload) VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (stream, put.generation, put.start, put.length, writing.received, *stored.payloads[put.frame])
            for put in plan.writes
            if isinstance(put, Put)
        ],
    )
    connection.executemany(
        "INSERT INTO lost (stream, generation, start, stop, reason, received) VALUES (?, ?, ?, ?, ?, ?)",
        [
            (stream, hole.generation, hole.start, hole.stop, hole.reason, writing.received)
            for hole in plan.writes
            if isinstance(hole, Hole)
        ],
    )
    return stream


def _set_head(connection: sqlite3.Connection, writing: Writing, plan: StreamPlan, inline: int) -> int:
    labels = json.dumps(plan.labels)
    joined = _join_labels(plan.labels)
    moved = writing.received if plan.writes else None
    if plan.before is None:
        try:
            row = connection.execute(
                "INSERT INTO stream (source, name, kind, labels_json, path, container, start, generation, end, "
                "last_append, inline_bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
                (writing.source, plan.name, plan.kind, labels, *joined, plan.generation, plan.end, moved, inline),
            ).fetchone()
        except sqlite3.IntegrityError:
            raise StaleError(f"stream {plan.name} was declared meanwhile") from None
        return int(row[0])
    changed = connection.execute(
        "UPDATE stream SET labels_json = ?, path = ?, container = ?, start = ?, generation = ?, end = ?, "
        "last_append = ifnull(?, last_append), inline_bytes = inline_bytes + ? "
        "WHERE id = ? AND generation = ? AND end = ?",
        (
            labels,
            *joined,
            plan.generation,
            plan.end,
            moved,
            inline,
            plan.before.id,
            plan.before.generation,
            plan.before.end,
        ),
    )
    if changed.rowcount != 1:
        raise StaleError(f"stream {plan.name} moved meanwhile")
    return plan.before.id


def _generations(plan: StreamPlan) -> list[tuple[int, int, int]]:
    """(number, end, newly lost bytes) of every generation that the plan touches."""
    touched: dict[int, list[int]] = {}
    if plan.before is None or plan.generation != plan.before.generation:
        touched[plan.generation] = [plan.end, 0]
    for write in plan.writes:
        entry = touched.setdefault(write.generation, [0, 0])
        if isinstance(write, Put):
            entry[0] = max(entry[0], write.start + write.length)
        else:
            entry[0] = max(entry[0], write.stop)
            entry[1] += write.stop - write.start
    return [(number, end, lost) for number, (end, lost) in sorted(touched.items())]


def _join_labels(labels: Mapping[str, Any]) -> tuple[str | None, str | None, int | None]:
    """(path, container, start): what a rank's events are joined to a stream by."""
    path, container, start = labels.get("path"), labels.get("container"), labels.get("start")
    return (
        path if isinstance(path, str) else None,
        container if isinstance(container, str) else None,
        start if isinstance(start, int) else None,
    )
