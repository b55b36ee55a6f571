"""The state machine over observed history (docs/states.md)."""

from typing import Any

import pytest

from outrider_operator.api.states import RunState
from outrider_operator.core.attempts import assign
from outrider_operator.core.failure import exits, judge
from outrider_operator.core.observed import JobView, PodView
from outrider_operator.core.state import Standing, decide
from tests.unit.operator.core.build import (
    T0,
    condition,
    container,
    done_pod,
    failed_pod,
    job,
    pod,
    run,
    running,
    stopped,
)

NOW = T0 + 100
WAITING: dict[str, Any] = {"phase": "Pending", "trainers": (), "node": ""}


def standing(
    workload: JobView | PodView | None, *pods: PodView, bound: bool = True, previous: Any = None, attempt: Any = None
) -> Standing:
    attempts = assign(pods)
    verdict, _ = judge(exits(pods, (), attempts), NOW)
    return decide(
        workload=workload,
        bound=bound,
        wanted="Job team/job",
        pods=pods,
        attempts=attempts,
        verdict=verdict,
        previous=previous,
        previous_attempt=attempt,
        now=NOW,
    )


UNDER_WAY = {
    "no workload yet": ((None,), {"bound": False}, ("Pending", "WorkloadNotFound")),
    "a Job without pods": ((job(active=0),), {}, ("Pending", "WaitingForPods")),
    "pods that nobody scheduled": ((job(), pod(0, **WAITING), pod(1, **WAITING)), {}, ("Pending", "WaitingForPods")),
    "pods that fit nowhere": (
        (job(), pod(0, **WAITING, unschedulable="0/1 nodes are available: 1 Insufficient cpu.")),
        {},
        ("Pending", "Unschedulable"),
    ),
    "one pod on its node": (
        (job(), pod(0, phase="Pending", trainers=()), pod(1, **WAITING)),
        {},
        ("Starting", "Starting"),
    ),
    "one of two pods runs": ((job(), pod(0), pod(1, **WAITING)), {}, ("Starting", "Starting")),
    "both pods run": ((job(), pod(0), pod(1)), {}, ("Running", "Running")),
    "one runs and one has ended well": ((job(), pod(0), done_pod(1)), {}, ("Running", "Running")),
    "a pod has failed and the Job has not": ((job(), failed_pod(0), pod(1)), {}, ("Running", "Running")),
    "all pods have failed and the Job has not": ((job(), failed_pod(0), failed_pod(1)), {}, ("Running", "Running")),
    "a container waits for its restart": (
        (job(), pod(0, trainers=(container(waiting="CrashLoopBackOff", last=stopped(1).ended),)), pod(1)),
        {},
        ("Running", "Running"),
    ),
    "OOMKilled with exit code 0": (
        (job(), pod(0, trainers=(stopped(0, reason="OOMKilled"),)), pod(1)),
        {},
        ("Running", "Running"),
    ),
    "more tasks than pods at once": (
        (job(parallelism=1, completions=3, active=1), done_pod(0), pod(1)),
        {},
        ("Running", "Running"),
    ),
    "running, and one pod was scaled away": (
        (job(parallelism=3, completions=3), pod(0)),
        {"previous": RunState.RUNNING, "attempt": 1},
        ("Running", "Running"),
    ),
    "running before, and a new attempt waits": (
        (job(), failed_pod(0), pod(0, created=T0 + 30, **WAITING)),
        {"previous": RunState.RUNNING, "attempt": 1},
        ("Pending", "WaitingForPods"),
    ),
    "suspended with pods": ((job(suspended=True), pod(0)), {"previous": RunState.RUNNING}, ("Stopping", "Suspended")),
    "suspended without pods": (
        (job(suspended=True, active=0),),
        {"previous": RunState.RUNNING},
        ("Pending", "Suspended"),
    ),
    "being deleted": ((job(deletion=T0 + 50), pod(0), pod(1)), {}, ("Stopping", "WorkloadDeleted")),
}


@pytest.mark.parametrize(("args", "more", "want"), UNDER_WAY.values(), ids=UNDER_WAY.keys())
def test_a_job_that_has_not_ended(args: Any, more: Any, want: tuple[str, str]) -> None:
    """Every state short of the end, each with no end time."""
    found = standing(*args, **more)
    assert (found.state.value, found.reason) == want
    assert found.end_time is None


