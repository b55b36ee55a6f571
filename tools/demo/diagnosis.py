"""What to print when the demo stops: the state of the pods, the latest events, the words of pods that are not well."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from tools.cluster import Cluster, ClusterError


def unwell(pod: dict[str, Any]) -> bool:
    """Whether a pod is neither ready nor ended well."""
    status = pod.get("status", {})
    if status.get("phase") == "Succeeded":
        return False
    ready = (c["status"] for c in status.get("conditions", []) if c["type"] == "Ready")
    return next(ready, "False") != "True"


def containers(pod: dict[str, Any]) -> list[str]:
    """Names of all containers of a pod, init containers first."""
    spec = pod["spec"]
    return [container["name"] for container in (*spec.get("initContainers", ()), *spec["containers"])]


def report(cluster: Cluster, namespaces: Iterable[str], lines: int = 25) -> Iterator[str]:
    """Lines for the person at the keyboard, namespace by namespace; what cannot be asked is said and passed over."""
    for namespace in namespaces:
        yield f"--- pods of namespace {namespace}"
        yield _kubectl(cluster, "get", "pods", "-n", namespace, "-o", "wide")
        yield f"--- latest events of namespace {namespace}"
        events = _kubectl(cluster, "get", "events", "-n", namespace, "--sort-by=.lastTimestamp")
        yield "\n".join(events.splitlines()[-lines:])
        for pod in _pods(cluster, namespace):
            if unwell(pod):
                name = pod["metadata"]["name"]
                for container in containers(pod):
                    yield f"--- last words of {namespace}/{name}, container {container}"
                    yield _kubectl(cluster, "logs", "-n", namespace, name, "-c", container, f"--tail={lines}")


def _pods(cluster: Cluster, namespace: str) -> list[dict[str, Any]]:
    try:
        items: list[dict[str, Any]] = json.loads(cluster.kubectl("get", "pods", "-n", namespace, "-o", "json"))["items"]
    except (OSError, ClusterError):
        return []  # the table above has said why
    return items


def _kubectl(cluster: Cluster, *arguments: str) -> str:
    try:
        return cluster.kubectl(*arguments).rstrip()
    except (OSError, ClusterError) as error:
        return f"({error})"
