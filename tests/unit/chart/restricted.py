"""The Pod Security Standard "restricted", written down from its document: what a pod's spec does against it."""

from typing import Any

ALLOWED_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
ALLOWED_SECCOMP = {"RuntimeDefault", "Localhost"}


def violations(spec: dict[str, Any]) -> list[str]:
    """Sentences, one for each thing that "restricted" (with baseline below it) forbids."""
    found = [f"{field} is set" for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field)]
    for volume in spec.get("volumes", ()):
        found += [f"volume {volume['name']} is a {kind}" for kind in volume.keys() - {"name"} - ALLOWED_VOLUMES]
    pod = spec.get("securityContext", {})
    if pod.get("runAsUser") == 0:
        found.append("the pod runs as root")
    if pod.get("sysctls"):
        found.append("sysctls are set")
    for container in (*spec.get("initContainers", ()), *spec["containers"]):
        found += [f"container {container['name']}: {what}" for what in _container(container, pod)]
    return found


def _container(container: dict[str, Any], pod: dict[str, Any]) -> list[str]:
    own = container.get("securityContext", {})
    found = []
    if own.get("privileged"):
        found.append("is privileged")
    if own.get("allowPrivilegeEscalation") is not False:
        found.append("allowPrivilegeEscalation is not false")
    if own.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True:
        found.append("runAsNonRoot is not true")
    if own.get("runAsUser", pod.get("runAsUser")) == 0:
        found.append("runs as root")
    if own.get("seccompProfile", pod.get("seccompProfile", {})).get("type") not in ALLOWED_SECCOMP:
        found.append("has no seccomp profile")
    capabilities = own.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", ()):
        found.append("does not drop all capabilities")
    found += [f"adds {name}" for name in capabilities.get("add", ()) if name != "NET_BIND_SERVICE"]
    found += [f"takes host port {port['hostPort']}" for port in container.get("ports", ()) if port.get("hostPort")]
    if own.get("procMount", "Default") != "Default":
        found.append("has another /proc")
    return found
