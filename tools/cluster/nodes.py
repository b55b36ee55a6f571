"""The nodes: for each a container runtime, a kubelet and a kube-proxy in the node's network namespace."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tools.cluster import cgroups, images, network, quantity
from tools.cluster.api import ApiClient
from tools.cluster.build import program
from tools.cluster.containerd import Containerd
from tools.cluster.controlplane import DOMAIN, Credentials
from tools.cluster.layout import Layout
from tools.cluster.processes import Daemon, Supervisor
from tools.cluster.settings import Settings
from tools.cluster.state import State
from tools.cluster.system import put, until

_EVICTION_MEMORY = 100 * 2**20
_FOLDERS = ("containerd", "containerd-run", "cni", "kubelet", "pod-logs", "addresses", "volume-plugins")


def daemons(number: int) -> list[str]:
    """The names of a node's daemons, in the order in which to stop them."""
    return [f"kubelet-{number}", f"kube-proxy-{number}", f"containerd-{number}"]


def kubelet_settings(layout: Layout, state: State, keys: Credentials, number: int) -> dict[str, Any]:
    """A kubelet's configuration."""
    folder = layout.node(number)
    serving = keys.pki.signed(
        f"kubelet-{number}-serving",
        "ca",
        f"system:node:{layout.node_name(number)}",
        ["system:nodes"],
        hosts=[layout.node_name(number), state.addresses.node(number)],
        usage="server",
    )
    found: dict[str, Any] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(keys.authority.crt)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(serving.crt),
        "tlsPrivateKeyFile": str(serving.key),
        "address": state.addresses.node(number),
        "healthzBindAddress": "127.0.0.1",
        "containerRuntimeEndpoint": f"unix://{folder}/containerd.sock",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": "/" + layout.node_cgroup(number),
        "cgroupsPerQOS": True,
        "enforceNodeAllocatable": ["pods"],
        "failSwapOn": False,
        "clusterDomain": DOMAIN,
        "clusterDNS": [state.addresses.host],
        "resolvConf": str(layout.root / "resolv.conf"),
        "podLogsDir": str(folder / "pod-logs"),
        "volumePluginDir": str(folder / "volume-plugins"),
        # there is no registry behind this cluster: an image that is collected cannot come back
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {
            "memory.available": f"{_EVICTION_MEMORY // 2**20}Mi",
            **dict.fromkeys(("nodefs.available", "imagefs.available", "nodefs.inodesFree", "imagefs.inodesFree"), "1%"),
        },
        "maxPods": 200,
        "nodeStatusUpdateFrequency": "4s",
        "nodeStatusReportFrequency": "1m",
        "nodeLeaseDurationSeconds": 10,
        "serializeImagePulls": False,
        "shutdownGracePeriod": "0s",
        "syncFrequency": "10s",
    }
    if not cgroups.is_v2():
        found["failCgroupV1"] = False  # refuses to start without, from 1.35 on
    if reserved := held_back(state.settings):
        found["systemReserved"] = reserved
    return found


def held_back(settings: Settings) -> dict[str, str]:
    """What every kubelet keeps from pods so that its node has the size asked for; ClusterError where none has."""
    found = {}
    if settings.node_cpu:
        found["cpu"] = quantity.reserved_cpu(os.cpu_count() or 1, settings.node_cpu)
    if settings.node_memory:
        machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        found["memory"] = quantity.reserved_memory(machine, settings.node_memory, _EVICTION_MEMORY)
    return found


def kubelet(layout: Layout, state: State, keys: Credentials, number: int) -> Daemon:
    """A node's kubelet."""
    name, folder = layout.node_name(number), layout.node(number)
    user = keys.pki.signed(f"kubelet-{number}", "ca", f"system:node:{name}", ["system:nodes"])
    access = keys.pki.kubeconfig(folder / "kubelet.kubeconfig", state.api_url, user, layout.name)
    config = put(folder / "kubelet.json", json.dumps(kubelet_settings(layout, state, keys, number), indent=1))
    argv = (
        program("kubelet"),
        f"--config={config}",
        f"--kubeconfig={access}",
        f"--hostname-override={name}",
        f"--node-ip={state.addresses.node(number)}",
        f"--root-dir={folder}/kubelet",
        f"--cert-dir={folder}/kubelet/pki",
        "--v=1",
    )
    return Daemon(f"kubelet-{number}", argv, (config,), layout.netns(number))


