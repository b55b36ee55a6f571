"""The cluster that all other tests stand on does what a Kubernetes does, and leaves nothing behind."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cluster_fixtures import BUSYBOX, Namespace, load_busybox
from tools.cluster import Cluster, ClusterError, build, cgroups
from tools.cluster.network import links, namespaces
from tools.cluster.system import until
from tools.cluster.teardown import mounts

CRD: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "lamps.example.test"},
    "spec": {
        "group": "example.test",
        "scope": "Namespaced",
        "names": {"plural": "lamps", "singular": "lamp", "kind": "Lamp"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {"watts": {"type": "integer"}},
                                "x-kubernetes-validations": [
                                    {"rule": "self.watts <= 60", "message": "a lamp has at most 60 watts"}
                                ],
                            }
                        },
                    }
                },
            }
        ],
    },
}
LAMP: dict[str, Any] = {
    "apiVersion": "example.test/v1",
    "kind": "Lamp",
    "metadata": {"name": "desk"},
    "spec": {"watts": 40},
}
TERM_IS_TOLD = "trap 'echo TERM; exit 0' TERM"
WAIT = "while :; do sleep 1 & wait $!; done"
WAIT_FOR_TERM = f"{TERM_IS_TOLD}; {WAIT}"


def container(name: str, script: str, **more: Any) -> dict[str, Any]:
    """A container that runs a shell script."""
    command = ["sh", "-c", script]
    return {"name": name, "image": BUSYBOX, "imagePullPolicy": "Never", "command": command, **more}


def pod(name: str, script: str, **spec: Any) -> dict[str, Any]:
    """A pod of one container with a shell script."""
    found = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 2,
        "containers": [container("main", script)],
        **spec,
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": found}


def refused(namespace: Namespace, *argv: str, stdin: str | None = None) -> str:
    """The API server's words against what would be created; empty where it would take it. Nothing is made."""
    try:
        namespace.kubectl("create", *argv, "--dry-run=server", stdin=stdin)
    except ClusterError as error:
        return str(error)
    return ""


@pytest.fixture
def lamps(namespace: Namespace) -> Namespace:
    """A namespace where the kind Lamp is known, which is a moment after it is established."""
    namespace.apply(CRD)
    namespace.wait("crd/lamps.example.test", "condition=Established")
    until("the kind Lamp to be taken", lambda: not refused(namespace, "-f", "-", stdin=json.dumps(LAMP)), timeout=60)
    return namespace


def test_the_api_server_is_ready_and_of_the_pinned_version(api_cluster: Cluster) -> None:
    """/readyz says ok, and the server knows its own version although it was built outside its own tree."""

    def ready() -> bool:
        try:
            return api_cluster.kubectl("get", "--raw", "/readyz") == "ok"
        except ClusterError:  # it is right to say so while its store is slow
            return False

    until("the API server to be ready", ready, timeout=60)
    told = json.loads(api_cluster.kubectl("get", "--raw", "/version"))
    assert told["gitVersion"] == build.kubernetes_version()
    assert (told["major"], told["minor"]) == ("1", "36")


def test_a_custom_resource_is_checked_by_its_schema_and_its_rules(lamps: Namespace) -> None:
    """A CRD is accepted; CEL rules of it are enforced."""
    lamps.apply(LAMP)
    assert lamps.get("lamp", "desk")["spec"] == {"watts": 40}
    with pytest.raises(ClusterError, match="a lamp has at most 60 watts"):
        lamps.apply({**LAMP, "metadata": {"name": "flood"}, "spec": {"watts": 1000}})


