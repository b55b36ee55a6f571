"""What ranks said of themselves: records folded from the tracker's events, and how many ranks are where.

A record is one process (or one container start without ranks) of one source. Folding an event twice changes nothing,
and the order of events of different processes does not matter, so a feed may be replayed over what the tracker already
answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from outrider_operator.core.attempts import Attempts
from outrider_operator.core.observed import PodView
from outrider_operator.core.times import seconds

RUNNING: Final = "running"
EXITED: Final = "exited"
UNKNOWN: Final = "unknown"

Key = tuple[str, str, int, int, int | None, int | None]


@dataclass(frozen=True, slots=True)
class RankRecord:
    """One process that is a rank, or a container start without one (``rank`` None, ``launcher`` True)."""

    source: str
    container: str = ""
    start: int = 0
    restart: int = 0
    rank: int | None = None
    local_rank: int | None = None
    pid: int | None = None
    launcher: bool = False
    world_size: int | None = None
    state: str = RUNNING
    code: int | None = None
    signal: int | None = None
    oom_kills: int = 0
    started_at: float | None = None
    ended_at: float | None = None
    last_words: tuple[str, ...] = ()

    @property
    def key(self) -> Key:
        """What tells processes of all sources apart."""
        return (self.source, self.container, self.start, self.restart, self.local_rank, self.pid)

    @property
    def ok(self) -> bool:
        """Whether it ended with exit code 0."""
        return self.state == EXITED and self.code == 0 and self.signal is None


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _lines(value: object) -> tuple[str, ...]:
    return tuple(str(line) for line in value[-20:]) if isinstance(value, list) else ()


def record_of(item: Mapping[str, Any]) -> RankRecord:
    """A rank record as the tracker's doors answer it (docs/protocol.md section 7)."""
    state = str(item.get("state") or UNKNOWN)
    return RankRecord(
        source=str(item.get("source") or ""),
        container=str(item.get("container") or ""),
        start=_integer(item.get("start")) or 0,
        restart=_integer(item.get("restart")) or 0,
        rank=_integer(item.get("rank")),
        local_rank=_integer(item.get("localRank")),
        pid=_integer(item.get("pid")),
        launcher=item.get("role") == "launcher",
        world_size=_integer(item.get("worldSize")),
        state=state if state in {RUNNING, EXITED} else UNKNOWN,
        code=_integer(item.get("exitCode")),
        signal=_integer(item.get("signal")),
        oom_kills=_integer(item.get("oomKills")) or 0,
        started_at=seconds(item.get("startedAt")),
        ended_at=seconds(item.get("endedAt")),
        last_words=_lines(item.get("lastWords")),
    )


def fold(
    records: Mapping[Key, RankRecord], source: str, event: Mapping[str, Any], words: object
) -> dict[Key, RankRecord]:
    """The records after one event of the tracker's feed; unknown events change nothing."""
    new = dict(records)
    kind = event.get("type")
    said = RankRecord(
        source=source,
        container=str(event.get("container") or ""),
        start=_integer(event.get("start")) or 0,
        restart=_integer(event.get("restart")) or 0,
        rank=_integer(event.get("rank")),
        local_rank=_integer(event.get("localRank")),
        pid=_integer(event.get("pid")),
        world_size=_integer(event.get("worldSize")),
    )
    ts = event.get("ts")
    at = float(ts) if isinstance(ts, int | float) else None
    if kind == "container.start":
        said = replace(said, launcher=True)
    if kind in {"rank.start", "container.start"}:
        known = new.get(said.key)
        new[said.key] = replace(known or said, world_size=said.world_size or (known or said).world_size, started_at=at)
    elif kind in {"rank.exit", "container.exit"}:
        new = _ended(new, said, event, at, words)
    return new


def _ended(
    new: dict[Key, RankRecord], said: RankRecord, event: Mapping[str, Any], at: float | None, words: object
) -> dict[Key, RankRecord]:
    launcher = event.get("type") == "container.exit"
    known = next(
        (
            r
            for r in new.values()
            if (r.source, r.container, r.start) == (said.source, said.container, said.start)
            and (r.launcher if launcher else r.key == said.key)
        ),
        replace(said, launcher=launcher),
    )
    code, signal = _integer(event.get("code")), _integer(event.get("signal"))
    told = launcher or code is not None or signal is not None
    new[known.key] = replace(
        known,
        state=EXITED if told else UNKNOWN,
        code=code,
        signal=signal,
        oom_kills=max(known.oom_kills, _integer(event.get("oomKills")) or 0),
        ended_at=known.ended_at if at is None else at,
        last_words=_lines(words) or known.last_words,
    )
    if launcher:
        for key, record in list(new.items()):
            same = (record.source, record.container, record.start) == (said.source, said.container, said.start)
            if same and not record.launcher and record.state == RUNNING:
                new[key] = replace(record, state=UNKNOWN, ended_at=new[known.key].ended_at)
    return new


