"""Where things lie: the cache of built programs, and the folder and the kernel-visible names of one cluster."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path


def cache() -> Path:
    """The user's cache folder of this project; everything in it can be made again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "outrider"


def home() -> Path:
    """The folder of all of this user's clusters; short for root, as Unix socket paths are limited to 107 bytes."""
    if given := os.environ.get("OUTRIDER_CLUSTER_HOME"):
        return Path(given).absolute()
    if os.geteuid() == 0:
        return Path("/var/lib/outrider-cluster")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "outrider-cluster"


@dataclass(frozen=True, slots=True)
class Layout:
    """All names that one cluster uses on the machine."""

    name: str
    root: Path

    @classmethod
    def of(cls, name: str) -> "Layout":
        """The layout of the cluster of that name under `home()`."""
        return cls(name, home() / name)

    @property
    def pki(self) -> Path:
        """Keys and certificates."""
        return self.root / "pki"

    @property
    def logs(self) -> Path:
        """One file for each daemon."""
        return self.root / "log"

    @property
    def run(self) -> Path:
        """What runs: one JSON file for each daemon."""
        return self.root / "run"

    @property
    def audit_log(self) -> Path:
        """The API server's audit log, where it was asked for."""
        return self.logs / "audit.log"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's way in."""
        return self.root / "admin.kubeconfig"

    def node(self, number: int) -> Path:
        """The data folder of node `number`."""
        return self.root / f"n{number}"

    def node_name(self, number: int) -> str:
        """The name of node `number` as Kubernetes knows it."""
        return f"{self.name}-n{number}"

    @property
    def cgroup(self) -> str:
        """The cgroup below which everything of the cluster runs, without a leading slash."""
        return f"outrider.{self.name}"

    def node_cgroup(self, number: int) -> str:
        """The cgroup that holds a node's pods."""
        return f"{self.cgroup}/n{number}"

    def daemon_cgroup(self, daemon: str) -> str:
        """The cgroup that holds a daemon and its children."""
        return f"{self.cgroup}/daemons/{daemon}"

    def netns(self, number: int) -> str:
        """The network namespace of a node."""
        return f"outrider.{self.name}.n{number}"

    @property
    def switch(self) -> str:
        """The network namespace with the bridge that joins the nodes and the host."""
        return f"outrider.{self.name}.switch"

    @property
    def host_link(self) -> str:
        """The host's end of the link to the switch; a link's name has at most 15 bytes."""
        return f"or{hashlib.sha256(self.name.encode()).hexdigest()[:7]}-host"
