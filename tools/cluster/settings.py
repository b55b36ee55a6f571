"""What a person asks of a cluster."""

import re
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from tools.cluster.errors import ClusterError

Mode = Literal["api", "control", "node"]
MAX_NODES = 99

_NAME = re.compile(r"[a-z]([-a-z0-9]{0,18}[a-z0-9])?")
_DURATION = re.compile(r"\d+(ms|s|m)")


@dataclass(frozen=True, slots=True)
class Settings:
    """One cluster, as asked for. Its name sets its folder, its network names, its cgroups and its node names.

    mode: `api` is etcd and the API server (no root needed; nobody makes service accounts, deletes namespaces or runs
    Jobs); `control` adds the controller manager and the scheduler; `node` adds `nodes` real nodes and DNS (needs root).
    audit: the API server writes an audit log, one JSON line for each request that it answered.
    node_cpu, node_memory: what each node lets pods have, as quantities; empty is all of the machine, for every node.
    node_grace: how long a silent node stays Ready. toleration_seconds: how long pods stay on one that is not.
    """

    name: str = "outrider"
    mode: Mode = "node"
    nodes: int = 2
    audit: bool = False
    node_cpu: str = ""
    node_memory: str = ""
    node_grace: str = "20s"
    toleration_seconds: int = 30

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ClusterError(
                f"{self.name!r} does not do as a cluster's name: 1 to 20 of a-z, 0-9 and -, a letter first"
            )
        if self.mode not in get_args(Mode):
            raise ClusterError(f"{self.mode!r} is no mode; the modes are {', '.join(get_args(Mode))}")
        if self.mode == "node" and not 1 <= self.nodes <= MAX_NODES:
            raise ClusterError(f"a cluster has 1 to {MAX_NODES} nodes, not {self.nodes}")
        if not _DURATION.fullmatch(self.node_grace):
            raise ClusterError(f"{self.node_grace!r} is no duration; write it as 8s or 1m")

    def merged(self, **asked: Any) -> "Settings":
        """These settings with what a later `up` asked for on top; nodes are added and never taken away.

        Raises ClusterError where a running cluster cannot be turned into what was asked.
        """
        if asked.get("mode", self.mode) != self.mode:
            raise ClusterError(
                f"cluster {self.name} is there in mode {self.mode}, not {asked['mode']}; take it down first, "
                f"or give the other one another --name"
            )
        if "nodes" in asked:
            asked["nodes"] = max(self.nodes, asked["nodes"])
        return replace(self, **asked)
