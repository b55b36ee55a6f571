"""What injection promises for every pod."""

import copy
from typing import Any

import jsonpatch
from hypothesis import event, given, settings
from hypothesis import strategies as st

from outrider_operator.core.injection import Injection, inject, inject_pod_template
from outrider_operator.core.injection_config import InjectionConfig
from outrider_sidecar import contract
from tests.unit.operator.injection.generated_pods import pods
from tests.unit.operator.injection.kubernetes_rules import qos, restricted_problems

CONFIGS = (
    InjectionConfig(tracker_url="https://tracker.test:8443", image="example.test/sidecar:1", ca="PEM"),
    InjectionConfig(
        tracker_url="https://tracker.test", image="example.test/sidecar@sha256:0", image_pull_secrets=("registry",)
    ),
)
GENERATED = settings(max_examples=300)


def injected(pod: dict[str, Any], config: InjectionConfig) -> dict[str, Any] | None:
    """The pod after its patch by an independent library; None where nothing was injected."""
    result = inject(pod, config)
    event("injected" if isinstance(result, Injection) else result.reason.split(":")[0] or "nothing")
    patched: dict[str, Any] = jsonpatch.apply_patch(pod, list(result.patch))
    if isinstance(result, Injection):
        assert patched == result.pod
        return patched
    assert patched["spec"] == pod["spec"], "a skipped pod was changed"
    return None


@GENERATED
@given(pod=pods(), config=st.sampled_from(CONFIGS))
def test_a_pod_keeps_its_class_and_passes_restricted_as_before(pod: dict[str, Any], config: InjectionConfig) -> None:
    """The class by the documentation's rules; Pod Security "restricted" by its table."""
    patched = injected(pod, config)
    if patched is not None:
        assert qos(patched) == qos(pod)
        assert restricted_problems(patched) == restricted_problems(pod) == []


@GENERATED
@given(pod=pods(), config=st.sampled_from(CONFIGS))
def test_twice_is_once_and_the_pod_is_not_changed_in_place(pod: dict[str, Any], config: InjectionConfig) -> None:
    """The API server calls again after its own changes; the second answer must be empty."""
    before = copy.deepcopy(pod)
    first = inject(pod, config)
    assert pod == before
    assert not [operation for operation in first.patch if operation["op"] not in {"add", "replace"}]
    patched = jsonpatch.apply_patch(pod, list(first.patch))
    assert inject(patched, config).patch == ()
    other = next(item for item in CONFIGS if item != config)
    for operation in inject(patched, other).patch:
        assert operation["path"].startswith("/spec/imagePullSecrets")


@GENERATED
@given(pod=pods(), config=st.sampled_from(CONFIGS))
def test_what_the_user_set_stays(pod: dict[str, Any], config: InjectionConfig) -> None:
    """Lists only grow at their ends, fields keep their values, and a command only gets our prefix."""
    patched = injected(pod, config)
    if patched is None:
        return
    for key, value in pod["spec"].items():
        if key in {"volumes", "initContainers", "imagePullSecrets"}:
            assert patched["spec"][key][: len(value)] == value
        elif key != "containers":
            assert patched["spec"][key] == value
    for before, after in zip(pod["spec"]["containers"], patched["spec"]["containers"], strict=True):
        prefix = [contract.RIDER_PATH, "wrap", f"/outrider/containers/{before['name']}", "--"]
        command = after.get("command")
        assert command == before.get("command") or command == [*prefix, *before["command"]]
        for key in ("env", "volumeMounts"):
            assert after.get(key, [])[: len(before.get(key, []))] == before.get(key, [])
        names = [variable["name"] for variable in after.get("env", [])]
        assert len(names) == len(set(names))
        others = before.keys() - {"command", "env", "volumeMounts"}
        assert {key: after[key] for key in others} == {key: before[key] for key in others}
    ours = {contract.SKIPPED, "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"}
    for kind in ("annotations", "labels"):
        for key, value in pod["metadata"].get(kind, {}).items():
            assert patched["metadata"][kind][key] == value or key in ours


@GENERATED
@given(pod=pods(), config=st.sampled_from(CONFIGS))
def test_names_volumes_and_mounts_are_those_of_a_valid_pod(pod: dict[str, Any], config: InjectionConfig) -> None:
    """Whatever is not unique or does not exist makes the API server refuse the pod in our name."""
    patched = injected(pod, config)
    if patched is None:
        return
    spec = patched["spec"]
    both = [*spec["initContainers"], *spec["containers"]]
    names = [container["name"] for container in both]
    volumes = [volume["name"] for volume in spec["volumes"]]
    assert len(names) == len(set(names))
    assert len(volumes) == len(set(volumes))
    for container in both:
        mounts = container.get("volumeMounts", [])
        paths = [mount["mountPath"] for mount in mounts]
        assert len(paths) == len(set(paths))
        assert {mount["name"] for mount in mounts} <= set(volumes)
    assert spec["initContainers"][-1]["name"] == "outrider"
    assert spec["initContainers"][-1]["restartPolicy"] == "Always"


@GENERATED
@given(pod=pods(), config=st.sampled_from(CONFIGS))
def test_the_sidecar_alone_sees_its_token_and_no_secret_of_the_user(
    pod: dict[str, Any], config: InjectionConfig
) -> None:
    """The token is in no trainer; the sidecar mounts neither Secrets nor ConfigMaps nor projected volumes of others."""
    patched = injected(pod, config)
    if patched is None:
        return
    kinds = {volume["name"]: next(iter(volume.keys() - {"name"})) for volume in patched["spec"]["volumes"]}
    *others, sidecar = patched["spec"]["initContainers"]
    for container in [*others, *patched["spec"]["containers"]]:
        assert "outrider-token" not in {mount["name"] for mount in container.get("volumeMounts", [])}
    for mount in sidecar["volumeMounts"]:
        if mount["name"] not in {"outrider", "outrider-token"}:
            assert kinds[mount["name"]] in {"emptyDir", "persistentVolumeClaim"}
            assert mount["readOnly"] is True


@GENERATED
@given(pod=pods(), config=st.sampled_from(CONFIGS))
def test_a_template_gets_what_its_pods_would_get(pod: dict[str, Any], config: InjectionConfig) -> None:
    """And its pods, when they arrive at the webhook, are left alone, but for pull secrets."""
    template = {"metadata": {k: v for k, v in pod["metadata"].items() if k in {"labels", "annotations"}}}
    if not template["metadata"].get("annotations") and not template["metadata"].get("labels"):
        del template["metadata"]
    template["spec"] = pod["spec"]
    result = inject_pod_template(template, None, config)
    if not isinstance(result, Injection):
        assert not isinstance(inject(pod, config), Injection)
        return
    made = {"apiVersion": "v1", "kind": "Pod", **result.pod}
    assert qos(made) == qos(pod)
    for operation in inject(made, config).patch:
        assert operation["path"].startswith("/spec/imagePullSecrets")
    if not pod["spec"].get("imagePullSecrets"):
        assert not made["spec"].get("imagePullSecrets")
