"""observe -> decide: everything that one pass over a Run decides, as one value.

Nothing here reads a clock or talks to anything; two passes over the same observation give the same plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from outrider_operator.api.run import RunStatus
from outrider_operator.api.states import TERMINAL, RunState
from outrider_operator.core import conditions, naming
from outrider_operator.core import state as states
from outrider_operator.core.attempts import Attempts, assign
from outrider_operator.core.collection import from_pods
from outrider_operator.core.failure import Verdict, exits, judge
from outrider_operator.core.failure_status import describe
from outrider_operator.core.fit import fit
from outrider_operator.core.notes import Note, notes_of
from outrider_operator.core.observation import Observation
from outrider_operator.core.observed import JobView
from outrider_operator.core.ranks import Counts, count
from outrider_operator.core.records import joins, run_record
from outrider_operator.core.times import rfc3339, seconds

COUNTERS_EVERY: Final = 60.0
"""Seconds between two writes of a Run's status that change nothing but counters, lag and sentences."""
_CONFIDENCE: Final = {"low": 0, "undecided": 1, "medium": 2, "high": 3}


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
    status = _status(seen, standing, attempts, number=number, failure=failure, verdict=verdict, counts=counts)
    final = fit(status)
    write, later = _cadence(before, final, seen)
    return Plan(
        status=final,
        write=write,
        notes=notes_of(seen.run, final),
        record=run_record(seen, final),
        joins=joins(seen, attempts),
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
    conditions_before: dict[str, Mapping[str, Any]] = {c["type"]: c for c in before.get("conditions") or ()}
    complete = conditions_before.get(conditions.COMPLETE, {})
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
    *,
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
        _sticky(before, conditions.INJECTED, terminal and not (seen.pods or (seen.untracked and seen.untracked.count)))
        or conditions.injected(
            seen.pods, untracked=seen.untracked, refusal=seen.refusal, skipped_template=seen.skipped_template
        ),
        _sticky(before, conditions.COLLECTING, terminal and not seen.pods)
        or conditions.collecting(
            seen.pods,
            collection=seen.collection,
            heard=seen.heard,
            tracker_away=seen.tracker_away,
            record_refused=seen.record_refused,
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
        "project": run.spec.get("project") or seen.project,
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
