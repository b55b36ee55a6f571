"""Reviews and their answers, byte for byte what the API server needs; and never a refusal."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider_operator.core.injection_config import InjectionConfig
from outrider_operator.webhook import review
from outrider_operator.webhook.review import Outcome, answer
from outrider_sidecar import contract

CONFIG = InjectionConfig(tracker_url="https://t.test", image="i")
POD = {
    "metadata": {"generateName": "a-", "labels": {contract.INJECT: "true"}},
    "spec": {"containers": [{"name": "train", "image": "i", "command": ["x"]}]},
}


def make_request(**changes: Any) -> dict[str, Any]:
    """The request of a review of a pod's creation."""
    return {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "operation": "CREATE",
        "namespace": "vision",
        "object": POD,
        **changes,
    }


def answered(request: Any, **changes: Any) -> tuple[Outcome, Any]:
    """The outcome and the response of a review."""
    body = json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request})
    found = answer(body.encode(), CONFIG, **{"by_namespace": False, **changes})
    review_ = json.loads(found.body)
    assert (review_["apiVersion"], review_["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    assert review_["response"]["allowed"] is True
    return found.outcome, review_["response"]


def test_an_injected_pod_is_answered_with_a_patch_under_the_same_uid() -> None:
    """A JSON patch in base64; dry runs are answered alike, since nothing else happens."""
    for dry in (False, True):
        outcome, response = answered(make_request(dryRun=dry))
        assert outcome is Outcome.INJECTED
        assert response["uid"] == "705ab4f5-6393-11e8-b7cc-42010a800002"
        assert response["patchType"] == "JSONPatch"
        patch = json.loads(base64.b64decode(response["patch"]))
        assert {operation["op"] for operation in patch} <= {"add", "replace"}
        assert "warnings" not in response


@pytest.mark.parametrize(
    "changes",
    [
        {"operation": "UPDATE"},
        {"resource": {"group": "batch", "version": "v1", "resource": "jobs"}},
        {"subResource": "ephemeralcontainers"},
    ],
)
def test_only_the_creation_of_pods_is_answered_with_a_patch(changes: Any) -> None:
    """Whatever the webhook is registered for."""
    outcome, response = answered(make_request(**changes))
    assert outcome is Outcome.FOREIGN
    assert response.keys() == {"uid", "allowed"}


def test_a_skipped_pod_is_answered_with_a_warning_of_one_short_line() -> None:
    """kubectl prints it; the API server cuts at 256 characters."""
    metadata = {"annotations": {contract.INJECT: "true", contract.CONTAINER: "x\n" + "y" * 300}}
    outcome, response = answered(make_request(object={**POD, "metadata": metadata}))
    assert outcome is Outcome.SKIPPED
    (warning,) = response["warnings"]
    assert warning.startswith("outrider: not injected: outrider.dev/container names x y")
    assert len(warning) <= 256


def test_nobody_asked_means_an_empty_answer() -> None:
    """Also the second call for a pod that was injected."""
    outcome, response = answered(make_request(object={**POD, "metadata": {"generateName": "a-"}}))
    assert outcome is Outcome.PRESENT
    assert response.keys() == {"uid", "allowed"}


def test_our_own_bad_patch_is_no_patch_and_an_error_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """It names the pod; the counter of doubts is what an administrator is alerted by."""
    size = 262144 - len(contract.INJECT) - len("true") - 1
    metadata = {"generateName": "full-", "annotations": {contract.INJECT: "true", "a": "x" * size}}
    outcome, response = answered(make_request(object={**POD, "metadata": metadata}))
    assert outcome is Outcome.DOUBTED
    assert "patch" not in response
    assert "pod vision/full- stays as it is, because the patch would make it invalid" in caplog.text


def test_a_defect_of_ours_leaves_the_pod_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail open: allowed, a warning, a counter."""

    def broken(*_: Any, **__: Any) -> Any:
        raise RecursionError("deep")

    monkeypatch.setattr(review, "inject", broken)
    outcome, response = answered(make_request())
    assert outcome is Outcome.FAILED
    assert response["warnings"] == ["outrider: the sidecar was not added: RecursionError: deep"]


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["metadata", "spec", "containers", "name", "env", "command", "a"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300)
@given(pod=junk, spec=junk, container=junk)
def test_whatever_stands_where_a_pod_should_the_answer_is_allowed(pod: Any, spec: Any, container: Any) -> None:
    """Any JSON as the object, as its spec, as a container."""
    asking = {"annotations": {contract.INJECT: "true"}}
    for value in (
        pod,
        {"metadata": asking, "spec": spec},
        {"metadata": asking, "spec": {"containers": [container]}},
        {"metadata": asking, "spec": {"containers": [{"name": "t", "command": container, "env": spec}]}},
    ):
        outcome, response = answered(make_request(object=value), by_namespace=True)
        assert response["uid"] == "705ab4f5-6393-11e8-b7cc-42010a800002"
        assert outcome in Outcome


@settings(max_examples=200)
@given(body=st.binary(max_size=200) | st.text(max_size=50).map(str.encode))
def test_whatever_bytes_come_the_answer_is_allowed(body: bytes) -> None:
    """No body raises."""
    found = answer(body, CONFIG, by_namespace=False)
    assert json.loads(found.body)["response"]["allowed"] is True
    assert found.outcome is Outcome.FAILED