def kube_proxy(layout: Layout, state: State, keys: Credentials, number: int) -> Daemon:
    """A node's kube-proxy, which leads Services to pods by the rules of the node's own packet filter."""
    folder = layout.node(number)
    user = keys.pki.signed("kube-proxy", "ca", "system:kube-proxy")
    settings = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clientConnection": {
            "kubeconfig": str(keys.pki.kubeconfig(folder / "kube-proxy.kubeconfig", state.api_url, user, layout.name))
        },
        "clusterCIDR": str(state.addresses.pods),
        "hostnameOverride": layout.node_name(number),
        "bindAddress": state.addresses.node(number),
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        # the limits can only be written in the machine's first network namespace
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }
    config = put(folder / "kube-proxy.json", json.dumps(settings, indent=1))
    argv = (program("kube-proxy"), f"--config={config}", "--v=1")
    return Daemon(f"kube-proxy-{number}", argv, (config,), layout.netns(number))


def write_cni(folder: Path, pod_network: str) -> None:
    """How pods are connected: point to point, so that every packet is routed and kube-proxy's rules see it."""
    addresses = {
        "type": "host-local",
        "dataDir": str(folder / "addresses"),
        "ranges": [[{"subnet": pod_network}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    plugins = [
        {"type": "ptp", "ipMasq": False, "mtu": network.MTU, "ipam": addresses},
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ]
    config = {"cniVersion": "0.4.0", "name": "outrider-cluster", "plugins": plugins}
    put(folder / "cni/10-outrider-cluster.conflist", json.dumps(config, indent=1))


def up(layout: Layout, state: State, keys: Credentials, supervisor: Supervisor) -> None:
    """Bring all nodes up to Ready, beside each other."""
    put(layout.root / "resolv.conf", "# no resolver outside the cluster\n")
    client = keys.client(state)
    keys.pki.signed(
        "kube-proxy", "ca", "system:kube-proxy"
    )  # shared by all nodes: made before they run beside each other

    def begin(number: int) -> None:
        for name in _FOLDERS:
            (layout.node(number) / name).mkdir(parents=True, exist_ok=True)
        cgroups.make(layout.node_cgroup(number))
        runtime = Containerd(layout, number)
        supervisor.start(runtime.daemon())
        until(f"containerd of node {number}", runtime.answers, broken=supervisor.ended)
        images.ensure_pause(runtime)
        supervisor.start(kubelet(layout, state, keys, number))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(begin, state.numbers))
    pod_networks = {number: _pod_network(client, layout, supervisor, number) for number in state.numbers}
    network.route_pods(layout, state, pod_networks)
    for number, pod_network in pod_networks.items():
        write_cni(layout.node(number), pod_network)
        supervisor.start(kube_proxy(layout, state, keys, number))
    for number in state.numbers:
        name = layout.node_name(number)
        until(f"node {name} to be Ready", lambda name=name: is_ready(_node(client, name)), broken=supervisor.ended)  # type: ignore[misc]


def kill(layout: Layout, supervisor: Supervisor, number: int) -> None:
    """End a node as a power cut would: kubelet, proxy, containerd and every container at once. `up` brings it back."""
    supervisor.stop(daemons(number), grace=0)
    for name in daemons(number):
        cgroups.kill(layout.daemon_cgroup(name))
    cgroups.kill(layout.node_cgroup(number))


def is_ready(node: dict[str, Any]) -> bool:
    """Whether a node says of itself that it is Ready."""
    return any(one["type"] == "Ready" and one["status"] == "True" for one in node["status"].get("conditions", ()))


def _node(client: ApiClient, name: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/api/v1/nodes/{name}")
    return found


def _pod_network(client: ApiClient, layout: Layout, supervisor: Supervisor, number: int) -> str:
    name = layout.node_name(number)
    return until(
        f"the pod network of {name}", lambda: str(_node(client, name)["spec"]["podCIDR"]), broken=supervisor.ended
    )
