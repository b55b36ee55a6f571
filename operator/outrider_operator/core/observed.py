"""What was seen, frozen and slim: pods, Jobs and Runs as decisions take them.

The parsers take an object as the API server sends it and keep what a decision can need. A cluster of 10 000 pods must
fit into the controller's memory, so a pod of six kilobytes becomes about one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from sys import intern
from typing import Any, Final

from outrider_operator.api.states import TERMINAL
from outrider_operator.core.times import seconds
from outrider_sidecar import contract

INDEX_ANNOTATION: Final = "batch.kubernetes.io/job-completion-index"
OURS: Final = f"{contract.GROUP}/"
TERMINATION_MESSAGE_LIMIT: Final = 4096
KEPT_MESSAGE: Final = 512


@dataclass(frozen=True, slots=True)
class Termination:
    """How one start of a container ended; times in Unix seconds."""

    exit_code: int
    signal: int | None = None
    reason: str = ""
    finished_at: float | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class ContainerView:
    """One container: what it does now, and how its last start ended."""

    name: str
    running: bool = False
    started_at: float | None = None
    waiting: str = ""
    waiting_message: str = ""
    ended: Termination | None = None
    last: Termination | None = None
    restarts: int = 0

    @property
    def has_started(self) -> bool:
        """Whether any start of it ever ran."""
        return self.running or self.ended is not None or self.last is not None

    @property
    def final(self) -> Termination | None:
        """The end that counts now: the current one, or the last while it waits to start again; None while it runs."""
        if self.running:
            return None
        return self.ended or self.last


@dataclass(frozen=True, slots=True)
class PodView:
    """A pod; ``gone`` once its deletion was seen (it is then its last observed form)."""

    namespace: str
    name: str
    uid: str
    created: float
    owner: tuple[str, str, str] | None = None
    """Kind, name and UID of its controller."""
    index: int | None = None
    """Completion index of an indexed Job: the node rank."""
    node: str = ""
    phase: str = "Pending"
    reason: str = ""
    message: str = ""
    disruption: str = ""
    disruption_message: str = ""
    unschedulable: str = ""
    deletion: float | None = None
    trainers: tuple[ContainerView, ...] = ()
    sidecar: ContainerView | None = None
    injected: bool = False
    skipped: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    """Our own, and only on pods without a controller: they make their own Run."""
    gone: bool = False
    gone_at: float | None = None

    @property
    def started(self) -> bool:
        """Whether a trainer container ever ran."""
        return any(c.has_started for c in self.trainers)

    @property
    def ended(self) -> bool:
        """Whether nothing of it runs any more, as far as was seen."""
        return self.gone or self.phase in {"Succeeded", "Failed"}

    @property
    def succeeded(self) -> bool:
        """Whether its trainers are known to have ended well."""
        if self.phase == "Succeeded":
            return True
        return bool(self.trainers) and all(c.ended is not None and c.ended.exit_code == 0 for c in self.trainers)

    @property
    def end_time(self) -> float | None:
        """When it ended: the last trainer's end, else its deletion; None while it lives. Unix seconds."""
        if not self.ended and self.deletion is None:
            return None
        ends = [c.ended.finished_at for c in self.trainers if c.ended and c.ended.finished_at is not None]
        if ends and not any(c.running for c in self.trainers):
            return max(ends)
        return self.gone_at if self.deletion is None else self.deletion


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition of a workload; ``since`` in Unix seconds."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    since: float | None = None


@dataclass(frozen=True, slots=True)
class JobView:
    """A Job; ``gone`` once its deletion was seen."""

    namespace: str
    name: str
    uid: str
    resource_version: str
    created: float
    owner: tuple[str, str, str] | None = None
    annotations: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    template_annotations: tuple[tuple[str, str], ...] = ()
    template_labels: tuple[tuple[str, str], ...] = ()
    requests: tuple[tuple[str, str], ...] = ()
    """Resource requests of the template's containers, as written: (resource, quantity) per container."""
    parallelism: int = 1
    completions: int | None = None
    indexed: bool = False
    suspended: bool = False
    active: int = 0
    succeeded: int = 0
    failed: int = 0
    start_time: float | None = None
    deletion: float | None = None
    conditions: tuple[Condition, ...] = ()
    gone: bool = False

    def condition(self, *types: str) -> Condition | None:
        """The first of these conditions that is True."""
        for wanted in types:
            for condition in self.conditions:
                if condition.type == wanted and condition.status == "True":
                    return condition
        return None

    @property
    def finished(self) -> bool:
        """Whether its end is decided."""
        return self.condition("Complete", "Failed", "SuccessCriteriaMet", "FailureTarget") is not None

    @property
    def finished_at(self) -> float | None:
        """When its end was decided; None before."""
        times = [c.since for c in self.conditions if c.status == "True" and c.type in _ENDS and c.since is not None]
        return min(times, default=None)


