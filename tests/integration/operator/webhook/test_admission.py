"""Generated pods at a real API server that calls the real webhook."""

import copy
import socket
import ssl
from typing import Any

import httpx
from hypothesis import HealthCheck, Phase, given, settings

from outrider_operator.core.injection import Injection, inject
from outrider_operator.core.injection_config import from_json
from outrider_sidecar import contract
from tests.cluster_fixtures import Namespace
from tests.integration.operator.webhook.conftest import INJECTION, WebhookProcess, called, create, until
from tests.unit.operator.injection.generated_pods import RESTRICTED, pods

CONFIG = from_json(INJECTION)


def sidecar_of(pod: Any) -> Any:
    """Our container in a pod, or None."""
    found = [item for item in pod["spec"].get("initContainers", []) if item["name"] == "outrider"]
    return found[0] if found and contract.INJECTED in pod["metadata"].get("annotations", {}) else None


def refused(pod: dict[str, Any]) -> dict[str, Any]:
    """The same pod, not wanting the sidecar."""
    out = copy.deepcopy(pod)
    out["metadata"].setdefault("annotations", {})[contract.INJECT] = "false"
    return out


def make_pod(**changes: Any) -> dict[str, Any]:
    """A pod that passes "restricted"."""
    container = {"name": "train", "image": "i", "command": ["x"], "securityContext": RESTRICTED, **changes}
    metadata = {"generateName": "p-", "annotations": {contract.INJECT: "true"}}
    return {"metadata": metadata, "spec": {"containers": [container], "restartPolicy": "Never"}}


def set_defaults(namespace: Namespace, api: httpx.Client, **limits: str) -> None:
    """Make a LimitRange with these limits of a container; they hold when this returns."""
    item = {"type": "Container", "default": limits}
    namespace.apply(
        {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "defaults"}, "spec": {"limits": [item]}}
    )

    def effective() -> bool:
        (container,) = create(api, namespace.name, refused(make_pod())).json()["spec"]["containers"]
        return bool(container.get("resources", {}).get("limits") == limits)

    # Until it has seen the new one, admission goes by what it read at the last pod: that there is none.
    until("the limits hold", effective)


