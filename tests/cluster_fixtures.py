"""Real clusters for tests, shared by all workers of a run (and by runs beside each other).

`api_cluster`: API server, controller manager and scheduler on loopback; no root needed, nothing runs in it.
`node_cluster`: two real nodes besides, with the image `busybox:1`; needs root.
`namespace`, `node_namespace`: a fresh namespace of either for one test, deleted afterwards.

OUTRIDER_TEST_CLUSTER_KEEP=1 leaves the clusters running for the next run; take them down with
`python -m tools.cluster down --name test-api` (and `test-node`).
"""

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tools.cluster import Cluster, ImageConfig, build
from tools.cluster.shared import shared
from tools.cluster.system import run

BUSYBOX = "busybox:1"


@dataclass(frozen=True)
class Namespace:
    """A namespace of one test, and kubectl in it."""

    name: str
    cluster: Cluster

    def kubectl(self, *argv: str, stdin: str | None = None, timeout: float = 100) -> str:
        """Run kubectl in the namespace and give what it printed; ClusterError where it fails."""
        return self.cluster.kubectl("--namespace", self.name, *argv, stdin=stdin, timeout=timeout)

    def apply(self, *objects: dict[str, Any]) -> None:
        """Apply some objects."""
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(listed))

    def get(self, kind: str, name: str) -> Any:
        """One object."""
        return json.loads(self.kubectl("get", kind, name, "-o", "json"))

    def wait(self, target: str, condition: str, seconds: int = 60) -> None:
        """Wait for what kubectl wait can wait for, such as `condition=Ready`, `create` or `jsonpath=...`."""
        self.kubectl("wait", target, f"--for={condition}", f"--timeout={seconds}s", timeout=seconds + 10)


def _require_programs(*modules: build.Module) -> None:
    for module in modules:
        if not build.folder(module).is_dir():
            pytest.fail(
                f"the programs of tools/cluster/{module.folder.name} are not built yet: run `make cluster-programs`"
            )


@pytest.fixture(scope="session")
def api_cluster() -> Iterator[Cluster]:
    """A cluster without nodes."""
    _require_programs(build.KUBERNETES)
    with shared(Cluster("test-api", mode="control")) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def node_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with two nodes that have `busybox:1`."""
    if os.geteuid():
        pytest.skip("real nodes need root: run the tests as root to have these too")
    _require_programs(build.KUBERNETES, build.COREDNS)
    with shared(Cluster("test-node", mode="node", nodes=2, audit=True)) as cluster:
        load_busybox(cluster, tmp_path_factory.mktemp("busybox"))
        yield cluster


@pytest.fixture
def namespace(api_cluster: Cluster) -> Iterator[Namespace]:
    """A namespace of the cluster without nodes."""
    yield from _namespace(api_cluster)


@pytest.fixture
def node_namespace(node_cluster: Cluster) -> Iterator[Namespace]:
    """A namespace of the cluster with nodes."""
    yield from _namespace(node_cluster)


def load_busybox(cluster: Cluster, root: Path) -> None:
    """Bring `busybox:1` to all nodes of a cluster: the machine's static busybox under all of its names."""
    program = shutil.which("busybox")
    assert program, "no busybox: run tools/install-prerequisites (Debian package busybox-static)"
    content = build.key(Path(program).parent, [Path(program)])
    if cluster.has_image(BUSYBOX, content):
        return
    folder = root / "bin"
    folder.mkdir()
    shutil.copy(program, folder / "busybox")
    listed = run(program, "--list").stdout.split()
    for name in listed:
        if name != "busybox":
            (folder / name).symlink_to("busybox")
    cluster.load_rootfs(BUSYBOX, root, ImageConfig(command=("sh",)), content)


def _namespace(cluster: Cluster) -> Iterator[Namespace]:
    found = Namespace(f"t-{uuid.uuid4().hex[:10]}", cluster)
    cluster.kubectl("create", "namespace", found.name)
    try:
        found.wait("serviceaccount/default", "create")  # no pod is admitted before its account is there
        yield found
    finally:
        cluster.kubectl("delete", "namespace", found.name, "--wait=false")
