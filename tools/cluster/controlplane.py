"""The control plane on the host: etcd, API server, controller manager, scheduler, and how each is set."""

import json
from dataclasses import dataclass
from pathlib import Path

from tools.cluster.api import ApiClient
from tools.cluster.build import program
from tools.cluster.layout import Layout
from tools.cluster.pki import Pair, Pki
from tools.cluster.processes import Daemon, Supervisor
from tools.cluster.state import State
from tools.cluster.system import put, until

DOMAIN = "cluster.local"
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        # who did what to which object and how it ended, without bodies: Secrets must not reach the log
        {"level": "Metadata"}
    ],
}


@dataclass(frozen=True, slots=True)
class Credentials:
    """The certificates of the control plane."""

    pki: Pki
    authority: Pair
    admin: Pair
    server: Pair
    to_kubelets: Pair
    to_etcd: Pair
    etcd: Pair
    front_proxy: Pair

    @classmethod
    def of(cls, pki: Pki, state: State) -> "Credentials":
        """All of them, made where they are missing."""
        names = [
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            f"kubernetes.default.svc.{DOMAIN}",
            "localhost",
        ]
        hosts = [*names, "127.0.0.1", state.api_host, state.addresses.kubernetes_service]
        return cls(
            pki=pki,
            authority=pki.authority("ca"),
            admin=pki.signed("admin", "ca", "kubernetes-admin", ["system:masters"]),
            server=pki.signed("apiserver", "ca", "kube-apiserver", hosts=hosts, usage="server"),
            to_kubelets=pki.signed("apiserver-kubelet", "ca", "kube-apiserver-kubelet-client", ["system:masters"]),
            to_etcd=pki.signed("apiserver-etcd", "etcd-ca", "kube-apiserver"),
            etcd=pki.signed("etcd", "etcd-ca", "etcd", hosts=["127.0.0.1"], usage="both"),
            front_proxy=pki.signed("front-proxy", "front-proxy-ca", "front-proxy-client"),
        )

    def client(self, state: State) -> ApiClient:
        """The administrator's client."""
        return ApiClient(state.api_url, self.authority, self.admin)


def etcd(layout: Layout, state: State, keys: Credentials) -> Daemon:
    """The store, for the API server alone: both its ports ask for a certificate of its own authority."""
    ca = keys.pki.authority("etcd-ca").crt
    clients, peers = (f"https://127.0.0.1:{port}" for port in (state.ports.etcd, state.ports.etcd_peer))
    argv = (
        program("etcd"),
        "--name=etcd",
        f"--data-dir={layout.root}/etcd",
        f"--listen-client-urls={clients}",
        f"--advertise-client-urls={clients}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=etcd={peers}",
        f"--trusted-ca-file={ca}",
        f"--cert-file={keys.etcd.crt}",
        f"--key-file={keys.etcd.key}",
        "--client-cert-auth",
        f"--peer-trusted-ca-file={ca}",
        f"--peer-cert-file={keys.etcd.crt}",
        f"--peer-key-file={keys.etcd.key}",
        "--peer-client-cert-auth",
        "--unsafe-no-fsync",  # the data of a cluster for tests may go with the machine
        "--log-level=warn",
    )
    return Daemon("etcd", argv)


