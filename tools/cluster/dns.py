"""The cluster's DNS: CoreDNS on the host, which looks Services and pods up in the API."""

from tools.cluster.build import program
from tools.cluster.controlplane import DOMAIN, Credentials
from tools.cluster.layout import Layout
from tools.cluster.processes import Daemon, Supervisor
from tools.cluster.state import State
from tools.cluster.system import put

_USER = "system:coredns"
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_PORTS = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]


def corefile(listen: str, kubeconfig: str) -> str:
    """CoreDNS' settings.

    Two zones: with `.` alone, names of the search list outside the cluster would be answered SERVFAIL, which resolvers
    try again; NXDOMAIN ends their search. Nothing is cached: ranks look for each other before they are there.
    """
    return f"""{DOMAIN}:53 in-addr.arpa:53 {{
    bind {listen}
    errors
    kubernetes {DOMAIN} in-addr.arpa {{
        kubeconfig {kubeconfig}
        pods insecure
        ttl 1
    }}
}}
.:53 {{
    bind {listen}
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""


def up(layout: Layout, state: State, keys: Credentials, supervisor: Supervisor) -> None:
    """Start CoreDNS with just the rights it needs, and give it a Service of the usual name."""
    client = keys.client(state)
    rules = [
        {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    client.ensure(f"{_RBAC}/clusterroles", {"metadata": {"name": _USER}, "rules": rules})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": _USER}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": _USER}
    client.ensure(f"{_RBAC}/clusterrolebindings", {"metadata": {"name": _USER}, "roleRef": role, "subjects": [subject]})
    user = keys.pki.signed("coredns", "ca", _USER)
    access = keys.pki.kubeconfig(layout.root / "coredns.kubeconfig", state.api_url, user, layout.name)
    config = put(layout.root / "Corefile", corefile(state.addresses.host, str(access)))
    supervisor.start(Daemon("coredns", (program("coredns"), "-conf", str(config)), (config,)))
    service = {"metadata": {"name": "kube-dns"}, "spec": {"clusterIP": state.addresses.dns_service, "ports": _PORTS}}
    client.ensure("/api/v1/namespaces/kube-system/services", service)
    slice_ = {
        "metadata": {"name": "kube-dns-host", "labels": {"kubernetes.io/service-name": "kube-dns"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [state.addresses.host]}],
        "ports": _PORTS,
    }
    client.ensure("/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices", slice_)