FAILED = condition("Failed", "BackoffLimitExceeded", at=T0 + 30)
TARGET = condition("FailureTarget", "BackoffLimitExceeded")
LOST: dict[str, Any] = {"disruption": "DeletionByTaintManager", "disruption_message": "node is unreachable"}
ENDS = {
    "complete": ((job(conditions=(condition("Complete"),)), done_pod(0), done_pod(1)), "Finished"),
    "success is certain, pods still end": ((job(conditions=(condition("SuccessCriteriaMet"),)), pod(0)), "Finished"),
    "complete after an OOM kill of a child": (
        (
            job(conditions=(condition("Complete"),)),
            pod(0, phase="Succeeded", trainers=(stopped(0, reason="OOMKilled"),)),
        ),
        "Finished",
    ),
    "FailureTarget comes before Failed": ((job(conditions=(TARGET,)), failed_pod(0), pod(1)), "Failed"),
    "Failed": ((job(conditions=(FAILED, TARGET)), failed_pod(0)), "Failed"),
    "a deadline": ((job(conditions=(condition("FailureTarget", "DeadlineExceeded"),)), pod(0)), "Killed"),
    "its node was lost": ((job(conditions=(TARGET,)), pod(0, gone=True, deletion=T0 + 9, **LOST), pod(1)), "Crashed"),
    "the scheduler preempted it": (
        (
            job(conditions=(TARGET,)),
            pod(0, phase="Failed", disruption="PreemptionByScheduler", trainers=(stopped(143),)),
        ),
        "Preempted",
    ),
    "its node was drained": (
        (job(conditions=(TARGET,)), pod(0, gone=True, deletion=T0 + 9, disruption="EvictionByEvictionAPI")),
        "Preempted",
    ),
    "evicted for its storage, with no condition": (
        (
            job(conditions=(TARGET,)),
            pod(0, phase="Failed", reason="Evicted", message="Usage of EmptyDir", trainers=(stopped(143),)),
        ),
        "Failed",
    ),
    "a rank failed before its node was drained": (
        (
            job(conditions=(TARGET,)),
            failed_pod(0, 7),
            pod(1, gone=True, deletion=T0 + 60, disruption="EvictionByEvictionAPI"),
        ),
        "Failed",
    ),
    "the Job was deleted while it ran": ((job(gone=True, deletion=T0 + 40), pod(0), pod(1)), "Killed"),
    "the Job was deleted and nobody saw it": ((None,), "Killed"),
    "the Job was deleted in the second it completed": ((job(gone=True), done_pod(0), done_pod(1)), "Finished"),
    "the Job had failed and was then deleted": ((job(gone=True, conditions=(FAILED,)), failed_pod(0)), "Failed"),
}


@pytest.mark.parametrize(("args", "want"), ENDS.values(), ids=ENDS.keys())
def test_a_job_that_has_ended(args: Any, want: str) -> None:
    """Every terminal state, each with an end time."""
    found = standing(*args)
    assert found.state.value == want
    assert found.end_time is not None


def test_the_end_is_when_the_condition_says_and_not_now() -> None:
    """FailureTarget's own time, though Failed came ten seconds later."""
    assert standing(job(conditions=(FAILED, TARGET))).end_time == T0 + 20


BARE = {
    "waits": (pod(None, owner=None, **WAITING), "Pending"),
    "on its node": (pod(None, owner=None, phase="Pending", trainers=()), "Starting"),
    "runs": (pod(None, owner=None), "Running"),
    "is being deleted": (pod(None, owner=None, deletion=T0 + 3), "Stopping"),
    "succeeded": (done_pod(None, owner=None), "Finished"),
    "failed": (failed_pod(None, owner=None), "Failed"),
    "was deleted while it ran": (pod(None, owner=None, gone=True, gone_at=T0 + 9), "Killed"),
    "was lost with its node": (pod(None, owner=None, gone=True, deletion=T0 + 5, **LOST), "Crashed"),
    "was preempted": (
        pod(None, owner=None, gone=True, deletion=T0 + 5, disruption="PreemptionByScheduler"),
        "Preempted",
    ),
}


@pytest.mark.parametrize(("bare", "want"), BARE.values(), ids=BARE.keys())
def test_a_pod_without_a_controller(bare: PodView, want: str) -> None:
    """A bare pod is its own workload."""
    assert standing(bare, bare).state.value == want


def test_a_pod_that_was_replaced_in_the_second_of_its_creation_is_not_counted_beside_its_replacement() -> None:
    gone, new = pod(0, uid="old", gone=True), pod(0, uid="renewed")
    assert standing(job(), gone, new, pod(1)).message == "2 of 2 pods have started"


def test_the_start_is_that_of_the_first_container() -> None:
    """Of all pods, by the kubelet's word."""
    pods = (pod(0, trainers=(running(at=T0 + 5),)), pod(1, trainers=(running(at=T0 + 3),)))
    assert standing(job(), *pods).start_time == T0 + 3
    assert run().auto
