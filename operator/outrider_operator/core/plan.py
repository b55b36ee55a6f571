"""observe -> decide: everything that one pass over a Run decides, as one value.

Nothing here reads a clock or talks to anything; two passes over the same observation give the same plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from outrider_operator.api.run import DEFAULT_PROJECT, RunStatus
from outrider_operator.api.states import TERMINAL, RunState
from outrider_operator.core import conditions, naming
from outrider_operator.core import state as states
from outrider_operator.core.attempts import Attempts, assign
from outrider_operator.core.collection import Collection, from_pods, last_words
from outrider_operator.core.failure import Verdict, clean_words, exits, judge
from outrider_operator.core.fit import fit
from outrider_operator.core.observed import JobView, PodView, RunView
from outrider_operator.core.ranks import Counts, RankRecord, count
from outrider_operator.core.refusals import Refusal
from outrider_operator.core.times import rfc3339, seconds

COUNTERS_EVERY: Final = 60.0
"""Seconds between two writes of a Run's status that change nothing but counters, lag and sentences."""
_CONFIDENCE: Final = {"low": 0, "undecided": 1, "medium": 2, "high": 3}


@dataclass(frozen=True, slots=True)
class Observation:
    """All that a pass over a Run knows; times in Unix seconds."""

    run: RunView
    now: float
    workload: JobView | PodView | None = None
    bound: bool = False
    """Whether there was a workload once."""
    workload_kind: str = "Job"
    workload_name: str = ""
    pods: tuple[PodView, ...] = ()
    records: tuple[RankRecord, ...] = ()
    collection: Collection | None = None
    heard: frozenset[str] = frozenset()
    tracker_away: str = ""
    warnings: tuple[tuple[str, str], ...] = ()
    refusal: Refusal | None = None
    untracked: conditions.Untracked | None = None
    skipped_template: str = ""
    problems: tuple[tuple[str, str], ...] = ()
    project: str = DEFAULT_PROJECT
    url: str = ""
    written_at: float = 0.0
    """When this process last wrote the Run's status."""


