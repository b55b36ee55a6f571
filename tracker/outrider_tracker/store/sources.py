"""Sources: declared by their pod (epochs fence older writers), joined to a Run by the controller."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from outrider_tracker.core import jsontext

DECLARED: Final = "source.declared"  # in the feed: a pod has a new writer


@dataclass(frozen=True, slots=True)
class Owner:
    """To whom a source belongs: fixed by whoever named it first."""

    entity: str
    issuer: str
    namespace: str


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a sidecar says of itself at its start."""

    uid: str
    owner: Owner
    pod: str
    node: str
    workload: Mapping[str, Any]
    agent: str
    instance: str


@dataclass(frozen=True, slots=True)
class Join:
    """What the controller knows of a pod. `final_unsent`: from the sidecar's last words, None until they are known."""

    uid: str
    owner: Owner
    run: str
    attempt: int
    node_rank: int | None
    incarnation: int
    pod: str
    node: str
    phase: str
    deleted: bool
    final_unsent: int | None
    lost_reason: str | None


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A source as appends need it."""

    id: int
    entity: str
    issuer: str
    epoch: int
    deleted: bool
    run: str | None
    clock: tuple[float, float, float] | None


@dataclass(frozen=True, slots=True)
class Declared:
    """The answer to a declaration; `streams`: (name, newest generation, durable end)."""

    source: int
    epoch: int
    run: str | None
    streams: list[tuple[str, int, int]]


class OtherOwnerError(Exception):
    """The source belongs to another entity or another cluster."""


def get_source(connection: sqlite3.Connection, uid: str) -> SourceRow | None:
    """The source of that pod UID."""
    row = connection.execute(
        "SELECT id, entity, issuer, epoch, deleted, run_id, clock_low, clock_high, clock_base FROM source "
        "WHERE uid = ?",
        (uid,),
    ).fetchone()
    if row is None:
        return None
    clock = None if row[6] is None else (row[6], row[7], row[8])
    return SourceRow(row[0], row[1], row[2], row[3], bool(row[4]), row[5], clock)


def declare(connection: sqlite3.Connection, wanted: Declaration, now: float) -> Declared:
    """Gives the writer's epoch: a new one for a new instance, the old one for a repeated declaration.

    OtherOwnerError if the source is somebody else's.
    """
    source = _source_of(connection, wanted.uid, wanted.owner, now)
    instance, epoch, run = connection.execute(
        "SELECT instance, epoch, run_id FROM source WHERE id = ?", (source,)
    ).fetchone()
    if instance != wanted.instance:
        epoch += 1
    connection.execute(
        "UPDATE source SET issuer = ?, instance = ?, epoch = ?, declared = ?, last_contact = ?, ended = NULL, "
        "owner_json = ?, agent = ?, pod = ?, node = CASE WHEN ? = '' THEN node ELSE ? END WHERE id = ?",
        (
            wanted.owner.issuer,
            wanted.instance,
            epoch,
            now,
            now,
            jsontext.write(wanted.workload),
            wanted.agent,
            wanted.pod,
            wanted.node,
            wanted.node,
            source,
        ),
    )
    if instance != wanted.instance:
        add_feed(connection, source, DECLARED, jsontext.write({"type": DECLARED, "ts": now}), now)
    rows = connection.execute("SELECT name, generation, end FROM stream WHERE source = ? ORDER BY name", (source,))
    return Declared(source, epoch, run, [(str(name), int(number), int(end)) for name, number, end in rows])


def join(connection: sqlite3.Connection, wanted: Join, now: float) -> None:
    """Records the controller's knowledge, whole, idempotently. OtherOwnerError as for `declare`."""
    source = _source_of(connection, wanted.uid, wanted.owner, now)
    known, total = connection.execute("SELECT final_unsent, final_total FROM source WHERE id = ?", (source,)).fetchone()
    if wanted.final_unsent is None:
        total = None
    elif known is None:
        # What the streams hold now was sent before the last words were written; what comes later is counted off them.
        total = connection.execute(
            "SELECT ifnull(sum(generation.end), 0) FROM generation JOIN stream ON stream.id = generation.stream "
            "WHERE stream.source = ?",
            (source,),
        ).fetchone()[0]
    connection.execute(
        "UPDATE source SET joined = ifnull(joined, ?), run_id = ?, attempt = ?, node_rank = ?, incarnation = ?, "
        "pod = ?, node = ?, namespace = ?, phase = ?, deleted = max(deleted, ?), final_unsent = ?, final_total = ?, "
        "lost_reason = ? WHERE id = ?",
        (
            now,
            wanted.run,
            wanted.attempt,
            wanted.node_rank,
            wanted.incarnation,
            wanted.pod,
            wanted.node,
            wanted.owner.namespace,
            wanted.phase,
            int(wanted.deleted),
            wanted.final_unsent,
            total,
            wanted.lost_reason,
            source,
        ),
    )


def add_feed(connection: sqlite3.Connection, source: int, kind: str, event: str, now: float) -> None:
    """Adds an item to the controller's feed. `event`: its JSON, which says the kind, too."""
    connection.execute(
        "INSERT INTO feed (source, type, event_json, received) VALUES (?, ?, ?, ?)", (source, kind, event, now)
    )


def _source_of(connection: sqlite3.Connection, uid: str, owner: Owner, now: float) -> int:
    """The row of a source, made if new. A source that the controller named has no issuer until its pod declares."""
    row = connection.execute("SELECT id, entity, issuer FROM source WHERE uid = ?", (uid,)).fetchone()
    if row is None:
        connection.execute("INSERT OR IGNORE INTO entity (name, created) VALUES (?, ?)", (owner.entity, now))
        row = connection.execute(
            "INSERT INTO source (uid, issuer, entity, namespace) VALUES (?, ?, ?, ?) RETURNING id, entity, issuer",
            (uid, owner.issuer, owner.entity, owner.namespace),
        ).fetchone()
    source, entity, issuer = row
    if entity != owner.entity or (issuer and owner.issuer and issuer != owner.issuer):
        raise OtherOwnerError(entity)
    return int(source)
