"""The ranks of a Run: units decoded from events, joined to their source (run, attempt, node rank) and their streams."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from outrider_sidecar import contract
from outrider_tracker.store.logs import Snapshot
from outrider_tracker.store.read_lines import backward
from outrider_tracker.store.records import Line, Rank, RankStream

LAST_LINES: Final = 20
LAST_LINE_BYTES: Final = 256
_TEXT: Final = (contract.KIND_STDERR, contract.KIND_STDOUT)  # last words are looked for in this order


@dataclass(frozen=True, slots=True)
class _Stream:
    id: int
    kind: str
    generation: int
    end: int
    lost: int
    path: str | None


@dataclass(frozen=True, slots=True)
class Unit:
    """A rank, a container start, or (`id` None) a container start of which only streams are known."""

    id: int | None
    role: str
    container: str
    start: int
    pid: int | None = None
    rank: int | None = None
    local_rank: int | None = None
    world_size: int | None = None
    restart: int | None = None
    state: str = "unknown"
    exit_code: int | None = None
    signal: int | None = None
    oom_kills: int = 0
    started: float | None = None
    ended: float | None = None
    stdout: str | None = None
    stderr: str | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """A unit with its streams, as one record of the answer; `role`: rank or launcher."""

    unit: Unit
    role: str
    state: str
    streams: Sequence[_Stream]


_SELECT_UNIT: Final = (
    "SELECT id, role, container, start, pid, rank, local_rank, world_size, restart, state, exit_code, signal, "
    "oom_kills, started, ended, stdout, stderr FROM unit "
)
_UNITS_OF_SOURCE: Final = _SELECT_UNIT + "WHERE source = ? ORDER BY id"
_Place = tuple[str, int]  # (container, start)


def list_ranks(snapshot: Snapshot, run: str, *, last_words: bool) -> Sequence[Rank]:
    """See ReadStore.list_ranks."""
    connection = snapshot.connection
    sources = _rows(
        connection,
        "SELECT id, uid, pod, node, attempt, node_rank, last_contact, deleted FROM source WHERE run_id = ?",
        (run,),
    )
    ranks: list[Rank] = []
    for source in sources:
        units = [Unit(*row) for row in connection.execute(_UNITS_OF_SOURCE, (source["id"],))]
        streams = _streams(connection, source["id"])
        for shown in joined(units, streams, gone=bool(source["deleted"])):
            words: list[str] | None = None
            if last_words and shown.state == "exited":
                words = words_of_unit(snapshot, shown.unit.id) if shown.unit.id is not None else []
            ranks.append(_record(source, shown, words))
    return sorted(ranks, key=_order)


def joined(units: Sequence[Unit], streams: Mapping[_Place, Sequence[_Stream]], *, gone: bool) -> list[Shown]:
    """What is shown of one source (`gone`: its pod is deleted). Pure.

    A container start with ranks is shown as their launcher, if any of its text is not a rank's own.
    """
    by_place: dict[_Place, list[Unit]] = defaultdict(list)
    for unit in units:
        by_place[unit.container, unit.start].append(unit)
    places = sorted({*by_place, *streams})
    newest = dict(places)  # sorted: the highest start of each container stays
    shown: list[Shown] = []
    for name, start in places:
        here = by_place.get((name, start), [])
        ranks = [unit for unit in here if unit.role == "rank"]
        whole = next((unit for unit in here if unit.role == "container"), None) or Unit(None, "container", name, start)
        left = list(streams.get((name, start), ()))
        silenced = gone or start < newest[name]
        for unit in ranks:
            own = [stream for stream in left if stream.path is not None and stream.path in {unit.stdout, unit.stderr}]
            left = [stream for stream in left if stream not in own]
            over = silenced or whole.state == "exited"
            shown.append(Shown(unit, "rank", _state(unit, over=over), own))
        if not ranks or left:
            shown.append(Shown(whole, "launcher" if ranks else "rank", _state(whole, over=silenced), left))
    return shown


def _state(unit: Unit, *, over: bool) -> str:
    """Of what cannot run any more but never reported its end, the end is unknown."""
    return "unknown" if over and unit.state == "running" else unit.state


def last_words(snapshot: Snapshot, streams: Sequence[_Stream]) -> list[str]:
    """The last lines of stderr, or of stdout where stderr is silent; each cut to 256 bytes."""
    for kind in _TEXT:
        for stream in streams:
            if stream.kind != kind or stream.end == 0:
                continue
            lines = backward(snapshot, (stream.id, stream.generation), None, LAST_LINES)
            words = [cut(line.text) for line in lines.lines if isinstance(line, Line)]
            if any(words):
                return words
    return []


def cut(text: str) -> str:
    """At most 256 bytes of UTF-8, whole characters."""
    return text.encode()[:LAST_LINE_BYTES].decode("utf-8", "ignore")


def words_of_unit(snapshot: Snapshot, unit: int) -> list[str]:
    """The last words of a unit by its id; none if it is unknown."""
    row = snapshot.connection.execute(_SELECT_UNIT + "WHERE id = ?", (unit,)).fetchone()
    if row is None:
        return []
    wanted = Unit(*row)
    own = {contract.FILE_STDOUT, contract.FILE_STDERR} if wanted.role == "container" else {wanted.stdout, wanted.stderr}
    (source,) = snapshot.connection.execute("SELECT source FROM unit WHERE id = ?", (unit,)).fetchone()
    streams = _streams(snapshot.connection, source).get((wanted.container, wanted.start), [])
    return last_words(snapshot, [stream for stream in streams if stream.path in own])


def _streams(connection: sqlite3.Connection, source: int) -> dict[_Place, list[_Stream]]:
    found: dict[_Place, list[_Stream]] = defaultdict(list)
    rows = connection.execute(
        "SELECT container, start, id, kind, generation, end, "
        "(SELECT ifnull(sum(lost), 0) FROM generation WHERE stream = stream.id), path FROM stream WHERE source = ? "
        "AND container IS NOT NULL AND start IS NOT NULL AND kind IN ('stdout', 'stderr') ORDER BY name",
        (source,),
    )
    for container, start, *values in rows:
        found[container, start].append(_Stream(*values))
    return found


def _record(source: Mapping[str, Any], shown: Shown, words: Sequence[str] | None) -> Rank:
    unit = shown.unit
    return Rank(
        rank=unit.rank,
        node_rank=source["node_rank"],
        local_rank=unit.local_rank,
        world_size=unit.world_size,
        role=shown.role,
        attempt=source["attempt"],
        restart=unit.restart,
        source=source["uid"],
        pod=source["pod"],
        node=source["node"],
        container=unit.container,
        start=unit.start,
        pid=unit.pid,
        state=shown.state,
        exit_code=unit.exit_code,
        signal=unit.signal,
        oom_kills=unit.oom_kills,
        started_at=unit.started,
        ended_at=unit.ended,
        last_seen=source["last_contact"],
        streams=[RankStream(stream.id, stream.kind, stream.end, stream.lost) for stream in shown.streams],
        last_words=words,
    )


def _order(rank: Rank) -> tuple[Any, ...]:
    far = 1 << 62
    return (
        rank.attempt if rank.attempt is not None else far,
        rank.node_rank if rank.node_rank is not None else far,
        rank.pod,
        rank.rank if rank.rank is not None else far,
        rank.container,
        rank.start,
        rank.restart or 0,
        rank.pid or 0,
    )


def _rows(connection: sqlite3.Connection, query: str, values: tuple[Any, ...]) -> list[dict[str, Any]]:
    cursor = connection.execute(query, values)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]
