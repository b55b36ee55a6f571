"""Builders of observed objects: only what a test is about is said."""

from typing import Any

from outrider_operator.core.observed import Condition, ContainerView, JobView, PodView, RunView, Termination
from outrider_operator.core.ranks import RankRecord

JOB_UID = "11111111-2222-3333-4444-555555555555"
T0 = 1_700_000_000.0


def ended(
    code: int, *, reason: str = "", at: float | None = None, message: str = "", signal: int | None = None
) -> Termination:
    return Termination(code, signal, reason or ("Completed" if code == 0 else "Error"), at, message)


def container(name: str = "main", **more: Any) -> ContainerView:
    return ContainerView(name, **more)


def running(name: str = "main", at: float = T0) -> ContainerView:
    return ContainerView(name, running=True, started_at=at)


def stopped(code: int, *, at: float = T0 + 10, name: str = "main", **more: Any) -> ContainerView:
    return ContainerView(name, started_at=T0, ended=ended(code, at=at, **more))


def pod(index: int | None = 0, *, name: str = "", created: float = T0, **more: Any) -> PodView:
    name = name or f"job-{index}-{int(created - T0)}"
    values: dict[str, Any] = {
        "namespace": "team",
        "name": name,
        "uid": f"uid-{name}",
        "created": created,
        "owner": ("Job", "job", JOB_UID),
        "index": index,
        "node": f"node-{index}",
        "phase": "Running",
        "trainers": (running(),),
        "injected": True,
    }
    return PodView(**(values | more))


def failed_pod(index: int | None = 0, code: int = 1, *, at: float = T0 + 10, **more: Any) -> PodView:
    reason = more.pop("why", "")
    return pod(index, phase="Failed", trainers=(stopped(code, at=at, reason=reason),), **more)


def done_pod(index: int | None = 0, **more: Any) -> PodView:
    return pod(index, phase="Succeeded", trainers=(stopped(0),), **more)


def job(**more: Any) -> JobView:
    values: dict[str, Any] = {
        "namespace": "team",
        "name": "job",
        "uid": JOB_UID,
        "resource_version": "1",
        "created": T0,
        "parallelism": 2,
        "completions": 2,
        "indexed": True,
        "active": 2,
        "start_time": T0,
        "template_annotations": (("outrider.dev/inject", "true"),),
    }
    return JobView(**(values | more))


def condition(kind: str, reason: str = "", *, at: float = T0 + 20, message: str = "") -> Condition:
    return Condition(kind, "True", reason, message, at)


def run(**more: Any) -> RunView:
    values: dict[str, Any] = {
        "namespace": "team",
        "name": "job-11111111",
        "uid": "99999999-0000-0000-0000-000000000000",
        "resource_version": "5",
        "generation": 1,
        "created": T0,
        "spec": {"workloadRef": {"apiVersion": "batch/v1", "kind": "Job", "name": "job", "uid": JOB_UID}},
        "status": {},
        "labels": {"outrider.dev/auto": "true"},
        "annotations": {"outrider.dev/workload-uid": JOB_UID},
    }
    return RunView(**(values | more))


def rank(number: int, source: PodView, **more: Any) -> RankRecord:
    values: dict[str, Any] = {
        "source": source.uid,
        "container": "main",
        "rank": number,
        "local_rank": number % 2,
        "pid": 100 + number,
        "world_size": 4,
        "state": "running",
    }
    return RankRecord(**(values | more))


def exited(number: int, source: PodView, code: int | None = 1, **more: Any) -> RankRecord:
    values: dict[str, Any] = {"state": "exited", "code": code, "ended_at": T0 + 10}
    return rank(number, source, **(values | more))
