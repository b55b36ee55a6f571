"""Lines of kind `events` (docs/protocol.md section 2) to changes of units and feed items. Pure but for `apply`."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from outrider_tracker.core import jsontext
from outrider_tracker.store.sources import add_feed

FEED_TYPES: Final = {"container.start", "rank.start", "rank.exit", "container.exit", "warning", "source.end"}
KNOWN_TYPES: Final = FEED_TYPES | {"container.info", "lost"}
_MAX_TEXT: Final = 4096
_BIG: Final = 1 << 53


@dataclass(frozen=True, slots=True)
class UnitEvent:
    """A start or an exit of a container or rank; fields that the event does not have are None."""

    role: str
    starts: bool
    container: str
    start: int
    pid: int
    rank: int | None
    local_rank: int | None
    world_size: int | None
    restart: int
    time: float
    code: int | None
    signal: int | None
    oom_kills: int
    stdout: str | None
    stderr: str | None


@dataclass(frozen=True, slots=True)
class Event:
    """One event: for the feed, for the rank table, or only counted (`known` False). `data`: its JSON, "" if unknown."""

    type: str
    data: str
    known: bool
    feeds: bool
    unit: UnitEvent | None
    ends_source: bool


def read(record: Mapping[str, Any]) -> Event | None:
    """An event line's meaning; None if it lacks what its type needs."""
    kind = record.get("type")
    if not isinstance(kind, str):
        return None
    if kind not in KNOWN_TYPES:
        return Event(kind, "", known=False, feeds=False, unit=None, ends_source=False)
    unit = None
    role, _, what = kind.partition(".")
    if role in {"container", "rank"} and what in {"start", "exit"}:
        unit = _unit(record, role, starts=what == "start")
        if unit is None:
            return None
    return Event(
        kind, jsontext.write(record), known=True, feeds=kind in FEED_TYPES, unit=unit, ends_source=kind == "source.end"
    )


def _unit(record: Mapping[str, Any], role: str, *, starts: bool) -> UnitEvent | None:
    container, start = record.get("container"), _integer(record, "start")
    rank = _integer(record, "rank")
    if not isinstance(container, str) or start is None or (role == "rank" and rank is None):
        return None
    ts = record.get("ts")
    return UnitEvent(
        role=role,
        starts=starts,
        container=container[:_MAX_TEXT],
        start=start,
        pid=_integer(record, "pid") or 0,
        rank=rank,
        local_rank=_integer(record, "localRank"),
        world_size=_integer(record, "worldSize"),
        restart=_integer(record, "restart") or 0,
        time=float(ts) if isinstance(ts, (int, float)) and math.isfinite(ts) and abs(ts) < _BIG else 0.0,
        code=_integer(record, "code"),
        signal=_integer(record, "signal"),
        oom_kills=_integer(record, "oomKills") or 0,
        stdout=_text(record, "stdout"),
        stderr=_text(record, "stderr"),
    )


def _integer(record: Mapping[str, Any], key: str) -> int | None:
    value = record.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _BIG else None


def _text(record: Mapping[str, Any], key: str) -> str | None:
    value = record.get(key)
    return value[:_MAX_TEXT] if isinstance(value, str) else None


def apply(connection: sqlite3.Connection, source: int, event: Event, now: float) -> None:
    """Writes an event's consequences within the caller's transaction."""
    if event.unit is not None:
        _apply_unit(connection, source, event.unit)
    if event.ends_source:
        connection.execute("UPDATE source SET ended = ? WHERE id = ?", (now, source))
    if event.feeds:
        add_feed(connection, source, event.type, event.data, now)


def _apply_unit(connection: sqlite3.Connection, source: int, unit: UnitEvent) -> None:
    # A container's unit has pid 0, so that its start and its exit meet whichever came first.
    pid = unit.pid if unit.role == "rank" else 0
    shown_rank = unit.rank if unit.role == "rank" else None
    connection.execute(
        "INSERT INTO unit (source, role, container, start, pid, rank, local_rank, restart, state) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'running') "
        "ON CONFLICT (source, container, start, role, pid, ifnull(rank, -1), restart) DO NOTHING",
        (source, unit.role, unit.container, unit.start, pid, shown_rank, unit.local_rank, unit.restart),
    )
    key = (source, unit.container, unit.start, unit.role, pid, -1 if shown_rank is None else shown_rank, unit.restart)
    if unit.starts:
        changes = "started = ?, local_rank = ifnull(?, local_rank), world_size = ?, stdout = ?, stderr = ?"
        values: tuple[Any, ...] = (unit.time, unit.local_rank, unit.world_size, unit.stdout, unit.stderr)
    else:
        changes = "state = 'exited', ended = ?, exit_code = ?, signal = ?, oom_kills = oom_kills + ?"
        values = (unit.time, unit.code, unit.signal, unit.oom_kills)
    connection.execute(
        f"UPDATE unit SET {changes} WHERE source = ? AND container = ? AND start = ? AND role = ? AND pid = ? "  # noqa: S608
        "AND ifnull(rank, -1) = ? AND restart = ?",
        (*values, *key),
    )
