"""A cluster as a whole: what the command line and the tests work with."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.cluster import build, controlplane, dns, images, network, nodes, teardown
from tools.cluster import state as states
from tools.cluster.api import ApiClient
from tools.cluster.containerd import Containerd
from tools.cluster.controlplane import Credentials
from tools.cluster.errors import ClusterError
from tools.cluster.images import ImageConfig
from tools.cluster.layout import Layout, home
from tools.cluster.pki import Pair, Pki, Usage
from tools.cluster.processes import Supervisor
from tools.cluster.settings import Settings
from tools.cluster.state import State
from tools.cluster.system import locked


class Cluster:
    """One cluster of this machine, by name; `asked` are the fields of Settings that the next `up` is to bring about.

    Several objects, also of several processes, may stand for one cluster: each method that changes it holds a lock.
    """

    def __init__(self, name: str = "outrider", **asked: Any) -> None:
        Settings(name=name, **asked)  # what cannot be is refused here and not in the middle of `up`
        self.layout = Layout.of(name)
        self._asked: dict[str, Any] = {"name": name, **asked}

    @property
    def name(self) -> str:
        """The cluster's name."""
        return self.layout.name

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, complete in itself."""
        return self.layout.kubeconfig

    @property
    def audit_log(self) -> Path:
        """The API server's audit log; it is written where `audit` was asked for."""
        return self.layout.audit_log

    @property
    def exists(self) -> bool:
        """Whether the cluster was brought up, at least in part, and not taken down."""
        return states.load(self.layout.root) is not None

    @property
    def state(self) -> State:
        """What is kept about the cluster; ClusterError where there is none."""
        found = states.load(self.layout.root)
        if found is None:
            raise ClusterError(
                f"there is no cluster {self.name}; bring it up with: python -m tools.cluster up --name {self.name}"
            )
        return found

    @property
    def host_ip(self) -> str:
        """The address at which API server, nodes and pods reach the host (loopback without nodes)."""
        return self.state.api_host

    def up(self) -> None:
        """Bring the cluster to what was asked: start what is missing, replace what changed, add nodes. Idempotent."""
        known = states.load(self.layout.root)
        rooted = (known.settings if known else Settings(**self._asked)).mode == "node"
        if rooted and os.geteuid():
            raise ClusterError(
                "nodes need root: run this as root, or ask for --mode control, which has the API and the controllers"
            )
        with locked(home() / f"{self.name}.lock"):
            with locked(home() / "lock"):
                state = states.prepared(self.layout.root, self._asked)
                nodes.held_back(state.settings)  # a size that cannot be must not be kept
                states.save(self.layout.root, state)
            for folder in (self.layout.pki, self.layout.logs, self.layout.run):
                folder.mkdir(mode=0o700, exist_ok=True)
            supervisor = self._supervisor(state)
            if rooted:
                teardown.save_sysctls()
                network.up(self.layout, state)
            keys = Credentials.of(Pki(self.layout.pki), state)
            keys.pki.kubeconfig(self.kubeconfig, state.api_url, keys.admin, self.name)
            controlplane.up(self.layout, state, keys, supervisor)
            if rooted:
                nodes.up(self.layout, state, keys, supervisor)
                dns.up(self.layout, state, keys, supervisor)

    def down(self) -> None:
        """Take the cluster down and remove all of it; nothing happens where there is none."""
        with locked(home() / f"{self.name}.lock"):
            if state := states.load(self.layout.root):
                teardown.down(self.layout, state, self._supervisor(state))

    def api(self) -> ApiClient:
        """An administrator's client of the API."""
        state = self.state
        return Credentials.of(Pki(self.layout.pki), state).client(state)

    def certificate(self, name: str, hosts: Sequence[str] = (), usage: Usage = "server") -> Pair:
        """A certificate signed by the cluster's own authority, for a webhook of a test, say."""
        return Pki(self.layout.pki).signed(f"user-{name}", "ca", name, hosts=hosts, usage=usage)

    @property
    def authority(self) -> Path:
        """The certificate of the cluster's authority."""
        return Pki(self.layout.pki).authority("ca").crt

    def kubectl_command(self, *argv: str) -> list[str]:
        """The command line of a kubectl that talks to this cluster."""
        return [build.program("kubectl"), f"--kubeconfig={self.kubeconfig}", *argv]

    def kubectl(self, *argv: str, stdin: str | None = None, timeout: float = 120) -> str:
        """Run kubectl and give what it printed; ClusterError with its words where it fails."""
        command = self.kubectl_command(*argv)
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout, check=False)
        if done.returncode:
            raise ClusterError(f"kubectl {' '.join(argv)}: {done.stderr.strip()}")
        return done.stdout

    def load_archive(self, archive: Path, content: str = "") -> None:
        """Load a docker archive on all nodes. `content`: a hash of what it was made from, for `has_image`."""
        images.load(self._runtimes(), archive, content)

    def load_rootfs(self, reference: str, source: Path, config: ImageConfig = ImageConfig(), content: str = "") -> None:  # noqa: B008
        """Load a root file system, a folder or a tar file of one, as an image on all nodes."""
        with images.packed(reference, source, config, self.layout.root) as archive:
            self.load_archive(archive, content)

    def has_image(self, reference: str, content: str) -> bool:
        """Whether every node has the image, made from what `content` names."""
        return all(images.content_of(runtime, reference) == content for runtime in self._runtimes())

    def kill_node(self, number: int) -> None:
        """End a node as a power cut would; `up` brings it back."""
        with locked(home() / f"{self.name}.lock"):
            nodes.kill(self.layout, self._supervisor(self.state), self._number(number))

    def cut_node(self, number: int) -> None:
        """Pull a node's network cable: it runs on, but nobody reaches it."""
        network.set_node_link(self.layout, self._number(number), up=False)

    def join_node(self, number: int) -> None:
        """Put a node's network cable back."""
        network.set_node_link(self.layout, self._number(number), up=True)

    def daemons(self) -> dict[str, int | None]:
        """Every daemon that should run, with its process id; None where it has ended."""
        supervisor = self._supervisor(self.state)
        return {name: supervisor.pid(name) for name in supervisor.names()}

    def _supervisor(self, state: State) -> Supervisor:
        return Supervisor(self.layout, tagged=state.rooted)

    def _runtimes(self) -> list[Containerd]:
        numbers = self.state.numbers
        if not numbers:
            raise ClusterError(f"cluster {self.name} has no nodes to bring an image to; bring it up in mode node")
        return [Containerd(self.layout, number) for number in numbers]

    def _number(self, number: int) -> int:
        if number not in self.state.numbers:
            raise ClusterError(f"cluster {self.name} has no node {number}; it has {self.state.settings.nodes}")
        return number
