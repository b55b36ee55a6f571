"""Where a Run is: one pure function over what was observed of its workload. docs/states.md draws the machine.

Only the workload's own terminal condition (or a Job's FailureTarget, which comes first) or its deletion ends a Run;
exit codes never do (torchrun exits 1 after a clean checkpoint on SIGTERM). What ended it decides between the terminal
states.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from outrider_operator.api.states import RunState
from outrider_operator.core.attempts import Attempts
from outrider_operator.core.failure import Verdict
from outrider_operator.core.observed import JobView, PodView

PREEMPTIONS: Final = frozenset({"Preempted", "Drained"})
LOSSES: Final = frozenset({"NodeLost", "NodeShutdown"})


@dataclass(frozen=True, slots=True)
class Standing:
    """A state with its reason in one word and in a sentence; times in Unix seconds."""

    state: RunState
    reason: str
    message: str
    start_time: float | None = None
    end_time: float | None = None


def started_at(pods: Sequence[PodView]) -> float | None:
    """When the first trainer container started, Unix seconds."""
    times = []
    for pod in pods:
        for container in pod.trainers:
            if container.started_at is not None:
                times.append(container.started_at)
            elif container.last is not None:
                times.append(pod.created)
    return min(times, default=None)


def pods_wanted(job: JobView) -> int:
    """How many pods a Job is to run at once from its start."""
    return job.parallelism if job.completions is None else min(job.parallelism, job.completions)


def pods_in_all(job: JobView) -> int | None:
    """How many pods make up the whole of a Job; None where it does not say."""
    return job.completions if job.completions is not None else job.parallelism


def _failed(job: JobView, verdict: Verdict | None) -> tuple[RunState, str, str]:
    """Which terminal state a failed Job means, by what failed first."""
    condition = job.condition("FailureTarget", "Failed")
    reason = condition.reason if condition else "Failed"
    message = condition.message if condition else ""
    if reason == "DeadlineExceeded":
        return RunState.KILLED, reason, message or "the Job's activeDeadlineSeconds was reached"
    cause = verdict.exit.reason if verdict is not None and verdict.exit.suspect else ""
    if cause in PREEMPTIONS:
        return RunState.PREEMPTED, cause, f"{_what(verdict)}, and no attempt follows: {message}"
    if cause in LOSSES:
        return RunState.CRASHED, cause, f"{_what(verdict)}, and no attempt follows: {message}"
    return RunState.FAILED, reason, message


def _what(verdict: Verdict | None) -> str:
    return "" if verdict is None else f"{verdict.summary} ({verdict.exit.evidence})"


def terminal(job: JobView, verdict: Verdict | None, pods: Sequence[PodView], now: float) -> Standing | None:
    """The Run's end, where its workload has come to one."""
    if (done := job.condition("Complete", "SuccessCriteriaMet")) is not None:
        message = done.message or "the Job is complete"
        return Standing(RunState.FINISHED, done.reason or "Complete", message, end_time=done.since or now)
    if (failed := job.condition("FailureTarget", "Failed")) is not None:
        state, reason, message = _failed(job, verdict)
        return Standing(state, reason, message, end_time=failed.since or now)
    if not job.gone:
        return None
    wanted = pods_in_all(job)
    if wanted is not None and sum(p.succeeded for p in pods) >= wanted:
        # A Job with a TTL of zero may vanish in the same second as it completes.
        return Standing(RunState.FINISHED, "Complete", "all pods succeeded before the Job was deleted", end_time=now)
    message = f"Job {job.namespace}/{job.name} was deleted before it had ended"
    return Standing(RunState.KILLED, "WorkloadDeleted", message, end_time=job.deletion or now)


