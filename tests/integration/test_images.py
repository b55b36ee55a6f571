"""The images of this checkout run where Pod Security is at its strictest, and reach nodes only when they differ."""

from typing import Any

import pytest

from tests.cluster_fixtures import Namespace
from tools import images
from tools.cluster import Cluster


@pytest.fixture(scope="module")
def built(node_cluster: Cluster) -> dict[str, images.Built]:
    """Our three images, on the nodes."""
    found = images.build(["operator", "sidecar", "tracker"])
    images.load(node_cluster, found)
    return {image.part.name: image for image in found}


def strict_pod(name: str, image: str, **how: Any) -> dict[str, Any]:
    """A pod as the level `restricted` wants it, and with a root file system that cannot be written."""
    closed = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    container = {"name": "main", "image": image, "imagePullPolicy": "Never", "securityContext": closed, **how}
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


WHO = "import os, sys, {0}; print(os.getuid(), sys.flags.isolated, {0}.__version__)"


@pytest.mark.parametrize(
    ("part", "how"),
    [
        ("operator", {"args": ["--version"]}),
        ("operator", {"command": ["python3", "-I", "-c", WHO.format("outrider_operator")]}),
        ("tracker", {"args": ["--help"]}),
        ("tracker", {"command": ["python3", "-I", "-c", WHO.format("outrider_tracker")]}),
        ("sidecar", {"command": ["/rider", "supervise"]}),
        ("sidecar", {"command": ["python3", "-I", "-c", WHO.format("outrider_sidecar")]}),
    ],
    ids=["operator", "operator-code", "tracker", "tracker-code", "rider", "sidecar-code"],
)
def test_it_runs_without_root_and_without_a_writable_disk(
    built: dict[str, images.Built], node_namespace: Namespace, part: str, how: dict[str, Any]
) -> None:
    """Its program starts, as user 65532, from byte code that was made beforehand."""
    label = "pod-security.kubernetes.io/enforce=restricted"
    node_namespace.cluster.kubectl("label", "namespace", node_namespace.name, label)
    node_namespace.apply(strict_pod("it", built[part].reference, **how))
    node_namespace.wait("pod/it", "jsonpath={.status.containerStatuses[0].state.terminated.reason}")
    words = node_namespace.kubectl("logs", "it")
    ended = node_namespace.get("pod", "it")["status"]["containerStatuses"][0]["state"]["terminated"]
    if how.get("command") == ["/rider", "supervise"]:
        assert "usage: rider supervise" in words  # it lacks its arguments here, and says so
    else:
        assert ended["exitCode"] == 0, words
    if "-c" in how.get("command", ()):
        assert words.split() == ["65532", "1", built[part].part.version]


def test_what_the_nodes_have_is_not_brought_again(built: dict[str, images.Built], node_cluster: Cluster) -> None:
    """An unchanged image costs nothing; one that is named alike but made otherwise is not taken for it."""
    assert images.load(node_cluster, built.values()) == []
    assert not node_cluster.has_image(built["operator"].reference, "0" * 24)


def test_an_unchanged_image_is_not_built_again(built: dict[str, images.Built]) -> None:
    """The archive of the first build is the answer to the second."""
    before = built["sidecar"].archive.stat().st_mtime_ns
    (again,) = images.build(["sidecar"])
    assert again == built["sidecar"]
    assert again.archive.stat().st_mtime_ns == before
