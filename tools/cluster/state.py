"""What is kept about a cluster between commands: its settings, networks and ports, in one file of its folder."""

import json
import random
import socket
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from tools.cluster import addresses, layout
from tools.cluster.addresses import Addresses
from tools.cluster.errors import ClusterError
from tools.cluster.settings import Settings
from tools.cluster.system import put, run

FILE = "cluster.json"
PORTS: Sequence[int] = range(20_000, 30_000)


@dataclass(frozen=True, slots=True)
class Ports:
    """TCP ports of the control plane, free when they were chosen and kept from then on."""

    api: int
    etcd: int
    etcd_peer: int
    controllers: int
    scheduler: int


@dataclass(frozen=True, slots=True)
class State:
    """One cluster that was brought up at least in part."""

    settings: Settings
    addresses: Addresses
    ports: Ports

    @property
    def rooted(self) -> bool:
        """Whether the cluster has nodes, and so namespaces, mounts and cgroups."""
        return self.settings.mode == "node"

    @property
    def api_host(self) -> str:
        """Where the API server listens: loopback, or the host's address in the nodes' network."""
        return self.addresses.host if self.rooted else "127.0.0.1"

    @property
    def api_url(self) -> str:
        """The API server's address."""
        return f"https://{self.api_host}:{self.ports.api}"

    @property
    def numbers(self) -> range:
        """The numbers of the nodes, from 1."""
        return range(1, self.settings.nodes + 1) if self.rooted else range(0)


def encode(state: State) -> str:
    """A state as the text of its file."""
    networks = {key: str(value) for key, value in asdict(state.addresses).items()}
    return json.dumps(
        {"settings": asdict(state.settings), "addresses": networks, "ports": asdict(state.ports)}, indent=1
    )


def decode(text: str) -> State:
    """The inverse of `encode`."""
    raw = json.loads(text)
    networks = {key: IPv4Network(value) for key, value in raw["addresses"].items()}
    return State(Settings(**raw["settings"]), Addresses(**networks), Ports(**raw["ports"]))


def load(root: Path) -> State | None:
    """The state of the cluster in a folder; None where there is no cluster."""
    try:
        return decode((root / FILE).read_text())
    except FileNotFoundError:
        return None


def save(root: Path, state: State) -> None:
    """Keep a state; the folder is made where it is missing."""
    root.mkdir(parents=True, exist_ok=True)
    put(root / FILE, encode(state))


def present() -> Iterator[State]:
    """Every cluster of this user that was brought up and not taken down."""
    for file in sorted(layout.home().glob(f"*/{FILE}")):
        yield decode(file.read_text())


def prepared(root: Path, asked: dict[str, Any]) -> State:
    """The state to bring about: what is kept, with what was asked for on top; networks and ports chosen where new."""
    if known := load(root):
        return replace(known, settings=known.settings.merged(**asked))
    settings = Settings(**asked)
    others = [network for state in present() for network in (state.addresses.machines, state.addresses.pods)]
    kept = {port for state in present() for port in astuple(state.ports)}
    routed = _routed() if settings.mode == "node" else ()
    return State(settings, addresses.choose(settings.name, [*others, *routed]), Ports(*free_ports(5, kept)))


def _routed() -> Iterable[IPv4Network]:
    """The networks that the machine has routes to."""
    for route in json.loads(run("ip", "-json", "-4", "route", "show", "table", "main").stdout or "[]"):
        if route["dst"] != "default":
            yield IPv4Network(route["dst"], strict=False)


def free_ports(count: int, taken: Collection[int] = ()) -> list[int]:
    """TCP ports that nobody listens on at this moment, all different and none of `taken`.

    They are bound some seconds later only: the kernel gives none of these to whoever asks for any port, and no Service
    has one of them as its node port.
    """
    found: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        if port not in taken and _free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise ClusterError(f"only {len(found)} of {count} ports are free from {min(PORTS)} to {max(PORTS)}")


def _free(port: int) -> bool:
    with socket.socket() as one:
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
