"""What a cluster says of itself."""

import re
from pathlib import Path
from typing import Any

from tools.cluster.cluster import Cluster
from tools.cluster.errors import ClusterError
from tools.cluster.nodes import is_ready


def resident_mib(pid: int) -> float:
    """A process' resident memory in MiB; 0 where it has just ended."""
    try:
        found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(found[1]) / 1024 if found else 0


def node_line(node: dict[str, Any]) -> str:
    """One node in one line."""
    room = node["status"].get("allocatable", {})
    word = "Ready" if is_ready(node) else "NotReady"
    pods, cpu, memory = node["spec"].get("podCIDR", "-"), room.get("cpu", "-"), room.get("memory", "-")
    return f"node {node['metadata']['name']:22} {word:9} pods {pods:16} cpu {cpu:6} memory {memory}"


def describe(cluster: Cluster) -> tuple[list[str], bool]:
    """The lines to print, and whether everything that should be there is."""
    state = cluster.state
    lines = [
        f"cluster {cluster.name}, mode {state.settings.mode}, API at {state.api_url}, files in {cluster.layout.root}"
    ]
    whole = True
    for name, pid in cluster.daemons().items():
        whole &= pid is not None
        lines.append(
            f"{name:27} "
            + (f"pid {pid:<8} {resident_mib(pid):7.1f} MiB" if pid else f"ENDED; see {cluster.layout.logs}/{name}.log")
        )
    try:
        client = cluster.api()
        lines.append(f"API server {client.get('/version')['gitVersion']}: {client.text('/readyz')}")
        nodes = client.get("/api/v1/nodes?limit=100")["items"]
    except (OSError, ClusterError) as error:
        return [*lines, f"API server does not answer: {error}"], False
    if state.rooted:
        whole &= sum(map(is_ready, nodes)) >= state.settings.nodes
    return [*lines, *map(node_line, nodes)], whole