def test_controllers_make_pods_and_quota_is_enforced(namespace: Namespace) -> None:
    """A Job gets its pods from the controller manager; a quota refuses what is above it."""
    template = {"metadata": {}, "spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "none:1"}]}}
    namespace.apply(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": "two"},
            "spec": {"parallelism": 2, "template": template},
        }
    )
    namespace.wait("job/two", "jsonpath={.status.active}=2")
    namespace.apply(
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": {"configmaps": "0"}}}
    )
    namespace.wait("resourcequota/q", "jsonpath={.status.hard.configmaps}=0")
    # Admission learns of it by a watch of its own.
    until("the quota to count", lambda: "exceeded quota" in refused(namespace, "configmap", "one"), timeout=60)
    with pytest.raises(ClusterError, match="exceeded quota"):
        namespace.kubectl("create", "configmap", "one")


def test_pod_security_admission_is_on(namespace: Namespace) -> None:
    """A namespace that asks for the restricted level gets it."""
    namespace.cluster.kubectl("label", "namespace", namespace.name, "pod-security.kubernetes.io/enforce=restricted")
    root = pod("root", "true")
    # Admission learns of the label by a watch of its own.
    until(
        "the level to count",
        lambda: "violates PodSecurity" in refused(namespace, "-f", "-", stdin=json.dumps(root)),
        timeout=60,
    )
    with pytest.raises(ClusterError, match="violates PodSecurity"):
        namespace.apply(root)


def test_pods_run_on_both_nodes_with_logs_and_exec(node_namespace: Namespace) -> None:
    """Two pods that may not share a node both run; their words can be read and commands run in them."""
    apart = {
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "apart"}}}
            ]
        }
    }
    both = [pod(name, f"echo here; {WAIT_FOR_TERM}", affinity=apart) for name in ("a", "b")]
    for one in both:
        one["metadata"]["labels"] = {"app": "apart"}
    node_namespace.apply(*both)
    for name in ("a", "b"):
        node_namespace.wait(f"pod/{name}", "condition=Ready")
        assert node_namespace.kubectl("exec", name, "--", "sh", "-c", "echo $((6 * 7))") == "42\n"
        # A container runs a moment before its shell has said anything.
        until(f"the words of {name}", lambda name=name: node_namespace.kubectl("logs", name) == "here\n", timeout=60)  # type: ignore[misc]
    assert node_namespace.get("pod", "a")["spec"]["nodeName"] != node_namespace.get("pod", "b")["spec"]["nodeName"]


def test_a_service_is_found_by_name_and_reached_across_nodes(node_namespace: Namespace) -> None:
    """Its short name resolves; ClusterIP and headless name of a pod both lead to a pod of the other node."""
    node_namespace.apply(
        pod("server", "while :; do echo hello | nc -l -p 8080 -w 30; done", hostname="server", subdomain="ring"),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "front"},
            "spec": {"selector": {"app": "server"}, "ports": [{"port": 80, "targetPort": 8080}]},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "ring"},
            "spec": {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": {"app": "server"}},
        },
    )
    node_namespace.wait("pod/server", "condition=Ready")
    away = {
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "server"}}}
            ]
        }
    }
    # nc succeeds without an answer, too: where the server's ends before its echo has begun.
    ask = "until nc -w 3 {0} {1} </dev/null 2>/dev/null | grep .; do sleep 1; done"
    node_namespace.apply(pod("client", f"{ask.format('front', 80)}; {ask.format('server.ring', 8080)}", affinity=away))
    node_namespace.wait("pod/client", "jsonpath={.status.phase}=Succeeded", 120)
    assert node_namespace.kubectl("logs", "client") == "hello\nhello\n"


