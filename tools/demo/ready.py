"""Waits until an installed Outrider does its work: parts available, CA in the webhook, a pod that would be injected."""

import base64
import json
from typing import Any

from tools.cluster import Cluster, ClusterError
from tools.demo.errors import DemoError
from tools.demo.progress import until
from tools.demo.release import NAME, NAMESPACE

CRASHES = 3  # a container that has ended so often and waits for its next start is given up
PROBE = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "injection-probe", "annotations": {"outrider.dev/inject": "true"}},
    "spec": {
        "restartPolicy": "Never",
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "train",
                "image": "none",
                "command": ["true"],
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            }
        ],
    },
}


def unavailable(items: list[dict[str, Any]]) -> str:
    """Which Deployments and StatefulSets do not yet run all their pods in their newest form; empty: all do."""
    waiting = []
    for item in items:
        spec, status = item["spec"], item.get("status", {})
        wanted = spec.get("replicas", 1)
        fresh = status.get("observedGeneration", 0) >= item["metadata"]["generation"]
        # A StatefulSet counts availableReplicas too; updatedReplicas is missing while it is 0.
        there = min(status.get("updatedReplicas", 0), status.get("availableReplicas", 0))
        if not fresh or there < wanted or status.get("replicas", 0) > wanted:
            waiting.append(f"{item['metadata']['name']} {there}/{wanted}")
    return ", ".join(waiting)


def hopeless(pods: list[dict[str, Any]]) -> str:
    """Which containers have ended again and again, and how the last time; empty: none.

    Of each part only its newest pods count: older ones may be on their way out.
    """
    newest: dict[str, str] = {}
    for pod in pods:
        newest[_part(pod)] = max(newest.get(_part(pod), ""), pod["metadata"]["creationTimestamp"])
    found = []
    for pod in pods:
        if pod["metadata"]["creationTimestamp"] != newest[_part(pod)]:
            continue
        for container in pod.get("status", {}).get("containerStatuses", ()):
            waits = container.get("state", {}).get("waiting", {}).get("reason") == "CrashLoopBackOff"
            if waits and container["restartCount"] >= CRASHES:
                code = container.get("lastState", {}).get("terminated", {}).get("exitCode")
                found.append(f"{pod['metadata']['name']} ended {container['restartCount']} times, last with {code}")
    return ", ".join(found)


def _part(pod: dict[str, Any]) -> str:
    return str(pod["metadata"].get("labels", {}).get("app.kubernetes.io/component", ""))


def wait_for_parts(cluster: Cluster, seconds: float) -> None:
    """Return when controller, webhook and tracker run in their newest form; DemoError also where one cannot start."""

    def look() -> tuple[bool | None, str]:
        kinds = "deployments,statefulsets,pods"
        found = json.loads(cluster.kubectl("get", kinds, "-n", NAMESPACE, "-o", "json"))["items"]
        items = [item for item in found if item["kind"] != "Pod"]
        if ended := hopeless([item for item in found if item["kind"] == "Pod"]):
            raise DemoError(f"a part of Outrider cannot start: {ended}")
        missing = unavailable(items) if items else "nothing is installed"
        return (None, f"waiting for {missing}") if missing else (True, "")

    until("controller, webhook and tracker ready", look, seconds)


def wait_for_injection(cluster: Cluster, namespace: str, seconds: float) -> None:
    """Return when a pod that asks for it would get the sidecar: the API server is asked, no pod is made."""

    def look() -> tuple[bool | None, str]:
        try:
            answer = cluster.kubectl(
                *("create", "-n", namespace, "--dry-run=server", "-o", "json", "-f", "-"), stdin=json.dumps(PROBE)
            )
        except ClusterError as error:
            return None, str(error)
        spec = json.loads(answer)["spec"]
        if any(container["name"] == "outrider" for container in spec.get("initContainers", ())):
            return True, ""
        return None, "the API server makes the pod without the sidecar; see the webhook's log"

    until("injection of the sidecar", look, seconds)


def admin_key(cluster: Cluster) -> str:
    """The first administrator's API key."""
    secret = json.loads(cluster.kubectl("get", "secret", f"{NAME}-admin", "-n", NAMESPACE, "-o", "json"))
    return base64.b64decode(secret["data"]["key"]).decode()


def ui_address(cluster: Cluster) -> str:
    """Where the UI answers on this machine: the first node's address and the Service's node port."""
    service = json.loads(cluster.kubectl("get", "service", f"{NAME}-tracker", "-n", NAMESPACE, "-o", "json"))
    port = next(port["nodePort"] for port in service["spec"]["ports"] if port["name"] == "http")
    return f"http://{node_address(cluster)}:{port}"


def node_address(cluster: Cluster) -> str:
    """The first node's address, which this machine reaches."""
    node = json.loads(cluster.kubectl("get", "nodes", "-o", "json"))["items"][0]
    return str(next(entry["address"] for entry in node["status"]["addresses"] if entry["type"] == "InternalIP"))