@dataclass(frozen=True, slots=True)
class Note:
    """A Kubernetes Event to write once the status is."""

    name: str
    type: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a pass decided."""

    status: Mapping[str, Any]
    write: bool
    """Whether the status is to be written now."""
    notes: tuple[Note, ...]
    record: Mapping[str, Any]
    """The Run as the tracker takes it."""
    joins: Mapping[str, Mapping[str, Any]]
    """By pod UID: the source as the tracker takes it."""
    wake: float | None
    """When to look again, Unix seconds; None: when something changes."""
    state: RunState
    attempts: Attempts


def decide(seen: Observation) -> Plan:
    """One pass over a Run."""
    before = seen.run.status
    previous = _state(before.get("state"))
    job = seen.workload if isinstance(seen.workload, JobView) else None
    attempts = assign(
        seen.pods, recorded=_recorded(before), failures=job.failed if job is not None and not job.finished else 0
    )
    found = exits(seen.pods, seen.records, attempts)
    verdict, wake = judge(found, seen.now)
    standing = states.decide(
        workload=seen.workload,
        bound=seen.bound,
        wanted=f"{seen.workload_kind} {seen.run.namespace}/{seen.workload_name}",
        pods=seen.pods,
        attempts=attempts,
        verdict=verdict,
        previous=previous,
        previous_attempt=before.get("attempt"),
        now=seen.now,
    )
    number = max(attempts.current, int(before.get("attempt") or 1))
    if previous in TERMINAL and number == before.get("attempt"):
        standing = _kept(before, previous, standing)
    if standing.state is RunState.FINISHED:
        verdict, wake = None, None
    failure = _failure(seen, verdict, number, standing)
    counts = _counts(seen, attempts, standing, before)
    status = _status(seen, standing, attempts, number, failure, verdict, counts)
    write, later = _cadence(before, status, seen)
    final = fit(status)
    return Plan(
        status=final,
        write=write,
        notes=_notes(seen, before, final),
        record=_record(seen, final),
        joins=_joins(seen, attempts),
        wake=min((t for t in (wake, later) if t is not None), default=None),
        state=standing.state,
        attempts=attempts,
    )


def _state(text: object) -> RunState | None:
    return RunState(text) if isinstance(text, str) and text in set(RunState) else None


def _recorded(before: Mapping[str, Any]) -> list[tuple[int, float]]:
    found = []
    for attempt in before.get("attempts") or ():
        start = seconds(attempt.get("startTime"))
        if start is not None:
            found.append((int(attempt["number"]), start))
    return sorted(found)


def _kept(before: Mapping[str, Any], state: RunState, now_says: states.Standing) -> states.Standing:
    """A terminal state stays: only a new attempt changes it."""
    complete = next((c for c in before.get("conditions") or () if c.get("type") == conditions.COMPLETE), {})
    message = str(complete.get("message") or "")
    reason = str(before.get("reason") or state.value)
    return states.Standing(
        state,
        reason,
        message if state is RunState.FINISHED else message.removeprefix(f"{reason}: "),
        now_says.start_time,
        seconds(before.get("endTime")),
    )


def _quality(failure: Mapping[str, Any]) -> tuple[int, bool, bool]:
    return (
        _CONFIDENCE.get(str(failure.get("confidence")), 0),
        failure.get("rank") is not None,
        bool(failure.get("lastWords")),
    )


def _failure(
    seen: Observation, verdict: Verdict | None, attempt: int, standing: states.Standing
) -> Mapping[str, Any] | None:
    """What the status says failed first: the verdict, unless what was known before its evidence vanished is better."""
    old = seen.run.status.get("failure")
    if standing.state is RunState.FINISHED:
        return None
    kept = isinstance(old, Mapping) and old.get("attempt") == attempt
    at_hand = kept and any(p.name == old.get("pod") for p in seen.pods) if isinstance(old, Mapping) else False
    if verdict is None:
        if kept and (not at_hand or standing.state in TERMINAL):
            return old if isinstance(old, Mapping) else None
        return None
    new = describe(verdict, seen.run.namespace)
    if kept and isinstance(old, Mapping) and _quality(new) < _quality(old) and (not at_hand or seen.tracker_away):
        return old
    return new


def describe(verdict: Verdict, namespace: str) -> dict[str, Any]:
    """A verdict as status.failure."""
    first = verdict.exit
    who = f"rank {first.rank}" if first.rank is not None else f"container {first.container or '?'}"
    where = f"of pod {namespace}/{first.pod.name}" + (f" on node {first.pod.node}" if first.pod.node else "")
    message = f"{who} {where}: {first.evidence}."
    if verdict.others:
        names = ", ".join(_who(e.rank, e.pod.name) for e in verdict.others[:4])
        message += f" It cannot be told from {names} by time: they failed within the error of their clocks."
    if verdict.victims:
        message += f" {len(verdict.victims)} more ended after it."
    if verdict.confidence == "low":
        message += " It looks like the consequence of another failure that nobody saw."
    message += ADVICE.get(first.reason, "")
    evidence = [first.evidence] + [f"{_who(e.rank, e.pod.name)}: {e.evidence}" for e in verdict.others[:4]]
    evidence += [f"{_who(e.rank, e.pod.name)} is a victim: {e.evidence}" for e in verdict.victims[:4]]
    wire = {
        "summary": verdict.summary,
        "rank": first.rank,
        "pod": first.pod.name,
        "node": first.pod.node or None,
        "container": first.container or None,
        "attempt": first.attempt,
        "reason": first.reason,
        "exitCode": first.code,
        "signal": first.signal,
        "time": rfc3339(first.at),
        "confidence": verdict.confidence,
        "message": message,
        "evidence": evidence,
        "victims": [{"rank": e.rank, "pod": e.pod.name, "reason": e.reason} for e in verdict.victims[:16]],
        "lastWords": list(clean_words(first.last_words)),
    }
    return {key: value for key, value in wire.items() if value not in (None, [])}


ADVICE: Final[Mapping[str, str]] = {
    "OOMKilled": " Raise the container's memory limit, or use less: a smaller batch, fewer loader workers.",
    "Evicted": " The message says which limit was exceeded.",
    "NodeLost": " Nothing in the training caused it.",
    "StartError": " Check the command and the image of the container.",
}


def _who(rank: int | None, pod: str) -> str:
    return f"rank {rank}" if rank is not None else f"pod {pod}"


def _counts(
    seen: Observation, attempts: Attempts, standing: states.Standing, before: Mapping[str, Any]
) -> Counts | None:
    old = before.get("ranks")
    known = old.get("expected") if isinstance(old, Mapping) and before.get("attempt") == attempts.current else None
    workload = seen.workload
    pods_expected = (
        states.pods_in_all(workload) if isinstance(workload, JobView) else 1 if workload is not None else None
    )
    if not seen.pods and isinstance(old, Mapping):
        counts = Counts(
            *(
                old.get(k, None if k == "expected" else 0)
                for k in ("expected", "running", "succeeded", "failed", "lost")
            )
        )
        if standing.state in TERMINAL and counts.running:
            if standing.state is RunState.FINISHED:
                return Counts(counts.expected, 0, counts.succeeded + counts.running, counts.failed, counts.lost)
            return Counts(counts.expected, 0, counts.succeeded, counts.failed, counts.lost + counts.running)
        return counts
    if pods_expected is None and not seen.pods:
        return None
    return count(
        seen.pods,
        seen.records,
        attempts,
        pods_expected=pods_expected,
        known_expected=known,
        succeeded_whole=standing.state is RunState.FINISHED,
    )


def _attempt_entries(
    before: Mapping[str, Any],
    attempts: Attempts,
    number: int,
    standing: states.Standing,
    failure: Mapping[str, Any] | None,
) -> list[dict[str, Any]]:
    old = {a["number"]: a for a in before.get("attempts") or ()}
    last_failure = before.get("failure")
    entries = []
    for n, start in attempts.starts:
        if n == number:
            reason = failure.get("summary") if failure is not None else standing.reason
            end = rfc3339(standing.end_time) if standing.state in TERMINAL else None
            entry = {
                "number": n,
                "state": standing.state.value,
                "reason": reason,
                "startTime": rfc3339(start),
                "endTime": end,
            }
        else:
            known = old.get(n, {})
            entry = dict(known)
            if known.get("state") not in {s.value for s in TERMINAL}:
                was = last_failure if isinstance(last_failure, Mapping) and last_failure.get("attempt") == n else {}
                cause = str(was.get("reason") or "")
                state = (
                    RunState.PREEMPTED
                    if cause in states.PREEMPTIONS
                    else RunState.CRASHED
                    if cause in states.LOSSES or not cause
                    else RunState.FAILED
                )
                entry = {
                    "number": n,
                    "state": state.value,
                    "reason": was.get("summary") or "PodsReplaced",
                    "startTime": known.get("startTime") or rfc3339(start),
                    "endTime": rfc3339(attempts.end_of(n)),
                }
        entries.append({k: v for k, v in entry.items() if v is not None})
    return entries[-10:]


def _status(
    seen: Observation,
    standing: states.Standing,
    attempts: Attempts,
    number: int,
    failure: Mapping[str, Any] | None,
    verdict: Verdict | None,
    counts: Counts | None,
) -> dict[str, Any]:
    run, before = seen.run, seen.run.status
    terminal = standing.state in TERMINAL
    old_counts = before.get("collection")
    collection = seen.collection or from_pods(seen.pods)
    said = [
        conditions.accepted(seen.problems),
        _sticky(before, conditions.INJECTED, terminal and not seen.pods)
        or conditions.injected(
            seen.pods, untracked=seen.untracked, refusal=seen.refusal, skipped_template=seen.skipped_template
        ),
        _sticky(before, conditions.COLLECTING, terminal and not seen.pods)
        or conditions.collecting(
            seen.pods,
            collection=seen.collection,
            heard=seen.heard,
            tracker_away=seen.tracker_away,
            warnings=seen.warnings,
            now=seen.now,
        ),
        conditions.rank_failed(verdict, standing, number)
        if verdict is not None or failure is None
        else conditions.Said(conditions.RANK_FAILED, "True", str(failure["reason"]), str(failure["summary"])),
        conditions.complete(standing),
    ]
    status = {
        "state": standing.state.value,
        "reason": standing.reason or None,
        "runId": naming.run_id(run.name, run.uid, auto=run.auto),
        "url": seen.url or before.get("url"),
        "workload": f"{seen.workload_kind}/{seen.workload_name}"
        if seen.bound or seen.workload
        else before.get("workload"),
        "attempt": number,
        "startTime": before.get("startTime") or rfc3339(standing.start_time),
        "endTime": rfc3339(standing.end_time) if terminal else None,
        "observedGeneration": run.generation,
        "ranks": None
        if counts is None
        else {
            "summary": counts.summary(finished=terminal),
            "expected": counts.expected,
            "running": counts.running,
            "succeeded": counts.succeeded,
            "failed": counts.failed,
            "lost": counts.lost,
        },
        "failure": failure,
        "attempts": _attempt_entries(before, attempts, number, standing, failure),
        "collection": {
            "unsentBytes": collection.unsent_bytes,
            "lostBytes": collection.lost_bytes,
            "lagSeconds": collection.lag_seconds,
        }
        if seen.collection is not None or seen.pods or not isinstance(old_counts, Mapping)
        else old_counts,
        "conditions": conditions.merge(before.get("conditions") or (), said, generation=run.generation, now=seen.now),
    }
    # Through the model: it cuts what is too long, and refuses here what the API server would refuse.
    return RunStatus.model_validate(status).to_wire()


def _sticky(before: Mapping[str, Any], kind: str, keep: bool) -> conditions.Said | None:
    """What a condition said before, where nothing is left to look at."""
    old = next((c for c in before.get("conditions") or () if c.get("type") == kind), None)
    if old is None or not keep:
        return None
    return conditions.Said(kind, str(old["status"]), str(old["reason"]), str(old.get("message") or ""))


def _urgent(status: Mapping[str, Any]) -> dict[str, Any]:
    """What is written at once when it changes."""
    ranks = status.get("ranks") or {}
    there = ranks.get("running", 0) + ranks.get("succeeded", 0)
    return {
        **{k: v for k, v in status.items() if k not in {"ranks", "collection", "conditions", "attempts"}},
        "attempts": [(a["number"], a["state"], a.get("endTime")) for a in status.get("attempts") or ()],
        "ranks": (ranks.get("expected"), ranks.get("failed"), ranks.get("lost"), there == ranks.get("expected")),
        "conditions": [(c["type"], c["status"], c["reason"]) for c in status.get("conditions") or ()],
    }


def _cadence(before: Mapping[str, Any], after: Mapping[str, Any], seen: Observation) -> tuple[bool, float | None]:
    """Whether to write now, and when to look again where a change may wait."""
    normal = RunStatus.model_validate(before).to_wire() if before else {}
    if normal == after:
        return False, None
    if _urgent(normal) != _urgent(after):
        return True, None
    due = seen.written_at + COUNTERS_EVERY
    return (True, None) if seen.now >= due else (False, due)


def _notes(seen: Observation, before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Note, ...]:
    """Events for what changed, in the order in which a person reads them."""
    run, attempt, notes = seen.run, str(after.get("attempt", 1)), []

    def note(kind: str, reason: str, message: str, *key: str) -> None:
        name = naming.event_name(run.name, run.uid, attempt, reason, *key)
        notes.append(Note(name, kind, reason, message[:1000]))

    old_failure, failure = before.get("failure") or {}, after.get("failure") or {}
    if after.get("attempt", 1) > before.get("attempt", 1):
        note("Normal", "AttemptStarted", f"attempt {attempt} has started")
    if failure and (failure["summary"], failure.get("attempt")) != (
        old_failure.get("summary"),
        old_failure.get("attempt"),
    ):
        note("Warning", "RankFailed", f"{failure['summary']}: {failure.get('message', '')}", failure["summary"])
    for condition in after["conditions"]:
        old = next((c for c in before.get("conditions") or () if c["type"] == condition["type"]), {})
        bad = condition["status"] == "False" and condition["type"] in {"Accepted", "Injected", "Collecting"}
        if bad and (old.get("status"), old.get("reason")) != ("False", condition["reason"]):
            note("Warning", condition["reason"], condition.get("message", ""), condition["type"])
    if after["state"] != before.get("state"):
        bad = after["state"] in {"Failed", "Crashed", "Killed", "Preempted"}
        complete = next(c for c in after["conditions"] if c["type"] == conditions.COMPLETE)
        note("Warning" if bad else "Normal", after["state"], complete.get("message") or after["state"], "state")
    return tuple(notes)


def _record(seen: Observation, status: Mapping[str, Any]) -> dict[str, Any]:
    """The Run as the tracker takes it (docs/protocol.md section 6)."""
    run, spec = seen.run, seen.run.spec
    workload = seen.workload
    uid = workload.uid if workload is not None else run.workload_uid
    return {
        "namespace": run.namespace,
        "name": run.name,
        "project": spec.get("project") or seen.project,
        "displayName": spec.get("displayName") or run.name,
        "group": spec.get("group"),
        "jobType": spec.get("jobType"),
        "tags": list(spec.get("tags") or ()),
        "notes": spec.get("notes"),
        "config": dict(spec.get("config") or {}),
        "state": status["state"],
        "reason": status.get("reason"),
        "createdAt": rfc3339(run.created),
        "startedAt": status.get("startTime"),
        "endedAt": status.get("endTime"),
        "attempt": status.get("attempt", 1),
        "attempts": [
            {
                "number": a["number"],
                "startedAt": a.get("startTime"),
                "endedAt": a.get("endTime"),
                "state": a["state"],
                "reason": a.get("reason"),
            }
            for a in status.get("attempts") or ()
        ],
        "ranks": {k: v for k, v in (status.get("ranks") or {}).items() if k != "summary"},
        "failure": status.get("failure"),
        "conditions": list(status.get("conditions") or ()),
        "workload": {
            "apiVersion": "v1" if seen.workload_kind == "Pod" else "batch/v1",
            "kind": seen.workload_kind,
            "name": seen.workload_name,
            "uid": uid,
        },
    }


def _joins(seen: Observation, attempts: Attempts) -> dict[str, dict[str, Any]]:
    run_id = naming.run_id(seen.run.name, seen.run.uid, auto=seen.run.auto)
    joins: dict[str, dict[str, Any]] = {}
    for pod in seen.pods:
        place = attempts.places[pod.uid]
        words = last_words(pod)
        join: dict[str, Any] = {
            "run": run_id,
            "attempt": place.attempt,
            "nodeRank": pod.index,
            "incarnation": place.incarnation,
            "pod": pod.name,
            "node": pod.node,
            "namespace": pod.namespace,
            "phase": pod.phase,
            "deleted": pod.gone,
            "unsentBytes": words.unsent_bytes if words is not None else None,
        }
        reason = pod.disruption or pod.reason
        if pod.gone and words is None and not pod.succeeded and reason:
            join["lostReason"] = reason
        joins[pod.uid] = join
    return joins