def newest(records: Iterable[RankRecord]) -> list[RankRecord]:
    """Of each place in a container, the process that counts: of the newest container start and the newest in-place
    restart.

    An elastic restart may come back with fewer ranks, so a container's older restarts are dropped whole.
    """
    records = list(records)
    last: dict[tuple[str, str], tuple[int, int]] = {}
    for record in records:
        where = (record.source, record.container)
        last[where] = max(last.get(where, (-1, -1)), (record.start, 0 if record.launcher else record.restart))
    kept = [
        r
        for r in records
        if (r.start, r.restart) == last[r.source, r.container]
        or (r.launcher and r.start == last[r.source, r.container][0])
    ]
    youngest: dict[tuple[str, str, bool, int | None], RankRecord] = {}
    for record in sorted(kept, key=lambda r: (r.started_at or 0.0, r.pid or 0)):
        youngest[record.source, record.container, record.launcher, record.local_rank] = record
    return sorted(
        youngest.values(),
        key=lambda r: (
            -1 if r.rank is None else r.rank,
            r.source,
            r.container,
            -1 if r.local_rank is None else r.local_rank,
        ),
    )


@dataclass(frozen=True, slots=True)
class Counts:
    """How many ranks of the newest attempt are where; ``expected`` None while nobody knows."""

    expected: int | None = None
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    lost: int = 0

    def summary(self, *, finished: bool) -> str:
        """``4/4``: ranks that run or have succeeded, of those expected; at the end those that have succeeded."""
        there = self.succeeded if finished else self.running + self.succeeded
        return f"{there}/{'?' if self.expected is None else self.expected}"


def count(
    pods: Iterable[PodView],
    records: Iterable[RankRecord],
    attempts: Attempts,
    *,
    pods_expected: int | None,
    known_expected: int | None = None,
    succeeded_whole: bool = False,
) -> Counts:
    """Counts ranks of the newest attempt, from what ranks said where they spoke, else from their pods.

    Args:
        pods: all pods of the workload, vanished ones too.
        records: everything that ranks said.
        attempts: the attempts, with the place of each pod.
        pods_expected: how many pods the workload is to have; None where it does not say.
        known_expected: what an earlier pass knew: a rank.start of long ago that is no longer at hand.
        succeeded_whole: the workload itself is complete, so what was not heard of any more has succeeded.

    """
    members = [p for p in pods if attempts.covers(p, attempts.current)]
    # Where a pod was replaced inside the attempt, its successor counts.
    replaced = {place.replaces for uid, place in attempts.places.items() if place.replaces}
    members = [p for p in members if p.uid not in replaced]
    by_source: dict[str, list[RankRecord]] = {}
    for record in newest(records):
        if not record.launcher and record.rank is not None:
            by_source.setdefault(record.source, []).append(record)

    worlds = [r.world_size for p in members for r in by_source.get(p.uid, ()) if r.world_size]
    spoken = sum(len(by_source.get(p.uid, ())) for p in members)
    highest = max((r.rank + 1 for p in members for r in by_source.get(p.uid, ()) if r.rank is not None), default=0)
    pods_total = pods_expected if pods_expected is not None else len(members) or None
    expected = max(worlds, default=0) or None
    if expected is None and (known_expected or pods_total):
        expected = max(known_expected or 0, pods_total or 0, spoken, highest)
    share = 1
    if expected and pods_total:
        share = max(1, expected // pods_total)

    running = succeeded = failed = lost = 0
    for pod in members:
        mine = by_source.get(pod.uid)
        if not mine:
            where = pod_fate(pod)
            running += share * (where == "running")
            succeeded += share * (where == "succeeded")
            failed += share * (where == "failed")
            lost += share * (where == "lost")
            continue
        fate = pod_fate(pod)
        for record in mine:
            if record.ok:
                succeeded += 1
            elif record.state == EXITED or fate == "failed":
                failed += 1
            elif fate in {"running", "waiting"} and record.state == RUNNING:
                running += 1
            elif fate == "succeeded":
                succeeded += 1
            else:
                lost += 1
    if succeeded_whole and expected is not None:
        succeeded, running, lost = expected - failed, 0, 0
    return Counts(expected, running, succeeded, failed, lost)


def pod_fate(pod: PodView) -> str:
    """Where the ranks of a pod are that say nothing themselves: waiting, running, succeeded, failed or lost."""
    if pod.succeeded:
        return "succeeded"
    if any(c.ended is not None and c.ended.exit_code != 0 for c in pod.trainers):
        return "failed"
    if pod.gone or pod.reason == "NodeLost" or pod.phase == "Unknown":
        return "lost"
    if pod.phase == "Failed":
        return "failed"
    return "running" if any(c.running for c in pod.trainers) else "waiting"
