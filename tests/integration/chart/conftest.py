"""A cluster of its own: the chart installs objects that belong to the whole cluster, and takes them away again."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import helm_python
import pytest

from tests.cluster_fixtures import _require_programs
from tools.cluster import Cluster, build
from tools.cluster.shared import shared

CHART = Path(__file__).resolve().parents[3] / "charts" / "outrider"


@dataclass(frozen=True)
class Release:
    """The chart in a namespace that enforces Pod Security `restricted`, and Helm's four acts on it."""

    cluster: Cluster
    namespace: str
    name: str = "outrider"

    def install(self, values: dict[str, Any] | None = None) -> dict[str, Any]:
        """`helm install`."""
        with self._helm() as helm:
            return helm.install(CHART, self.name, values, timeout=60)

    def upgrade(self, values: dict[str, Any] | None = None) -> dict[str, Any]:
        """`helm upgrade`."""
        with self._helm() as helm:
            return helm.upgrade(CHART, self.name, values, timeout=60)

    def uninstall(self) -> None:
        """`helm uninstall`."""
        with self._helm() as helm:
            helm.uninstall(self.name, ignore_not_found=True, timeout=60)

    def kubectl(self, *argv: str, stdin: str | None = None) -> str:
        """Run kubectl in the namespace."""
        return self.cluster.kubectl("--namespace", self.namespace, *argv, stdin=stdin)

    def get(self, kind: str, name: str) -> Any:
        """One object."""
        return json.loads(self.kubectl("get", kind, name, "-o", "json"))

    def apply(self, found: dict[str, Any]) -> None:
        """Apply one object."""
        self.kubectl("apply", "-f", "-", stdin=json.dumps(found))

    def _helm(self) -> helm_python.Config:
        return helm_python.Config(kubeconfig_path=self.cluster.kubeconfig, namespace=self.namespace)


@pytest.fixture(scope="session")
def chart_cluster() -> Iterator[Cluster]:
    """An API server with controllers, for this folder's tests alone."""
    _require_programs(build.KUBERNETES)
    with shared(Cluster("test-chart", mode="control")) as cluster:
        yield cluster


@pytest.fixture
def release(chart_cluster: Cluster) -> Iterator[Release]:
    """A fresh namespace for the chart; afterwards nothing of it is left, kept objects neither."""
    found = Release(chart_cluster, f"chart-{uuid.uuid4().hex[:8]}")
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    found.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": found.namespace, "labels": labels}})
    try:
        yield found
    finally:
        found.uninstall()
        chart_cluster.kubectl("delete", "crd", "runs.outrider.dev", "--ignore-not-found", "--timeout=60s")
        chart_cluster.kubectl("delete", "namespace", found.namespace, "--wait=false")