_ENDS: Final = frozenset({"Complete", "Failed", "SuccessCriteriaMet", "FailureTarget"})


@dataclass(frozen=True, slots=True)
class RunView:
    """A Run: its object, with the parts that identify it at hand."""

    namespace: str
    name: str
    uid: str
    resource_version: str
    generation: int
    created: float
    spec: Mapping[str, Any]
    status: Mapping[str, Any]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    deletion: float | None = None

    @property
    def auto(self) -> bool:
        """Whether the controller made it for a workload that it found."""
        return self.labels.get(contract.AUTO) == "true"

    @property
    def ended(self) -> bool:
        """Whether a terminal state stands in its status."""
        return self.status.get("state") in TERMINAL

    @property
    def workload_uid(self) -> str | None:
        """UID of the workload it is bound to, where one is recorded."""
        ref = self.spec.get("workloadRef")
        named = ref.get("uid") if isinstance(ref, Mapping) else None
        return named or self.annotations.get(contract.WORKLOAD_UID)


# ------------------------------------------------------------------------------------------------ parsers
def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def _int(value: object, default: int = 0) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def _pairs(value: object, *, ours: bool) -> tuple[tuple[str, str], ...]:
    return tuple(
        (intern(key), text)
        for key, text in sorted(_map(value).items())
        if isinstance(text, str) and (not ours or key.startswith(OURS))
    )


def _owner(meta: Mapping[str, Any]) -> tuple[str, str, str] | None:
    for ref in _list(meta.get("ownerReferences")):
        if ref.get("controller"):
            return intern(str(ref.get("kind", ""))), intern(str(ref.get("name", ""))), intern(str(ref.get("uid", "")))
    return None


def _termination(state: Mapping[str, Any], keep: int) -> Termination | None:
    ended = state.get("terminated")
    if not isinstance(ended, Mapping):
        return None
    return Termination(
        exit_code=_int(ended.get("exitCode")),
        signal=_int(ended.get("signal")) or None,
        reason=intern(str(ended.get("reason") or "")),
        finished_at=seconds(ended.get("finishedAt")),
        message=str(ended.get("message") or "")[-keep:],
    )


def _container(status: Mapping[str, Any], keep: int) -> ContainerView:
    state, last = _map(status.get("state")), _map(status.get("lastState"))
    running, waiting = _map(state.get("running")), _map(state.get("waiting"))
    ended = _termination(state, keep)
    return ContainerView(
        name=intern(str(status.get("name", ""))),
        running="running" in state,
        started_at=seconds(running.get("startedAt")) or seconds(_map(state.get("terminated")).get("startedAt")),
        waiting=intern(str(waiting.get("reason") or "")),
        waiting_message=str(waiting.get("message") or "")[:KEPT_MESSAGE],
        ended=ended,
        last=_termination(last, keep),
        restarts=_int(status.get("restartCount")),
    )