def api_server(layout: Layout, state: State, keys: Credentials) -> Daemon:
    """The API server. Pod security admission is on by default and enforces what a namespace asks for."""
    private, public = keys.pki.token_key()
    argv = [
        program("kube-apiserver"),
        f"--etcd-servers=https://127.0.0.1:{state.ports.etcd}",
        f"--etcd-cafile={keys.pki.authority('etcd-ca').crt}",
        f"--etcd-certfile={keys.to_etcd.crt}",
        f"--etcd-keyfile={keys.to_etcd.key}",
        f"--bind-address={state.api_host}",
        f"--secure-port={state.ports.api}",
        f"--tls-cert-file={keys.server.crt}",
        f"--tls-private-key-file={keys.server.key}",
        f"--client-ca-file={keys.authority.crt}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--service-cluster-ip-range={state.addresses.services}",
        "--allow-privileged=true",
        f"--service-account-issuer=https://kubernetes.default.svc.{DOMAIN}",
        f"--service-account-signing-key-file={private}",
        f"--service-account-key-file={public}",
        f"--kubelet-client-certificate={keys.to_kubelets.crt}",
        f"--kubelet-client-key={keys.to_kubelets.key}",
        f"--kubelet-certificate-authority={keys.authority.crt}",
        "--kubelet-preferred-address-types=InternalIP,Hostname",  # nobody resolves node names here
        f"--requestheader-client-ca-file={keys.pki.authority('front-proxy-ca').crt}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={keys.front_proxy.crt}",
        f"--proxy-client-key-file={keys.front_proxy.key}",
        # webhooks behind a Service are reached at its endpoints: the host has no kube-proxy
        "--enable-aggregator-routing=true",
        f"--default-not-ready-toleration-seconds={state.settings.toleration_seconds}",
        f"--default-unreachable-toleration-seconds={state.settings.toleration_seconds}",
        "--event-ttl=2h",
        "--profiling=false",
    ]
    configs: list[Path] = []
    if state.rooted:
        argv.append(f"--advertise-address={state.api_host}")
    else:
        # a loopback address is refused as an endpoint of the `kubernetes` Service; this one leads nowhere (RFC 5737)
        argv += ["--advertise-address=192.0.2.1", "--endpoint-reconciler-type=none"]
    if state.settings.mode == "api":
        argv.append("--disable-admission-plugins=ServiceAccount")  # nobody makes the `default` accounts here
    if state.settings.audit:
        policy = put(layout.root / "audit-policy.json", json.dumps(AUDIT_POLICY))
        configs.append(policy)
        argv += [f"--audit-policy-file={policy}", f"--audit-log-path={layout.audit_log}", "--audit-log-mode=blocking"]
    return Daemon("kube-apiserver", tuple(argv), tuple(configs))


def controller_manager(layout: Layout, state: State, keys: Credentials) -> Daemon:
    """The controllers; each works as a service account of its own."""
    access = keys.pki.kubeconfig(
        layout.root / "controllers.kubeconfig",
        state.api_url,
        keys.pki.signed("controllers", "ca", "system:kube-controller-manager"),
        layout.name,
    )
    private, _ = keys.pki.token_key()
    argv = [
        program("kube-controller-manager"),
        *_access(access, state.ports.controllers),
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={private}",
        f"--root-ca-file={keys.authority.crt}",
        f"--cluster-signing-cert-file={keys.authority.crt}",
        f"--cluster-signing-key-file={keys.authority.key}",
        f"--service-cluster-ip-range={state.addresses.services}",
        f"--node-monitor-grace-period={state.settings.node_grace}",
        "--node-monitor-period=2s",
        # the default of 20 requests a second costs five seconds at every start
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
    ]
    if state.rooted:
        argv += [f"--cluster-cidr={state.addresses.pods}", "--allocate-node-cidrs=true", "--node-cidr-mask-size=24"]
    else:
        # Made-up nodes need no pod networks, and a /16 has only 256 of them. Pods that are bound to nodes which nobody
        # registered are orphans to the garbage collector: it would remove them at any moment after 40 s.
        argv += ["--allocate-node-cidrs=false", "--controllers=*,-pod-garbage-collector-controller"]
    return Daemon("kube-controller-manager", tuple(argv))


def scheduler(layout: Layout, state: State, keys: Credentials) -> Daemon:
    """The scheduler."""
    access = keys.pki.kubeconfig(
        layout.root / "scheduler.kubeconfig",
        state.api_url,
        keys.pki.signed("scheduler", "ca", "system:kube-scheduler"),
        layout.name,
    )
    argv = (
        program("kube-scheduler"),
        *_access(access, state.ports.scheduler),
        "--kube-api-qps=1000",
        "--kube-api-burst=2000",
    )
    return Daemon("kube-scheduler", argv)


def up(layout: Layout, state: State, keys: Credentials, supervisor: Supervisor) -> None:
    """Bring the control plane up to where it answers and does its work."""
    client = keys.client(state)
    supervisor.start(etcd(layout, state, keys))
    supervisor.start(api_server(layout, state, keys))
    until("the API server to be ready", lambda: client.text("/readyz") == "ok", broken=supervisor.ended)
    if state.settings.mode == "api":
        return
    supervisor.start(controller_manager(layout, state, keys))
    supervisor.start(scheduler(layout, state, keys))
    account = "/api/v1/namespaces/default/serviceaccounts/default"
    until(
        "the controllers' first work, the account `default`", lambda: bool(client.get(account)), broken=supervisor.ended
    )


def _access(kubeconfig: Path, port: int) -> tuple[str, ...]:
    return (
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        "--leader-elect=false",
        "--profiling=false",
    )
