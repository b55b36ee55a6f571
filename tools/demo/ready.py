"""Waits until an installed Outrider does its work: parts available, CA in the webhook, a pod that would be injected."""

import base64
import json
from typing import Any

from tools.cluster import Cluster, ClusterError
from tools.demo.progress import until
from tools.demo.release import NAME, NAMESPACE

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


def wait_for_parts(cluster: Cluster, seconds: float) -> None:
    """Return when controller, webhook and tracker run in their newest form."""

    def look() -> tuple[bool | None, str]:
        kinds = "deployments,statefulsets"
        items = json.loads(cluster.kubectl("get", kinds, "-n", NAMESPACE, "-o", "json"))["items"]
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
    node = json.loads(cluster.kubectl("get", "nodes", "-o", "json"))["items"][0]
    host = next(address["address"] for address in node["status"]["addresses"] if address["type"] == "InternalIP")
    return f"http://{host}:{port}"
