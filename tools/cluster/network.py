"""The nodes' network: a bridge in a namespace of its own, off which the host and every node hang by a pair of links.

Each node is a network namespace. Pod networks are routed, without an overlay, and the host has routes to them too, so
tests on the host reach pods directly. Nothing is added to the host's packet filter.
"""

import json

from tools.cluster.layout import Layout
from tools.cluster.state import State
from tools.cluster.system import run

MTU = 1500
_BRIDGE = "br0"


def inside(namespace: str, *argv: str, check: bool = True) -> str:
    """Run a command in a network namespace and give what it printed."""
    return run("nsenter", f"--net=/run/netns/{namespace}", "--", *argv, check=check).stdout


def namespaces() -> set[str]:
    """The names of the machine's network namespaces."""
    return {item["name"] for item in json.loads(run("ip", "-json", "netns", "list").stdout or "[]")}


def links(namespace: str = "") -> set[str]:
    """The names of the links in a namespace, or on the host."""
    argv = ("ip", "-json", "link", "show")
    words = inside(namespace, *argv) if namespace else run(*argv).stdout
    return {item["ifname"] for item in json.loads(words or "[]")}


def up(layout: Layout, state: State) -> None:
    """Make what is missing of the switch, the host's link to it and the nodes' namespaces."""
    bits, switch = state.addresses.machines.prefixlen, layout.switch
    if switch not in namespaces():
        run("ip", "netns", "add", switch)
    if _BRIDGE not in links(switch):
        inside(switch, "ip", "link", "add", _BRIDGE, "type", "bridge")
    inside(switch, "ip", "link", "set", _BRIDGE, "up")
    if layout.host_link not in links():
        run("ip", "link", "add", layout.host_link, "type", "veth", "peer", "name", "host", "netns", switch)
    inside(switch, "ip", "link", "set", "host", "master", _BRIDGE, "up")
    run("ip", "address", "replace", f"{state.addresses.host}/{bits}", "dev", layout.host_link)
    run("ip", "link", "set", layout.host_link, "up")
    for number in state.numbers:
        _node(layout, state, number)


def _node(layout: Layout, state: State, number: int) -> None:
    netns, port = layout.netns(number), f"n{number}"
    if netns not in namespaces():
        run("ip", "netns", "add", netns)
    if port not in links(layout.switch):
        inside(layout.switch, "ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", netns)
        inside(layout.switch, "ip", "link", "set", port, "master", _BRIDGE, "up")
    inside(netns, "ip", "link", "set", "lo", "up")
    inside(
        netns,
        "ip",
        "address",
        "replace",
        f"{state.addresses.node(number)}/{state.addresses.machines.prefixlen}",
        "dev",
        "eth0",
    )
    inside(netns, "ip", "link", "set", "eth0", "up")
    # programs look for a default route; this one ends at the host, which forwards nothing
    inside(netns, "ip", "route", "replace", "default", "via", state.addresses.host)
    inside(netns, "sysctl", "-qw", "net.ipv4.ip_forward=1")


def route_pods(layout: Layout, state: State, pod_networks: dict[int, str]) -> None:
    """Lead every node's pod network to its node, from the host and from all other nodes."""
    for number, network in pod_networks.items():
        run("ip", "route", "replace", network, "via", state.addresses.node(number), "dev", layout.host_link)
        for other in pod_networks:
            if other != number:
                inside(layout.netns(other), "ip", "route", "replace", network, "via", state.addresses.node(number))


def set_node_link(layout: Layout, number: int, *, up: bool) -> None:
    """Pull a node's cable, or put it back: the node runs on either way."""
    inside(layout.switch, "ip", "link", "set", f"n{number}", "up" if up else "down")


def down(layout: Layout, state: State) -> None:
    """Remove the host's link and the namespaces; the other links go with those."""
    if layout.host_link in links():  # first: its other end is in the switch, and it would vanish at its own time
        run("ip", "link", "delete", layout.host_link)
    present = namespaces()
    for name in [*(layout.netns(number) for number in state.numbers), layout.switch]:
        if name in present:
            run("ip", "netns", "delete", name)
