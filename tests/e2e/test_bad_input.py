"""Bad input at the doors of the installed product: a clear sentence each time, and nothing lost."""

from __future__ import annotations

import pytest
import requests

from outrider_sidecar import contract
from tests.e2e import light
from tests.e2e.kube import Kube, Obj, RefusedError, wait_for
from tests.e2e.product import Product, state


def run_of(**spec: object) -> Obj:
    """A Run object."""
    return {"apiVersion": contract.API_VERSION, "kind": "Run", "metadata": {"name": "bad"}, "spec": spec}


JOB = {"apiVersion": "batch/v1", "kind": "Job", "spec": light.job("x", "true")["spec"]}
REF = {"apiVersion": "batch/v1", "kind": "Job", "name": "somewhere"}


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"workload": JOB, "workloadRef": REF}, "exactly one of workload and workloadRef must be set"),
        ({}, "exactly one of workload and workloadRef must be set"),
        ({"workload": {**JOB, "apiVersion": "v1", "kind": "Secret"}}, "Secret is not one that Outrider knows"),
    ],
)
def test_run_that_cannot_be(product: Product, ns: str, spec: dict[str, object], sentence: str) -> None:
    """The API server refuses it, and says why."""
    with pytest.raises(RefusedError, match=sentence):
        product.kube.create(run_of(**spec), ns)


def test_bad_annotation_value(product: Product, ns: str) -> None:
    """The job runs as if we were not there; the Run says which annotation is wrong."""
    annotations = {**light.ASKING, contract.LINGER: "soon"}
    job = {**product.kube.create(light.job("typo", "echo fine", annotations), ns), "kind": "Job"}
    run = product.wait_ended(job)
    assert state(run) == "Finished"
    injected = next(c for c in run["status"]["conditions"] if c["type"] == "Injected")
    assert injected["status"] == "False"
    assert contract.LINGER in injected["message"]
    assert "soon" in injected["message"]


def test_wrong_key(product: Product) -> None:
    """401 with a sentence."""
    answer = requests.get(
        f"{product.tracker.address()}/api/v1/runs", headers={"Authorization": f"Bearer {'0' * 40}"}, timeout=10
    )
    assert answer.status_code == 401
    assert answer.json()["error"]["message"]


def token_for(kube: Kube, ns: str, pod: Obj, audience: str) -> str:
    """A token as the kubelet would ask it for a pod."""
    reference = {"kind": "Pod", "apiVersion": "v1", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}
    asked = {"spec": {"audiences": [audience], "expirationSeconds": 600, "boundObjectRef": reference}}
    made = kube.call("POST", f"/api/v1/namespaces/{ns}/serviceaccounts/default/token", asked)
    return str(made["status"]["token"])


def test_token_of_another_pod(product: Product, ns: str) -> None:
    """A pod speaks for itself alone; a token for another audience speaks for nobody."""
    made = [product.kube.create(light.pod(name, "sleep 60"), ns) for name in ("one", "two")]
    pods = [
        wait_for("the pod", lambda pod=pod: product.kube.get("Pod", ns, pod["metadata"]["name"]), 10)  # type: ignore[misc]
        for pod in made
    ]
    body = {"protocol": 1, "agent": "test", "instance": "i", "pod": {"namespace": ns, "name": "one", "node": "n"}}

    def declare(source: str, token: str) -> requests.Response:
        url = f"{product.tracker.address()}/ingest/v1/sources/{source}"
        return requests.put(url, json=body, headers={"Authorization": f"Bearer {token}"}, timeout=10)

    own = pods[0]["metadata"]["uid"]
    assert declare(own, token_for(product.kube, ns, pods[0], contract.AUDIENCE)).status_code == 200
    foreign = declare(own, token_for(product.kube, ns, pods[1], contract.AUDIENCE))
    assert foreign.status_code == 403
    assert pods[1]["metadata"]["uid"] in foreign.json()["error"]["message"]
    assert declare(own, token_for(product.kube, ns, pods[0], "somebody-else")).status_code == 401