def test_generated_pods_are_admitted_and_keep_their_class(
    injected: Namespace, api: httpx.Client, webhook: WebhookProcess
) -> None:
    """Whatever the API server takes without us it takes with us, and gives it the same class."""
    seen = {True: 0, False: 0}
    before = webhook.counted("doubted"), webhook.counted("failed")

    @settings(
        max_examples=60,
        derandomize=True,
        phases=[Phase.generate],
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(pod=pods())
    def check(pod: dict[str, Any]) -> None:
        without = create(api, injected.name, refused(pod))
        assert without.status_code == 201, without.json()["message"]
        answer = create(api, injected.name, pod)
        assert answer.status_code == 201, answer.json()["message"]
        created = answer.json()
        expected = isinstance(inject(pod, CONFIG), Injection)
        seen[expected] += 1
        assert (sidecar_of(created) is not None) == expected
        assert created["status"]["qosClass"] == without.json()["status"]["qosClass"]
        if expected:
            assert created["spec"]["initContainers"][-1]["name"] == "outrider"
            mounts = [m["name"] for m in sidecar_of(created)["volumeMounts"]]
            assert not [name for name in mounts if name.startswith("kube-api-access")]

    check()
    assert min(seen.values()) >= 10, seen
    assert (webhook.counted("doubted"), webhook.counted("failed")) == before


def test_the_second_call_adds_nothing(injected: Namespace, api: httpx.Client, webhook: WebhookProcess) -> None:
    """A LimitRange gives the sidecar a CPU limit after we have answered, so the API server calls again."""
    set_defaults(injected, api, cpu="2")
    before = webhook.counted("injected"), webhook.counted("present")
    answer = create(api, injected.name, make_pod(resources={"requests": {"memory": "1Gi"}}))
    assert answer.status_code == 201
    assert (webhook.counted("injected") - before[0], webhook.counted("present") - before[1]) == (1, 1)
    names = [container["name"] for container in answer.json()["spec"]["initContainers"]]
    assert names == ["outrider"]
    assert sidecar_of(answer.json())["resources"]["limits"] == {"cpu": "2", "memory": "256Mi"}


def test_defaults_of_a_limit_range_do_not_change_what_we_set(injected: Namespace, api: httpx.Client) -> None:
    """The trainer gets the namespace's defaults and is Guaranteed by them; the sidecar keeps ours and the class."""
    set_defaults(injected, api, cpu="1", memory="512Mi")
    answer = create(api, injected.name, make_pod()).json()
    assert answer["spec"]["containers"][0]["resources"]["limits"] == {"cpu": "1", "memory": "512Mi"}
    same = {"cpu": "100m", "memory": "128Mi"}
    assert sidecar_of(answer)["resources"] == {"requests": same, "limits": same}
    assert answer["status"]["qosClass"] == "Guaranteed"


def test_restricted_is_really_enforced_here(injected: Namespace, api: httpx.Client) -> None:
    """Else the tests above would show nothing."""
    answer = create(api, injected.name, make_pod(securityContext={"privileged": True}))
    assert answer.status_code == 403
    assert 'violates PodSecurity "restricted:latest"' in answer.json()["message"]


def test_a_bad_annotation_is_answered_with_a_warning_and_the_pod_is_made(
    injected: Namespace, api: httpx.Client
) -> None:
    """kubectl prints the warning; the annotation is there for everyone else."""
    pod = make_pod()
    pod["metadata"]["annotations"][contract.LINGER] = "soon"
    answer = create(api, injected.name, pod)
    assert answer.status_code == 201
    sentence = "not injected: outrider.dev/linger is 'soon': it must be a duration such as 30s, 10m or 1h30m"
    assert sentence in answer.headers["Warning"]
    created = answer.json()
    assert created["metadata"]["annotations"][contract.SKIPPED] == sentence
    assert sidecar_of(created) is None


def test_a_hostile_body_is_answered_and_the_process_lives(webhook: WebhookProcess) -> None:
    """Anyone in the cluster can reach the port: nothing but 200, 404, 405 and 408, and "allowed" whatever it was."""
    context = ssl.create_default_context(cadata=webhook.ca)
    failed = webhook.counted("failed")
    bodies = [b"", b"{", b"[]", b"null", b'{"request":{}}', b"[" * 100_000, b'"' + b"x" * (5 << 20) + b'"']
    with httpx.Client(verify=context, timeout=30, trust_env=False) as client:
        for body in bodies:
            answer = client.post(webhook.url("/inject/pod"), content=body)
            assert answer.status_code == 200
            assert answer.json()["response"]["allowed"] is True
        assert client.post(webhook.url("/"), content=b"").status_code == 404
        assert client.get(webhook.url("/inject/pod")).status_code == 405
    assert webhook.counted("failed") - failed == len(bodies)
    plain = socket.create_connection(("localhost", webhook.ports[0]), timeout=30)
    with context.wrap_socket(plain, server_hostname="localhost") as slow:
        slow.sendall(b"POST /inject/pod HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
        assert slow.recv(100).startswith(b"HTTP/1.1 408 ")
    assert webhook.health("/healthz").status_code == 200


def test_the_example_of_a_test_that_calls_nothing_is_not_injected(
    namespace: Namespace, api: httpx.Client, webhook: WebhookProcess
) -> None:
    """The control: without the configuration, nothing is added; with it, the same pod is injected."""
    assert sidecar_of(create(api, namespace.name, make_pod()).json()) is None
    with called(namespace, api, webhook):
        assert sidecar_of(create(api, namespace.name, make_pod()).json()) is not None
