"""Injection: (pod, configuration) -> JSON patch, or the reason why not. Pure, and idempotent by name.

The API server shows each pod twice (it changes the pod after the first answer); the second answer is an empty patch.
The same function serves the pod templates of workloads that the controller makes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from outrider_operator.api.base import clip
from outrider_operator.api.states import Capture
from outrider_operator.core import injection_sidecar as sidecar
from outrider_operator.core.injection_check import problems
from outrider_operator.core.injection_config import InjectionConfig
from outrider_operator.core.injection_containers import Plan, Trainer, make_plan
from outrider_operator.core.injection_settings import AnnotationError, parse
from outrider_operator.core.json_patch import Operation, Patching, apply
from outrider_operator.core.pods import (
    Asked,
    Pod,
    all_containers,
    annotations_of,
    asked,
    grace_seconds,
    init_containers,
    is_windows,
    main_containers,
    spec_of,
    volumes_of,
)
from outrider_operator.core.workloads import Owner, find_kind, owner_of
from outrider_sidecar import contract

SAFE_TO_EVICT: Final = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"
_MAX_SAID: Final = 4096  # bytes of our own annotations' values


@dataclass(frozen=True, slots=True)
class Injection:
    """The sidecar is added."""

    patch: tuple[Operation, ...]
    pod: Pod
    """The pod after the patch."""
    notes: tuple[str, ...] = ()
    """Pieces that were left out, and why; they stand in the pod's annotation too."""


@dataclass(frozen=True, slots=True)
class Skip:
    """The pod runs as if we were not there."""

    reason: str
    """Why; empty where nobody asked or everything is there already."""
    patch: tuple[Operation, ...] = ()
    """At most one annotation that says why, and pull secrets that only a pod at admission can get."""
    doubt: bool = False
    """Whether our own patch was found to be bad: a defect to be reported, not the user's doing."""


def inject(pod: Pod, config: InjectionConfig, *, by_namespace: bool = False) -> Injection | Skip:
    """Decide about a pod at admission.

    Args:
        pod: as the API server sends it.
        config: the administrator's settings.
        by_namespace: the namespace opted in; the pod itself need not ask.

    Raises:
        ValueError, KeyError, TypeError: the pod has not the form of a pod; nothing should be done.

    """
    said = asked(pod)
    if said is Asked.NO or (said is Asked.NOTHING and not by_namespace):
        return Skip("")
    if _is_injected(pod):
        return Skip("", tuple(_with_pull_secrets(Patching(pod), config).operations))
    owner = owner_of(pod)
    if said is Asked.NOTHING and (owner is None or find_kind(owner.api_version, owner.kind) is None):
        of = f"{owner.api_version} {owner.kind} {owner.name}" if owner else "no workload"
        return Skip(f"the namespace opts in for known workload kinds, and this pod is of {of}")
    return _decide(pod, config, owner, at_admission=True)


def inject_pod_template(template: Pod, owner: Owner | None, config: InjectionConfig) -> Injection | Skip:
    """Decide about the pod template of a workload that a Run makes. Only ``inject: "false"`` refuses it.

    Args:
        template: metadata and spec of the pods to come.
        owner: the workload, as far as it is known before it exists; its UID may be empty.
        config: the administrator's settings.

    """
    if asked(template) is Asked.NO:
        return Skip(f"the pod template says {contract.INJECT}: false")
    if _is_injected(template):
        return Skip("")
    return _decide(template, config, owner, at_admission=False)


def _is_injected(pod: Pod) -> bool:
    """Whether our sidecar is there: by name and annotation, so that another's container is not taken for it."""
    present = any(container["name"] == contract.SIDECAR_CONTAINER for container in init_containers(pod))
    return present and contract.INJECTED in annotations_of(pod)