def under_way(
    job: JobView, pods: Sequence[PodView], attempts: Attempts, previous: RunState | None, previous_attempt: int | None
) -> Standing:
    """Where a Job is that has not ended."""
    alive = [p for p in pods if not p.ended]
    begun = started_at(pods)
    if job.deletion is not None:
        return Standing(RunState.STOPPING, "WorkloadDeleted", f"Job {job.namespace}/{job.name} is being deleted", begun)
    if job.suspended:
        if any(p.started for p in alive) or job.active:
            return Standing(RunState.STOPPING, "Suspended", "the Job is suspended; its pods are ending", begun)
        return Standing(
            RunState.PENDING, "Suspended", "the Job is suspended: it runs when spec.suspend is false again", begun
        )
    replaced = attempts.replaced
    current = [p for p in pods if attempts.covers(p, attempts.current) and p.uid not in replaced]
    running = sum(1 for p in current if p.started)
    wanted = max(1, pods_wanted(job))
    ever = previous is RunState.RUNNING and previous_attempt == attempts.current and running
    if running >= wanted or ever:
        return Standing(RunState.RUNNING, "Running", f"{running} of {wanted} pods have started", begun)
    if running or any(p.node for p in current if not p.ended):
        return Standing(RunState.STARTING, "Starting", f"{running} of {wanted} pods have started", begun)
    stuck = next((p.unschedulable for p in current if p.unschedulable and not p.ended), "")
    if stuck:
        return Standing(RunState.PENDING, "Unschedulable", stuck, begun)
    if attempts.current > 1 or running:
        return Standing(RunState.PENDING, "WaitingForPods", "the replacement pods are not scheduled yet", begun)
    return Standing(RunState.PENDING, "WaitingForPods", "the Job has no scheduled pod yet", begun)


def bare_pod(pod: PodView, verdict: Verdict | None, now: float) -> Standing:
    """Where a Run is whose workload is one pod without a controller."""
    begun = started_at([pod])
    if pod.phase == "Succeeded" or (pod.gone and pod.succeeded):
        return Standing(RunState.FINISHED, "Complete", "the pod succeeded", begun, pod.end_time or now)
    if pod.phase == "Failed":
        cause = verdict.exit.reason if verdict is not None and verdict.exit.suspect else pod.reason
        state = RunState.PREEMPTED if cause in PREEMPTIONS else RunState.CRASHED if cause in LOSSES else RunState.FAILED
        return Standing(
            state, cause or "Error", pod.message or _what(verdict) or "the pod failed", begun, pod.end_time or now
        )
    if pod.gone:
        if pod.disruption:
            cause = verdict.exit.reason if verdict is not None else pod.disruption
            state = RunState.PREEMPTED if cause in PREEMPTIONS else RunState.CRASHED
            return Standing(state, cause, pod.disruption_message or "the pod is gone", begun, pod.end_time or now)
        message = f"pod {pod.namespace}/{pod.name} was deleted before it had ended"
        return Standing(RunState.KILLED, "WorkloadDeleted", message, begun, pod.end_time or now)
    if pod.deletion is not None:
        return Standing(RunState.STOPPING, "WorkloadDeleted", "the pod is being deleted", begun)
    if pod.started:
        return Standing(RunState.RUNNING, "Running", "the pod's container has started", begun)
    if pod.node:
        return Standing(RunState.STARTING, "Starting", f"the pod is on node {pod.node}", begun)
    return Standing(
        RunState.PENDING, "Unschedulable" if pod.unschedulable else "WaitingForPods", pod.unschedulable, begun
    )


def decide(
    *,
    workload: JobView | PodView | None,
    bound: bool,
    wanted: str,
    pods: Sequence[PodView],
    attempts: Attempts,
    verdict: Verdict | None,
    previous: RunState | None,
    previous_attempt: int | None,
    now: float,
) -> Standing:
    """Where the Run is.

    Args:
        workload: what makes its pods; None where there is none (any more).
        bound: whether there was a workload once.
        wanted: kind and name of the workload, for sentences.
        pods: every pod of it that is or was seen.
        attempts: its attempts.
        verdict: what failed first in the newest attempt.
        previous: the state that the Run's status names; None at first.
        previous_attempt: the attempt that it spoke of.
        now: Unix seconds.

    """
    if workload is None:
        if bound:
            return Standing(
                RunState.KILLED, "WorkloadDeleted", f"{wanted} was deleted before it had ended", end_time=now
            )
        return Standing(RunState.PENDING, "WorkloadNotFound", f"{wanted} does not exist yet")
    if isinstance(workload, PodView):
        return bare_pod(workload, verdict, now)
    end = terminal(workload, verdict, pods, now)
    if end is not None:
        return Standing(end.state, end.reason, end.message, started_at(pods), end.end_time)
    return under_way(workload, pods, attempts, previous, previous_attempt)
