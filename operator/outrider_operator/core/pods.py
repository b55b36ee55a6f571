"""Reading pods and pod templates: containers, quality-of-service class, storage limits, what they ask of Outrider.

A pod is what the API server sends as JSON; a template is read alike. Absent and null are the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Final

from outrider_operator.core.quantity import Quantity, parse_quantity
from outrider_sidecar import contract

Pod = Mapping[str, Any]
Container = Mapping[str, Any]

_CLASS_RESOURCES: Final = ("cpu", "memory")


class QosClass(StrEnum):
    """Kubernetes' quality-of-service classes."""

    GUARANTEED = "Guaranteed"
    BURSTABLE = "Burstable"
    BEST_EFFORT = "BestEffort"


class Asked(StrEnum):
    """What a pod says about injection."""

    YES = "true"
    NO = "false"
    NOTHING = ""


def spec_of(pod: Pod) -> Mapping[str, Any]:
    """The pod's spec; empty where it has none."""
    return pod.get("spec") or {}


def annotations_of(pod: Pod) -> Mapping[str, str]:
    """The pod's annotations."""
    return (pod.get("metadata") or {}).get("annotations") or {}


def labels_of(pod: Pod) -> Mapping[str, str]:
    """The pod's labels."""
    return (pod.get("metadata") or {}).get("labels") or {}


def main_containers(pod: Pod) -> list[Container]:
    """The containers that run side by side and end the pod when they end."""
    return list(spec_of(pod).get("containers") or ())


def init_containers(pod: Pod) -> list[Container]:
    """Init containers, native sidecars among them."""
    return list(spec_of(pod).get("initContainers") or ())


def all_containers(pod: Pod) -> Iterator[Container]:
    """Init, main and ephemeral containers: their names share one space."""
    yield from init_containers(pod)
    yield from main_containers(pod)
    yield from spec_of(pod).get("ephemeralContainers") or ()


def volumes_of(pod: Pod) -> list[Mapping[str, Any]]:
    """The pod's volumes."""
    return list(spec_of(pod).get("volumes") or ())


def asked(pod: Pod) -> Asked:
    """What annotation and label say together: "false" in either wins, and only "true" asks."""
    said = {annotations_of(pod).get(contract.INJECT), labels_of(pod).get(contract.INJECT)}
    if Asked.NO in said:
        return Asked.NO
    return Asked.YES if Asked.YES in said else Asked.NOTHING


def is_windows(pod: Pod) -> bool:
    """Whether the pod is for Windows nodes."""
    spec = spec_of(pod)
    return "windows" in {
        (spec.get("os") or {}).get("name"),
        (spec.get("nodeSelector") or {}).get("kubernetes.io/os"),
    }


def has_pod_level_resources(pod: Pod) -> bool:
    """Whether resources are set for the pod as a whole: its containers' sum must then stay inside them."""
    resources = spec_of(pod).get("resources") or {}
    return bool(resources.get("requests") or resources.get("limits"))


def quantities(container: Container, which: str) -> dict[str, Quantity]:
    """The container's effective requests or limits; an absent request is its limit, as the API server sets it.

    Raises:
        ValueError: one of them is no quantity.

    """
    resources = container.get("resources") or {}
    found = dict(resources.get(which) or {})
    if which == "requests":
        found = {**(resources.get("limits") or {}), **found}
    return {name: parse_quantity(text) for name, text in found.items()}


def qos_class(pod: Pod) -> QosClass:
    """The class that the API server gives the pod. Raises ValueError where resources are no quantities."""
    holders: list[Container] = (
        [spec_of(pod)]
        if has_pod_level_resources(pod)
        else [
            *init_containers(pod),
            *main_containers(pod),
        ]
    )
    guaranteed, any_set = True, False
    for holder in holders:
        requests = {k: v for k, v in quantities(holder, "requests").items() if k in _CLASS_RESOURCES and v > 0}
        limits = {k: v for k, v in quantities(holder, "limits").items() if k in _CLASS_RESOURCES and v > 0}
        any_set = any_set or bool(requests or limits)
        guaranteed = guaranteed and len(limits) == len(_CLASS_RESOURCES) and requests == limits
    if not any_set:
        return QosClass.BEST_EFFORT
    return QosClass.GUARANTEED if guaranteed else QosClass.BURSTABLE


def storage_limits(pod: Pod) -> tuple[int, bool]:
    """The sum in bytes of the main containers' ephemeral-storage limits, and whether every one of them has one.

    A container without a limit counts 0 when the kubelet adds them up, so a limit on one is a limit on the pod.
    """
    limits = [quantities(container, "limits").get("ephemeral-storage") for container in main_containers(pod)]
    return int(sum(limit for limit in limits if limit is not None)), None not in limits


def run_as_user(pod: Pod, container: Container) -> int | None:
    """The UID that the container runs as; None where the image decides."""
    for holder in (container, spec_of(pod)):
        user = (holder.get("securityContext") or {}).get("runAsUser")
        if user is not None:
            return int(user)
    return None


def grace_seconds(pod: Pod) -> int:
    """Seconds that the pod's containers have between SIGTERM and SIGKILL."""
    grace = spec_of(pod).get("terminationGracePeriodSeconds")
    return 30 if grace is None else int(grace)