def test_a_native_sidecar_starts_first_and_is_ended_last(node_namespace: Namespace) -> None:
    """The main container sees what the sidecar made; the sidecar gets SIGTERM after it, and the pod succeeds."""
    place = [{"name": "s", "mountPath": "/s"}]
    probe = {"exec": {"command": ["test", "-f", "/s/up"]}, "periodSeconds": 1}
    car = container(
        "car", f"{TERM_IS_TOLD}; touch /s/up; {WAIT}", restartPolicy="Always", volumeMounts=place, startupProbe=probe
    )
    node_namespace.apply(
        pod(
            "pair",
            "",
            volumes=[{"name": "s", "emptyDir": {}}],
            initContainers=[car],
            containers=[container("main", "test -f /s/up && echo main saw it", volumeMounts=place)],
            terminationGracePeriodSeconds=30,  # of which the sidecar takes what it needs to say its word
        )
    )
    node_namespace.wait("pod/pair", "jsonpath={.status.phase}=Succeeded")
    assert node_namespace.kubectl("logs", "pair", "-c", "main") == "main saw it\n"
    assert node_namespace.kubectl("logs", "pair", "-c", "car") == "TERM\n"


def test_the_audit_log_tells_who_did_what(node_namespace: Namespace) -> None:
    """Each request stands in the log with its user, its verb and its object."""
    node_namespace.kubectl("create", "configmap", "seen")
    whole, _, _ = node_namespace.cluster.audit_log.read_bytes().rpartition(b"\n")  # others' entries are being written
    entries = map(json.loads, whole.splitlines())
    made = [
        e for e in entries if e["verb"] == "create" and e.get("objectRef", {}).get("namespace") == node_namespace.name
    ]
    assert [e["user"]["username"] for e in made if e["objectRef"].get("name") == "seen"] == ["kubernetes-admin"]


def test_a_second_up_changes_nothing(node_cluster: Cluster) -> None:
    """`up` on a running cluster leaves every daemon as it is."""
    before = node_cluster.daemons()
    assert all(before.values())
    Cluster(node_cluster.name).up()
    assert node_cluster.daemons() == before


def leftovers(cluster: Cluster) -> dict[str, list[str]]:
    """What the kernel still knows of a cluster."""
    layout = cluster.layout
    running = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if f"{layout.root}/" in words:
                running.append(words.replace("\0", " "))
    return {
        "processes": running,
        "mounts": mounts(layout.root, Path("/proc/self/mountinfo").read_text()),
        "namespaces": sorted(n for n in namespaces() if n.startswith(f"outrider.{layout.name}.")),
        "pod namespaces": sorted(n for n in namespaces() if n.startswith("cni-"))
        if not other_node_clusters(cluster)
        else [],
        "links": sorted(links() & {layout.host_link}),
        "cgroups": [str(path) for path in cgroups.present(layout.cgroup)],
        "folder": [str(layout.root)] if layout.root.exists() else [],
    }


def other_node_clusters(cluster: Cluster) -> bool:
    """Whether another cluster's pods may have namespaces of their own now."""
    return any(n.endswith(".switch") and n != cluster.layout.switch for n in namespaces())


@pytest.mark.skipif(os.geteuid() != 0, reason="real nodes need root: run the tests as root to have this too")
def test_down_leaves_nothing_on_the_machine(tmp_path: Path) -> None:
    """A cluster of its own with a running pod: everything that can be seen of it goes, also after a node was killed."""
    cluster = Cluster("test-down", mode="node", nodes=1)
    cluster.up()
    try:
        load_busybox(cluster, tmp_path)
        cluster.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=30s")
        cluster.kubectl("apply", "-f", "-", stdin=json.dumps(pod("p", WAIT_FOR_TERM)))
        cluster.kubectl("wait", "pod/p", "--for=condition=Ready", "--timeout=60s")
        seen = leftovers(cluster)
        # it can be seen while it is there, so that not seeing it afterwards means something
        assert all(seen[kind] for kind in ("processes", "mounts", "namespaces", "links", "cgroups", "folder"))
        cluster.kill_node(1)
        assert "kubelet-1" not in cluster.daemons()
        cluster.up()
        assert all(cluster.daemons().values())
    finally:
        cluster.down()
    assert not any(leftovers(cluster).values()), leftovers(cluster)
    again = subprocess.run(
        [sys.executable, "-m", "tools.cluster", "down", "--name", "test-down"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "there is no cluster test-down" in again.stderr
