"""Clusters do not meet each other, nor the machine's networks."""

from ipaddress import IPv4Network

import pytest

from tools.cluster import addresses
from tools.cluster.errors import ClusterError

NAMES = [f"c{n}" for n in range(60)]


def test_many_clusters_side_by_side_share_no_address() -> None:
    """Each is chosen with the ones before it in place."""
    taken: list[IPv4Network] = []
    for name in NAMES:
        found = addresses.choose(name, taken)
        assert not any(found.machines.overlaps(t) or found.pods.overlaps(t) for t in taken)
        taken += [found.machines, found.pods]


def test_a_name_keeps_its_networks_while_they_are_free() -> None:
    """So a cluster that is taken down and brought up again has its old addresses."""
    assert addresses.choose("outrider", []) == addresses.choose("outrider", [IPv4Network("192.168.0.0/16")])


def test_a_default_route_takes_nothing() -> None:
    """0.0.0.0/0 overlaps everything and still says nothing about use."""
    assert addresses.choose("a", [IPv4Network("0.0.0.0/0")]) == addresses.choose("a", [])


def test_no_room_is_said_and_not_squeezed() -> None:
    """Where all of 10/8 is routed elsewhere there is no cluster."""
    with pytest.raises(ClusterError, match="take other clusters down"):
        addresses.choose("a", [IPv4Network("10.0.0.0/8")])


def test_the_addresses_within_a_cluster_are_all_different_and_inside_their_networks() -> None:
    """Host and 99 nodes; the two Services of fixed address lie in the range of Services."""
    found = addresses.in_slot(7)
    machines = [found.host, *(found.node(number) for number in range(1, 100))]
    assert len(set(machines)) == 100
    assert all(f"{address}/32" in {str(n) for n in found.machines.subnets(new_prefix=32)} for address in machines)
    assert found.kubernetes_service == "10.215.0.1"
    assert found.dns_service == "10.215.0.10"


def test_every_node_gets_a_24_of_pods() -> None:
    """The controller manager hands out /24 networks, as many as the cluster may have nodes."""
    assert len(list(addresses.in_slot(0).pods.subnets(new_prefix=24))) >= 99
