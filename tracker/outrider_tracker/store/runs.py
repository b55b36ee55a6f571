"""Runs: written whole by the controller, with what is known of their collection."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from outrider_tracker.store.records import Collection, Json, Run

MAX_PAGE: Final = 500
SILENT_SECONDS: Final = 30.0
_LONG_FIELDS: Final = ("config", "notes", "conditions", "attempts")


class OtherEntityError(Exception):
    """A Run of this id belongs to another entity."""


@dataclass(frozen=True, slots=True)
class Now:
    """The time, and since when this process takes data: silence before that is ours, not the sources'."""

    now: float
    serving_since: float


@dataclass(frozen=True, slots=True)
class RunKey:
    """Where a Run stands, and when it was created (Unix seconds; the order of lists)."""

    id: str
    entity: str
    project: str
    created: float


def put_run(connection: sqlite3.Connection, key: RunKey, record: Json, now: float) -> None:
    """Writes the whole record. OtherEntityError if the id is taken in another entity."""
    owner = connection.execute("SELECT entity FROM run WHERE id = ?", (key.id,)).fetchone()
    if owner is not None and owner[0] != key.entity:
        raise OtherEntityError(owner[0])
    connection.execute("INSERT OR IGNORE INTO entity (name, created) VALUES (?, ?)", (key.entity, now))
    connection.execute(
        "INSERT OR IGNORE INTO project (entity, name, created) VALUES (?, ?, ?)", (key.entity, key.project, now)
    )
    connection.execute(
        "INSERT INTO run (id, entity, project, namespace, name, display_name, state, created, updated, record_json) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET project = excluded.project, "
        "namespace = excluded.namespace, name = excluded.name, display_name = excluded.display_name, "
        "state = excluded.state, created = excluded.created, updated = excluded.updated, "
        "record_json = excluded.record_json",
        (
            key.id,
            key.entity,
            key.project,
            str(record.get("namespace", "")),
            str(record.get("name", "")),
            str(record.get("displayName") or ""),
            str(record.get("state") or ""),
            key.created,
            now,
            json.dumps(record),
        ),
    )


def run_url(entity: str, project: str, run: str) -> str:
    """The path of a Run's page."""
    return f"/{quote(entity, safe='')}/{quote(project, safe='')}/runs/{quote(run, safe='')}"


def get_run(connection: sqlite3.Connection, run: str, now: Now, *, whole: bool = True) -> Run | None:
    """See ReadStore.get_run. Without `whole` the record lacks what lists leave out."""
    row = connection.execute("SELECT id, entity, project, record_json FROM run WHERE id = ?", (run,)).fetchone()
    return None if row is None else _run(connection, row, now, whole=whole)


def _run(connection: sqlite3.Connection, row: Sequence[Any], now: Now, *, whole: bool) -> Run:
    run, entity, project, text = row
    record: Json = json.loads(text)
    if not whole:
        record = {key: value for key, value in record.items() if key not in _LONG_FIELDS}
    return Run(run, entity, project, run_url(entity, project, run), record, collection(connection, run, now))


@dataclass(frozen=True, slots=True)
class SourceCounts:
    """What the store knows of one joined source; bytes are raw. `total`: ends of all its generations together."""

    uid: str
    unsent: int
    final_unsent: int | None
    final_total: int | None
    last_contact: float | None
    over: bool
    lost: int
    total: int


def collection(connection: sqlite3.Connection, run: str, now: Now) -> Collection:
    """See ReadStore.collection."""
    rows = connection.execute(
        "SELECT uid, unsent, final_unsent, final_total, last_contact, (deleted OR ended IS NOT NULL), "
        "(SELECT ifnull(sum(lost), 0) FROM generation JOIN stream ON stream.id = generation.stream "
        " WHERE stream.source = source.id), "
        "(SELECT ifnull(sum(generation.end), 0) FROM generation JOIN stream ON stream.id = generation.stream "
        " WHERE stream.source = source.id) "
        "FROM source WHERE run_id = ? ORDER BY uid",
        (run,),
    )
    return collected([SourceCounts(*row) for row in rows], now)


def collected(sources: Sequence[SourceCounts], now: Now) -> Collection:
    """The sums. Pure.

    What the sidecar's last words said it could not send is lost, less what came after all; until they are known, the
    backlog of its last request counts as unsent.
    """
    unsent = lost = 0
    lag = 0.0
    silent: list[str] = []
    for source in sources:
        lost += source.lost
        if source.final_unsent is None:
            unsent += source.unsent
        else:
            lost += max(0, source.final_unsent - (source.total - (source.final_total or 0)))
        if source.over:
            continue
        if source.last_contact is None:
            silent.append(source.uid)
            continue
        silence = max(0.0, now.now - max(source.last_contact, now.serving_since))
        lag = max(lag, silence)
        if silence > SILENT_SECONDS:
            silent.append(source.uid)
    return Collection(unsent, lost, lag, len(sources), silent)