def pod_view(pod: Mapping[str, Any]) -> PodView:
    """The slim form of a pod as the API server sends it."""
    meta, spec, status = _map(pod.get("metadata")), _map(pod.get("spec")), _map(pod.get("status"))
    annotations, owner = _map(meta.get("annotations")), _owner(meta)
    named = {n.strip() for n in str(annotations.get(contract.CONTAINER) or "").split(",") if n.strip()}
    trainers = [
        _container(c, TERMINATION_MESSAGE_LIMIT)
        for c in _list(status.get("containerStatuses"))
        if not named or c.get("name") in named
    ]
    sidecars = [
        _container(c, TERMINATION_MESSAGE_LIMIT)
        for c in _list(status.get("initContainerStatuses"))
        if c.get("name") == contract.SIDECAR_CONTAINER
    ]
    disruption = unschedulable = ""
    disruption_message = ""
    for condition in _list(status.get("conditions")):
        if condition.get("type") == "DisruptionTarget" and condition.get("status") == "True":
            disruption = intern(str(condition.get("reason") or "Disruption"))
            disruption_message = str(condition.get("message") or "")[:KEPT_MESSAGE]
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            unschedulable = str(condition.get("message") or condition.get("reason") or "")[:KEPT_MESSAGE]
    index = str(annotations.get(INDEX_ANNOTATION) or _map(meta.get("labels")).get(INDEX_ANNOTATION) or "")
    return PodView(
        namespace=intern(str(meta.get("namespace", ""))),
        name=str(meta.get("name", "")),
        uid=str(meta.get("uid", "")),
        created=seconds(meta.get("creationTimestamp")) or 0.0,
        owner=owner,
        index=int(index) if index.isascii() and index.isdigit() else None,
        node=intern(str(spec.get("nodeName") or "")),
        phase=intern(str(status.get("phase") or "Pending")),
        reason=intern(str(status.get("reason") or "")),
        message=str(status.get("message") or "")[:KEPT_MESSAGE],
        disruption=disruption,
        disruption_message=disruption_message,
        unschedulable=unschedulable,
        deletion=seconds(meta.get("deletionTimestamp")),
        trainers=tuple(trainers),
        sidecar=sidecars[0] if sidecars else None,
        injected=contract.INJECTED in annotations,
        skipped=str(annotations.get(contract.SKIPPED) or "")[:KEPT_MESSAGE],
        labels=_pairs(meta.get("labels"), ours=True) if owner is None else (),
        annotations=_pairs(annotations, ours=True) if owner is None else (),
    )


def job_view(job: Mapping[str, Any]) -> JobView:
    """The slim form of a Job as the API server sends it."""
    meta, spec, status = _map(job.get("metadata")), _map(job.get("spec")), _map(job.get("status"))
    template = _map(spec.get("template"))
    template_meta = _map(template.get("metadata"))
    requests: list[tuple[str, str]] = []
    for container in _list(_map(template.get("spec")).get("containers")):
        resources = _map(container.get("resources"))
        wanted = {**_map(resources.get("limits")), **_map(resources.get("requests"))}
        requests += [(intern(str(name)), str(quantity)) for name, quantity in sorted(wanted.items())]
    completions = spec.get("completions")
    return JobView(
        namespace=intern(str(meta.get("namespace", ""))),
        name=str(meta.get("name", "")),
        uid=str(meta.get("uid", "")),
        resource_version=str(meta.get("resourceVersion", "")),
        created=seconds(meta.get("creationTimestamp")) or 0.0,
        owner=_owner(meta),
        annotations=_pairs(meta.get("annotations"), ours=True),
        labels=_pairs(meta.get("labels"), ours=True),
        template_annotations=_pairs(template_meta.get("annotations"), ours=True),
        template_labels=_pairs(template_meta.get("labels"), ours=True),
        requests=tuple(requests),
        parallelism=_int(spec.get("parallelism"), 1),
        completions=completions if isinstance(completions, int) else None,
        indexed=spec.get("completionMode") == "Indexed",
        suspended=bool(spec.get("suspend")),
        active=_int(status.get("active")),
        succeeded=_int(status.get("succeeded")),
        failed=_int(status.get("failed")),
        start_time=seconds(status.get("startTime")),
        deletion=seconds(meta.get("deletionTimestamp")),
        conditions=tuple(
            Condition(
                type=intern(str(c.get("type", ""))),
                status=intern(str(c.get("status", ""))),
                reason=intern(str(c.get("reason") or "")),
                message=str(c.get("message") or "")[:KEPT_MESSAGE],
                since=seconds(c.get("lastTransitionTime")),
            )
            for c in _list(status.get("conditions"))
        ),
    )


def run_view(run: Mapping[str, Any]) -> RunView:
    """A Run as the API server sends it."""
    meta = _map(run.get("metadata"))
    return RunView(
        namespace=intern(str(meta.get("namespace", ""))),
        name=str(meta.get("name", "")),
        uid=str(meta.get("uid", "")),
        resource_version=str(meta.get("resourceVersion", "")),
        generation=_int(meta.get("generation")),
        created=seconds(meta.get("creationTimestamp")) or 0.0,
        spec=_map(run.get("spec")),
        status=_map(run.get("status")),
        labels=_map(meta.get("labels")),
        annotations=_map(meta.get("annotations")),
        deletion=seconds(meta.get("deletionTimestamp")),
    )
