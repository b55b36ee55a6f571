"""Fixtures of the scenarios: Outrider installed once on the node cluster; a namespace for each scenario."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest

from tests.e2e.kube import Kube, wait_for
from tests.e2e.pair import Pair
from tests.e2e.product import Product, Tracker
from tests.e2e.recorder import Recorder
from tools import images
from tools.cluster import Cluster
from tools.demo import ready, release, training


@pytest.fixture(scope="session")
def product(node_cluster: Cluster) -> Iterator[Product]:
    """The chart installed with the images of this checkout, all parts ready."""
    built = images.build()
    images.load(node_cluster, built)
    training.ensure_namespace(node_cluster, release.NAMESPACE)
    contents = {image.part.repository: image.key for image in built}
    release.install(node_cluster.kubeconfig, release.values(contents, ready.node_address(node_cluster)))
    ready.wait_for_parts(node_cluster, 300)
    ready.wait_for_injection(node_cluster, "default", 60)
    kube = Kube(node_cluster.kubeconfig)
    recorder = Recorder(node_cluster.layout.root)
    tracker = Tracker(lambda: ready.ui_address(node_cluster), ready.admin_key(node_cluster))
    try:
        yield Product(node_cluster, kube, tracker, recorder)
    finally:
        recorder.close()
        tracker.http.close()
        kube.close()


def _namespace(product: Product, level: str) -> Iterator[str]:
    name = f"e2e-{uuid.uuid4().hex[:8]}"
    labels = {"pod-security.kubernetes.io/enforce": level}
    product.kube.create({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": name, "labels": labels}})
    wait_for("the default service account", lambda: product.cluster.kubectl("get", "sa", "-n", name, "-o", "name"), 30)
    yield name
    product.kube.delete("Namespace", "", name)


@pytest.fixture
def ns(product: Product) -> Iterator[str]:
    """An ordinary namespace, deleted afterwards."""
    yield from _namespace(product, "privileged")


@pytest.fixture
def restricted_ns(product: Product) -> Iterator[str]:
    """A namespace that enforces Pod Security "restricted"."""
    yield from _namespace(product, "restricted")


@pytest.fixture
def start(product: Product, ns: str, restricted_ns: str) -> Callable[..., Pair]:
    """Starts an example in both forms and waits until all ranks train."""

    # Without lingering, what the last second wrote is lost where the machine holds collector or tracker up for 1.5 s.
    def go(example: str = "torchrun-ddp", linger: str = "8s", **environment: str) -> Pair:
        jobs = [
            product.start(ns, example, environment, linger=linger),
            product.start(restricted_ns, example, environment, restricted=True, linger=linger),
        ]
        pair = Pair(product, jobs)
        pair.each(product.wait_joined)
        pair.remember()
        return pair

    return go