def _decide(pod: Pod, config: InjectionConfig, owner: Owner | None, *, at_admission: bool) -> Injection | Skip:
    reason = _obstacle(pod)
    if reason:
        return _said_skip(pod, reason)
    try:
        settings = parse(annotations_of(pod), config, grace_seconds(pod))
        plan = make_plan(pod, settings, owner)
    except AnnotationError as error:
        return _said_skip(pod, f"not injected: {error}")
    patching = _build(pod, config, plan)
    if at_admission or spec_of(pod).get("imagePullSecrets"):
        _with_pull_secrets(patching, config)
    elif config.image_pull_secrets and contract.INJECT not in annotations_of(pod):
        # In a template, ours would keep the service account's own away from the pods: the webhook adds them there.
        patching.put_in_map(contract.INJECT, "true", "metadata", "annotations")
    doubts = [*problems(patching.document)]
    if apply(pod, patching.operations) != patching.document:
        doubts.append("the patch does not give the intended pod")
    if doubts:
        return Skip("; ".join(doubts), doubt=not [*problems(pod)])
    return Injection(tuple(patching.operations), patching.document, plan.notes)


def _obstacle(pod: Pod) -> str:
    """Why nothing can be added to this pod at all; empty where nothing is in the way."""
    if is_windows(pod):
        return "not injected: the pod is for Windows nodes, and the sidecar is for Linux"
    if not main_containers(pod):
        return "not injected: the pod has no containers"
    if any(container["name"] == contract.SIDECAR_CONTAINER for container in all_containers(pod)):
        return f"not injected: the pod has a container named {contract.SIDECAR_CONTAINER} of its own; rename it"
    for volume in volumes_of(pod):
        if volume["name"] in {contract.VOLUME, contract.TOKEN_VOLUME}:
            return f"not injected: the pod has a volume named {volume['name']} of its own; rename it"
    return ""


def _build(pod: Pod, config: InjectionConfig, plan: Plan) -> Patching:
    patching = Patching(pod)
    if patching.get("metadata") is None:  # many pod templates have none
        patching.put({}, "metadata")
    for volume in sidecar.volumes():
        patching.append(volume, "spec", "volumes")
    for trainer in plan.trainers:
        _patch_trainer(patching, trainer)
    patching.append(sidecar.container(pod, config, plan), "spec", "initContainers")
    annotations = annotations_of(pod)
    evictable = [name.strip() for name in annotations.get(SAFE_TO_EVICT, "").split(",") if name.strip()]
    if contract.VOLUME not in evictable:
        patching.put_in_map(SAFE_TO_EVICT, ",".join([*evictable, contract.VOLUME]), "metadata", "annotations")
    done = ",".join(f"{trainer.name}={trainer.capture}" for trainer in plan.trainers)
    said = clip(f"version={config.version} {done}", _MAX_SAID)
    patching.put_in_map(contract.INJECTED, said, "metadata", "annotations")
    if plan.notes:
        patching.put_in_map(contract.SKIPPED, clip("; ".join(plan.notes), _MAX_SAID), "metadata", "annotations")
    patching.put_in_map(contract.TRACKED, "true", "metadata", "labels")
    return patching


def _patch_trainer(patching: Patching, trainer: Trainer) -> None:
    at = ("spec", "containers", trainer.index)
    if trainer.mounted:
        patching.append({"name": contract.VOLUME, "mountPath": contract.MOUNT_PATH}, *at, "volumeMounts")
    for variable in trainer.env:
        patching.append(variable, *at, "env")
    if trainer.capture is Capture.WRAP:
        folder = f"{contract.MOUNT_PATH}/{contract.DIR_CONTAINERS}/{trainer.name}"
        command = patching.get(*at, "command")
        patching.put([contract.RIDER_PATH, "wrap", folder, "--", *command], *at, "command")


def _with_pull_secrets(patching: Patching, config: InjectionConfig) -> Patching:
    present = {secret.get("name") for secret in patching.get("spec", "imagePullSecrets") or ()}
    for name in config.image_pull_secrets:
        if name not in present:
            patching.append({"name": name}, "spec", "imagePullSecrets")
    return patching


def _said_skip(pod: Pod, reason: str) -> Skip:
    """A skip that stands on the pod, where the pod has room for it."""
    patching = Patching(pod)
    if patching.get("metadata") is None:
        patching.put({}, "metadata")
    patching.put_in_map(contract.SKIPPED, clip(reason, _MAX_SAID), "metadata", "annotations")
    bad = [*problems(patching.document)]
    return Skip(reason, () if bad else tuple(patching.operations))
