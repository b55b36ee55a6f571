"""Whatever is broken of ours, the main container starts at most 3 s later than its control and ends alike."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from outrider_sidecar import contract
from tests.e2e import faults, light
from tests.e2e.kube import Obj
from tests.e2e.product import Product
from tests.tries import Tries
from tools.demo import ready
from tools.demo.release import NAMESPACE

SCRIPT = "echo begun; sleep 1; echo ended; exit 7"
LATER = 3.0  # seconds


def broken_collector(pod: Obj, *command: str) -> None:
    """The sidecar of a pod starts this in place of the collector."""
    light.sidecar(pod)["command"] = [contract.RIDER_IN_IMAGE, "supervise", "--", *command]


def exits_at_import(pod: Obj) -> None:
    """A collector whose first import fails."""
    broken_collector(pod, "python3", "-c", "import no_such_module")


def is_killed_for_memory(pod: Obj) -> None:
    """A collector that the kernel kills as soon as it starts."""
    broken_collector(pod, "python3", "-c", "held = [bytes(1 << 20) * 64 for _ in range(64)]")
    light.sidecar(pod)["resources"] = {"limits": {"memory": "48Mi"}}


def tracker_does_not_resolve(pod: Obj) -> None:
    """A tracker whose name nobody knows."""
    for entry in light.sidecar(pod)["env"]:
        if entry["name"] == contract.ENV_TRACKER_URL:
            entry["value"] = "https://no-such-tracker.invalid:8443"


def alike(product: Product, ns: str, treated: Obj) -> None:
    """The treated pod against a control made right after it: its end each time, its start in the best of three pairs.

    A shared machine may hold any one pod up; what we break would hold up all three.
    """
    tries = Tries(LATER)
    for number in tries:
        late, end = light.run_to_end(product.kube, ns, renamed(treated, number))
        control, control_end = light.run_to_end(product.kube, ns, renamed(light.pod("control", SCRIPT), number))
        assert (end["exitCode"], end["phase"], end["reason"]) == (7, "Failed", "Error")
        assert (control_end["exitCode"], control_end["phase"], control_end["reason"]) == (7, "Failed", "Error")
        tries.took(late - control)


def renamed(pod: Obj, number: int) -> Obj:
    """The first pair has the plain names."""
    name = pod["metadata"]["name"]
    return {**pod, "metadata": {**pod["metadata"], "name": f"{name}-{number}" if number else name}}


@pytest.mark.parametrize("fault", [exits_at_import, is_killed_for_memory, tracker_does_not_resolve])
def test_broken_sidecar(product: Product, ns: str, fault: Callable[[Obj], None]) -> None:
    """A sidecar that does not work holds nothing up."""
    pod = light.injected(light.pod("treated", SCRIPT, light.ASKING), light.injection_config(product.kube))
    fault(pod)
    alike(product, ns, pod)
    assert product.kube.logs(ns, "treated", "train") == "begun\nended\n"


@contextmanager
def no_endpoints(product: Product) -> Iterator[None]:
    """The webhook has no pods."""
    name = webhook_deployment(product)
    before = product.kube.get("Deployment", NAMESPACE, name)
    assert before
    product.kube.patch("Deployment", NAMESPACE, name, {"spec": {"replicas": 0}})
    try:
        product.wait_gone("webhook")
        yield
    finally:
        product.kube.patch("Deployment", NAMESPACE, name, {"spec": {"replicas": before["spec"]["replicas"]}})
        ready.wait_for_parts(product.cluster, 120)


@contextmanager
def dropping_packets(product: Product) -> Iterator[None]:
    """Packets to the webhook's pods are swallowed."""
    addresses = [pod["status"]["podIP"] for pod in product.part("webhook")]
    with faults.packets_dropped(product.nodes, addresses, 9443):
        yield


@contextmanager
def accepting_and_hanging(product: Product) -> Iterator[None]:
    """The webhook's processes are stopped: the kernel still takes their connections, nobody answers."""
    pids = [pid for pod in product.part("webhook") for pid in faults.processes(pod, "webhook")]
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):  # stopped for long, the kubelet has replaced it
                os.kill(pid, signal.SIGCONT)


def webhook_deployment(product: Product) -> str:
    """Its name."""
    found = product.kube.list("Deployment", NAMESPACE, labelSelector="app.kubernetes.io/component=webhook")
    return str(found[0]["metadata"]["name"])


@pytest.mark.parametrize("fault", [no_endpoints, dropping_packets, accepting_and_hanging])
def test_broken_webhook(product: Product, ns: str, fault: Any) -> None:
    """A webhook that does not answer: the pod is made without the sidecar, and soon."""
    with fault(product):
        alike(product, ns, light.pod("treated", SCRIPT, light.ASKING))
    made = product.kube.get("Pod", ns, "treated")
    assert made
    assert not made["spec"].get("initContainers")
    ready.wait_for_injection(product.cluster, ns, 60)


def test_image_that_cannot_be_pulled(product: Product, ns: str) -> None:
    """The pod is held, and the Run says so, with the image's name."""
    config = light.injection_config(
        product.kube, image="registry.invalid/outrider-sidecar:9", image_pull_policy="Always"
    )
    asking = light.job("held", SCRIPT, light.ASKING)
    made = light.injected(
        {"metadata": asking["spec"]["template"]["metadata"], "spec": asking["spec"]["template"]["spec"]}, config
    )
    asking["spec"]["template"] = made
    job = {**product.kube.create(asking, ns), "kind": "Job"}

    def says_so(run: Obj) -> Obj | None:
        return next(
            (
                c
                for c in run.get("status", {}).get("conditions", [])
                if c["type"] == "Injected" and c["status"] == "False" and c["reason"] == "SidecarImagePull"
            ),
            None,
        )

    run = product.wait_run(job, "the Run to say that the image cannot be pulled", says_so)
    condition = says_so(run)
    assert condition
    assert "registry.invalid/outrider-sidecar:9" in condition["message"]
