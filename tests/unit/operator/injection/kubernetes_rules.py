"""Rules of Kubernetes, written down from its documentation and from nothing of ours."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

SUFFIXES = {"m": Decimal("0.001"), "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30)}


def amount(text: str) -> Decimal:
    """The value of a quantity of the few forms that the tests use."""
    for suffix, factor in SUFFIXES.items():
        if text.endswith(suffix):
            return Decimal(text.removesuffix(suffix)) * factor
    return Decimal(text)


def qos(pod: Mapping[str, Any]) -> str:
    """The class by "Pod Quality of Service Classes" and, for resources of the pod as a whole, "Pod-level resources".

    Guaranteed: every container has a memory and a CPU limit, equal to its requests (a request that is not set is the
    limit). BestEffort: no container has a memory or CPU request or limit. Burstable: all others. Init containers and
    native sidecars are containers.
    """
    spec = pod["spec"]
    holders = [spec] if spec.get("resources") else [*(spec.get("initContainers") or ()), *spec["containers"]]
    seen, guaranteed = False, True
    for holder in holders:
        resources = holder.get("resources") or {}
        limits = resources.get("limits") or {}
        requests = {**limits, **(resources.get("requests") or {})}
        for name in ("cpu", "memory"):
            request, limit = amount(requests.get(name, "0")), amount(limits.get(name, "0"))
            seen = seen or request > 0 or limit > 0
            guaranteed = guaranteed and limit > 0 and request == limit
    return "BestEffort" if not seen else "Guaranteed" if guaranteed else "Burstable"


ALLOWED_VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"
}  # fmt: skip


def restricted_problems(pod: Mapping[str, Any]) -> list[str]:
    """What the Pod Security Standard "restricted" has against a Linux pod, by its table of controls."""
    spec, found = pod["spec"], []
    pod_context = spec.get("securityContext") or {}
    found += [f"{key} is set" for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)]
    for volume in spec.get("volumes") or ():
        kinds = volume.keys() - {"name"}
        if not kinds <= ALLOWED_VOLUMES:
            found.append(f"volume {volume['name']} is {kinds}")
    for container in [*(spec.get("initContainers") or ()), *spec["containers"]]:
        name, context = container["name"], container.get("securityContext") or {}
        merged = {**pod_context, **context}
        capabilities = context.get("capabilities") or {}
        if context.get("privileged"):
            found.append(f"{name} is privileged")
        if context.get("allowPrivilegeEscalation") is not False:
            found.append(f"{name} may escalate")
        if merged.get("runAsNonRoot") is not True:
            found.append(f"{name} may run as root")
        if merged.get("runAsUser") == 0:
            found.append(f"{name} runs as root")
        if (merged.get("seccompProfile") or {}).get("type") not in {"RuntimeDefault", "Localhost"}:
            found.append(f"{name} has no seccomp profile")
        if "ALL" not in (capabilities.get("drop") or ()) or set(capabilities.get("add") or ()) - {"NET_BIND_SERVICE"}:
            found.append(f"{name} has capabilities")
        if any("hostPort" in port and port["hostPort"] for port in container.get("ports") or ()):
            found.append(f"{name} has a host port")
        if context.get("procMount", "Default") != "Default":
            found.append(f"{name} has a procMount")
    return found
