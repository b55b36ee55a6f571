"""Which networks a cluster uses, so that several clusters and the machine's own networks do not meet."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network

from tools.cluster.errors import ClusterError

SLOTS = 100


@dataclass(frozen=True, slots=True)
class Addresses:
    """The networks of one cluster: of the host and the nodes, of pods (a /24 for each node), and of Services."""

    machines: IPv4Network
    pods: IPv4Network
    services: IPv4Network

    @property
    def host(self) -> str:
        """The machine itself in the nodes' network: API server and DNS listen here in mode `node`."""
        return str(self.machines[1])

    def node(self, number: int) -> str:
        """The address of node `number`, counted from 1."""
        return str(self.machines[10 + number])

    @property
    def kubernetes_service(self) -> str:
        """The ClusterIP of the `kubernetes` Service: always the first of the range."""
        return str(self.services[1])

    @property
    def dns_service(self) -> str:
        """The ClusterIP of the `kube-dns` Service, the tenth by custom."""
        return str(self.services[10])


def in_slot(slot: int) -> Addresses:
    """The networks of slot 0 to 99. Services exist inside nodes only, so all clusters may share one range for them."""
    return Addresses(
        IPv4Network(f"10.213.{slot}.0/24"), IPv4Network(f"10.{100 + slot}.0.0/16"), IPv4Network("10.215.0.0/16")
    )


def choose(name: str, taken: Iterable[IPv4Network]) -> Addresses:
    """The first free slot, beginning at one that the name gives, so that a cluster mostly keeps its addresses.

    taken: networks that the machine routes already, other clusters' included; a default route does not count.
    """
    used = [network for network in taken if network.prefixlen > 0]
    first = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4])
    for offset in range(SLOTS):
        found = in_slot((first + offset) % SLOTS)
        if not any(network.overlaps(mine) for network in used for mine in (found.machines, found.pods, found.services)):
            return found
    raise ClusterError(
        "no free networks for the cluster: 10.213.0.0/16, 10.215.0.0/16 or 10.100.0.0/10 is routed elsewhere "
        "(see `ip route`); take other clusters down"
    )
