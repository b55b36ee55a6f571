"""What is added to a pod, piece by piece, and the sentences for what is not."""

import json
from typing import Any

import pytest

from outrider_operator.core.injection import Injection, Skip, inject, inject_pod_template
from outrider_operator.core.injection_config import InjectionConfig
from outrider_operator.core.workloads import Owner
from outrider_sidecar import contract

CONFIG = InjectionConfig(tracker_url="https://tracker.test:8443", image="example.test/sidecar:1", ca="-PEM-")
JOB = {"apiVersion": "batch/v1", "kind": "Job", "name": "resnet", "uid": "0c1d", "controller": True}


def make_pod(*, annotations: dict[str, str] | None = None, spec: dict[str, Any] | None = None, **train: Any) -> Any:
    """A pod of a Job with one container that asks by annotation."""
    container = {"name": "train", "image": "i", "command": ["python", "train.py"], **train}
    return {
        "metadata": {
            "annotations": {contract.INJECT: "true", **(annotations or {})},
            "labels": {"batch.kubernetes.io/job-name": "resnet"},
            "ownerReferences": [JOB],
        },
        "spec": {"containers": [container], **(spec or {})},
    }


def done(pod: Any, **changes: Any) -> Injection:
    """The injection of a pod that must be injected."""
    result = inject(pod, InjectionConfig(**{"tracker_url": CONFIG.tracker_url, "image": CONFIG.image, **changes}))
    assert isinstance(result, Injection), result
    return result


def skipped(pod: Any) -> str:
    """The reason that stands on a pod that must not be injected."""
    result = inject(pod, CONFIG)
    assert isinstance(result, Skip)
    assert not result.doubt
    assert [operation["path"] for operation in result.patch] == ["/metadata/annotations/outrider.dev~1skipped"]
    assert result.patch[0]["value"] == result.reason
    return result.reason


def sidecar(result: Injection) -> Any:
    """The sidecar in an injected pod."""
    return result.pod["spec"]["initContainers"][-1]


def environment(container: Any) -> dict[str, Any]:
    """Variables by name; those from fields as their field's path."""
    return {
        item["name"]: item["value"] if "value" in item else item["valueFrom"]["fieldRef"]["fieldPath"]
        for item in container.get("env", [])
    }


def test_the_sidecar_is_a_native_one_that_waits_for_its_rider_and_has_no_probe() -> None:
    """What the proved start sequence needs, and nothing that holds a pod back longer."""
    found = sidecar(done(make_pod()))
    assert found["name"] == "outrider"
    assert found["restartPolicy"] == "Always"
    assert found["lifecycle"] == {"postStart": {"exec": {"command": ["/rider", "wait"]}}}
    assert not found.keys() & {"command", "args", "startupProbe", "readinessProbe", "livenessProbe"}


def test_the_trainer_runs_under_the_rider_and_sees_the_volume() -> None:
    """Exec form; arguments stay where they are."""
    pod = done(make_pod(args=["--lr", "0.1"])).pod
    (container,) = pod["spec"]["containers"]
    assert container["command"] == [
        "/outrider/bin/rider", "wrap", "/outrider/containers/train", "--", "python", "train.py"
    ]  # fmt: skip
    assert container["args"] == ["--lr", "0.1"]
    assert environment(container) == {"OUTRIDER_DIR": "/outrider", "OUTRIDER_METRICS_INTERVAL": "10"}
    assert container["volumeMounts"] == [{"name": "outrider", "mountPath": "/outrider"}]


def test_the_token_lies_over_the_api_token_for_an_hour_and_for_our_audience() -> None:
    """The ServiceAccount plug-in leaves a container alone that mounts something there already."""
    result = done(make_pod())
    volumes = {volume["name"]: volume for volume in result.pod["spec"]["volumes"]}
    (source,) = volumes["outrider-token"]["projected"]["sources"]
    assert source["serviceAccountToken"] == {"audience": "outrider", "expirationSeconds": 3600, "path": "token"}
    assert "defaultMode" not in volumes["outrider-token"]["projected"]
    mounts = {mount["name"]: mount["mountPath"] for mount in sidecar(result)["volumeMounts"]}
    assert mounts["outrider-token"] == "/var/run/secrets/kubernetes.io/serviceaccount"


def test_the_sidecar_is_told_who_it_speaks_for_and_to() -> None:
    """Every variable of the contract that has no default of its own."""
    found = environment(sidecar(done(make_pod(), ca="-PEM-")))
    assert found["OUTRIDER_TRACKER_URL"] == "https://tracker.test:8443"
    assert found["OUTRIDER_CA"] == "-PEM-"
    assert found["OUTRIDER_TOKEN_FILE"] == "/var/run/secrets/kubernetes.io/serviceaccount/token"
    assert found["OUTRIDER_POD_UID"] == "metadata.uid"
    assert found["OUTRIDER_NODE_NAME"] == "spec.nodeName"
    assert json.loads(found["OUTRIDER_OWNER"]) == {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": "resnet",
        "uid": "0c1d",
        "labels": {"batch.kubernetes.io/job-name": "resnet"},
    }
    assert json.loads(found["OUTRIDER_CONTAINERS"]) == [
        {"name": "train", "capture": "wrap", "mounts": [{"path": "/outrider", "at": "/outrider"}]}
    ]
    assert "OUTRIDER_FILES" in found
    assert "OUTRIDER_CA" not in environment(sidecar(done(make_pod(), ca="")))


def test_the_sidecars_own_reading_of_its_environment_agrees() -> None:
    """Both ends of the contract: what the webhook writes, the collector reads."""
    from outrider_sidecar.config import from_env

    annotations = {contract.FILES: "ckpt/**=live,/out/r.json=end", contract.LINGER: "20s"}
    volumes = [{"name": "out", "persistentVolumeClaim": {"claimName": "c"}}]
    mounts = [{"name": "out", "mountPath": "/out", "subPath": "a"}]
    pod = make_pod(annotations=annotations, spec={"volumes": volumes}, volumeMounts=mounts, workingDir="/w")
    read = from_env(environment(sidecar(done(pod))))
    assert [(rule.path, rule.policy) for rule in read.files] == [("ckpt/**", "live"), ("/out/r.json", "end")]
    assert read.linger == 20
    (container,) = read.containers
    assert (container.name, container.working_dir) == ("train", "/w")
    assert [(mount.path, mount.at) for mount in container.mounts] == [
        ("/out", "/outrider-files/out"),
        ("/outrider", "/outrider"),
    ]


def test_dollars_reach_the_sidecar_as_they_are() -> None:
    """The kubelet turns $$ into $ and expands $(NAME): neither may happen to a path."""
    found = environment(sidecar(done(make_pod(annotations={contract.FILES: "run-$(HOME)/*=end"}))))
    assert found["OUTRIDER_FILES"] == '[{"path":"run-$$(HOME)/*","policy":"end"}]'


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        (
            {"limits": {"cpu": "8", "memory": "8Gi"}},
            {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "100m", "memory": "128Mi"}},
        ),
        (
            {"requests": {"cpu": "8"}},
            {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        ),
        ({}, None),
    ],
    ids=["Guaranteed", "Burstable", "BestEffort"],
)
def test_resources_follow_the_pods_class(resources: Any, expected: Any) -> None:
    """Equal ones, tiny ones, none."""
    assert sidecar(done(make_pod(resources=resources))).get("resources") == expected


def test_resources_of_the_pod_as_a_whole_leave_the_sidecar_without() -> None:
    """Else the sum of the containers would exceed the pod's requests and the pod would be refused."""
    pod = make_pod(spec={"resources": {"requests": {"cpu": "1", "memory": "1Gi"}}})
    assert "resources" not in sidecar(done(pod))


def test_a_storage_limit_comes_only_where_every_main_container_has_one() -> None:
    """A container without one counts nothing, so a limit on the sidecar would become the pod's."""
    limited = {"limits": {"ephemeral-storage": "2Gi"}}
    one = sidecar(done(make_pod(resources=limited)))
    assert environment(one)["OUTRIDER_SPOOL_LIMIT"] == str((2 << 30) // 10)
    assert int(one["resources"]["limits"]["ephemeral-storage"]) == (2 << 30) // 10 + (64 << 20)
    pod = make_pod(resources=limited)
    pod["spec"]["containers"].append({"name": "other", "image": "i"})
    two = sidecar(done(pod))
    assert environment(two)["OUTRIDER_SPOOL_LIMIT"] == str((2 << 30) // 10)
    assert "ephemeral-storage" not in two.get("resources", {}).get("limits", {})
    assert environment(sidecar(done(make_pod())))["OUTRIDER_SPOOL_LIMIT"] == str(1 << 30)


@pytest.mark.parametrize(
    ("annotations", "labels", "by_namespace", "is_injected"),
    [
        ({}, {}, False, False),
        ({}, {}, True, True),
        ({contract.INJECT: "true"}, {}, False, True),
        ({}, {contract.INJECT: "true"}, False, True),
        ({contract.INJECT: "TRUE"}, {}, False, False),
        ({contract.INJECT: "true"}, {contract.INJECT: "false"}, True, False),
        ({contract.INJECT: "false"}, {contract.INJECT: "true"}, True, False),
    ],
)
def test_who_is_asked(annotations: Any, labels: Any, by_namespace: bool, is_injected: bool) -> None:
    """Annotation, label or namespace ask; "false" always wins; silence is silence."""
    pod = make_pod()
    pod["metadata"] |= {"annotations": annotations, "labels": labels}
    result = inject(pod, CONFIG, by_namespace=by_namespace)
    assert isinstance(result, Injection) == is_injected
    if not is_injected:
        assert result.patch == ()


@pytest.mark.parametrize("owner", [None, {**JOB, "apiVersion": "apps/v1", "kind": "ReplicaSet"}])
def test_a_namespaces_opt_in_reaches_known_workload_kinds_alone(owner: Any) -> None:
    """A web server in a training namespace stays as it is, unless its pod asks."""
    pod = make_pod()
    pod["metadata"] = {"ownerReferences": [owner] if owner else []}
    result = inject(pod, CONFIG, by_namespace=True)
    assert isinstance(result, Skip)
    assert result.reason.startswith("the namespace opts in for known workload kinds, and this pod is of ")
    pod["metadata"]["labels"] = {contract.INJECT: "true"}
    assert isinstance(inject(pod, CONFIG, by_namespace=True), Injection)


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        (contract.LINGER, "soon", "outrider.dev/linger is 'soon': it must be a duration such as 30s, 10m or 1h30m"),
        (contract.LINGER, "2h", "outrider.dev/linger is '2h': it must be between 0s and 3600s"),
        (
            contract.METRICS_INTERVAL,
            "0s",
            "outrider.dev/metrics-interval is '0s': it must be between 1s and 3600s",
        ),
        (contract.CAPTURE, "shell", "outrider.dev/capture is 'shell': it must be auto, wrap, env, none"),
        (contract.CONTAINER, "trainer", "outrider.dev/container names trainer, but the pod's containers are train"),
        (contract.CONTAINER, " , ", "outrider.dev/container is empty: it must name the pod's trainer containers"),
    ],
)
def test_a_bad_value_means_no_injection_and_a_sentence(key: str, value: str, sentence: str) -> None:
    """The job runs as if we were not there; the pod says why."""
    assert skipped(make_pod(annotations={key: value})) == f"not injected: {sentence}"


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("a=later", "has 'a=later': each item must be path=live or path=end, comma separated"),
        ("plain", "has 'plain': each item must be path=live or path=end, comma separated"),
        ("../up=end", "a path has at most 512 characters, no control characters and no .."),
        (",".join(f"f{n}=end" for n in range(65)), "has 65 items: at most 64 are kept"),
    ],
)
def test_a_bad_list_of_files_loses_the_files_alone(value: str, sentence: str) -> None:
    """The rest of the pod is injected, and the pod says what is missing."""
    result = done(make_pod(annotations={contract.FILES: value}))
    assert sentence in result.pod["metadata"]["annotations"][contract.SKIPPED]
    assert environment(sidecar(result))["OUTRIDER_FILES"] == "[]"


def test_linger_is_at_most_the_grace_period() -> None:
    """After it the kubelet kills the sidecar anyhow."""
    pod = make_pod(annotations={contract.LINGER: "5m"}, spec={"terminationGracePeriodSeconds": 10})
    result = done(pod)
    assert environment(sidecar(result))["OUTRIDER_LINGER"] == "10"
    assert result.notes == ("outrider.dev/linger was cut from 300s to the pod's grace period of 10s",)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"command": None, "args": ["x"]}, "container train has no command in its pod spec, so its output is not"),
        ({"tty": True}, "container train has a terminal (tty or stdin), so its output is not captured"),
        ({"stdin": True}, "container train has a terminal (tty or stdin), so its output is not captured"),
    ],
)
def test_a_container_that_cannot_be_wrapped_is_left_alone_beside_the_sidecar(changes: Any, sentence: str) -> None:
    """Exit codes, metrics and files of it are still collected."""
    result = done(make_pod(**changes))
    (container,) = result.pod["spec"]["containers"]
    assert container.get("command") == {"command": ["python", "train.py"], **changes}["command"]
    assert sentence in result.pod["metadata"]["annotations"][contract.SKIPPED]
    assert json.loads(environment(sidecar(result))["OUTRIDER_CONTAINERS"])[0]["capture"] == "none"


def test_capture_wrap_leaves_the_launchers_own_files_alone() -> None:
    """auto asks torchrun for a file a rank; wrap does not."""
    (container,) = done(make_pod(annotations={contract.CAPTURE: "wrap"})).pod["spec"]["containers"]
    assert environment(container)["OUTRIDER_CAPTURE"] == "wrap-only"
    (container,) = done(make_pod()).pod["spec"]["containers"]
    assert "OUTRIDER_CAPTURE" not in environment(container)


def test_capture_env_needs_one_known_user_and_gives_it_to_the_sidecar() -> None:
    """torchrun's folders are 0700: without the rider, their own user alone can read them."""
    result = done(make_pod(annotations={contract.CAPTURE: "env"}, securityContext={"runAsUser": 1000}))
    (container,) = result.pod["spec"]["containers"]
    assert container["command"] == ["python", "train.py"]
    assert environment(container)["PET_LOG_DIR"] == "/outrider/containers/train/0/torch"
    assert environment(container)["PET_TEE"] == "3"
    assert sidecar(result)["securityContext"]["runAsUser"] == 1000
    for unknown in ({}, {"securityContext": {"runAsUser": 0}}):
        result = done(make_pod(annotations={contract.CAPTURE: "env"}, **unknown))
        assert "needs securityContext.runAsUser (not 0) on container train" in result.notes[0]
        assert sidecar(result)["securityContext"]["runAsUser"] == 65532
    pod = make_pod(annotations={contract.CAPTURE: "env"}, securityContext={"runAsUser": 1000})
    pod["spec"]["containers"].append({"name": "b", "image": "i", "command": ["x"], "securityContext": {"runAsUser": 7}})
    assert "needs one runAsUser for all trainer containers, and here they are 7, 1000" in skipped(pod)


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({}, {"train", "eval"}),
        ({contract.CONTAINER: "eval"}, {"eval"}),
        ({"kubectl.kubernetes.io/default-container": "train"}, {"train"}),
        ({"kubectl.kubernetes.io/default-container": "train", contract.CONTAINER: "proxy"}, {"proxy"}),
        ({"kubectl.kubernetes.io/default-container": "gone"}, {"train", "eval"}),
    ],
)
def test_which_containers_are_trainers(annotations: Any, expected: set[str]) -> None:
    """The annotation, else kubectl's default container, else all that have a command."""
    pod = make_pod(annotations=annotations)
    pod["spec"]["containers"] += [
        {"name": "proxy", "image": "i"},
        {"name": "eval", "image": "i", "command": ["eval"]},
    ]
    containers = done(pod).pod["spec"]["containers"]
    assert {c["name"] for c in containers if "outrider" in {m["name"] for m in c.get("volumeMounts", ())}} == expected


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"os": {"name": "windows"}}, "the pod is for Windows nodes, and the sidecar is for Linux"),
        ({"volumes": [{"name": "outrider", "emptyDir": {}}]}, "has a volume named outrider of its own; rename it"),
        (
            {"volumes": [{"name": "outrider-token", "emptyDir": {}}]},
            "has a volume named outrider-token of its own; rename it",
        ),
        ({"initContainers": [{"name": "outrider", "image": "i"}]}, "has a container named outrider of its own"),
    ],
)
def test_what_stands_in_the_way_is_said(spec: Any, sentence: str) -> None:
    """The user's own names are never taken."""
    assert sentence in skipped(make_pod(spec=spec))


def test_a_users_own_mount_at_our_place_is_kept_and_the_container_not_wrapped() -> None:
    """Also one below it, which would hide parts of the shared volume."""
    for path in ("/outrider", "/outrider/", "/outrider/user"):
        pod = make_pod(
            spec={"volumes": [{"name": "v", "emptyDir": {}}]}, volumeMounts=[{"name": "v", "mountPath": path}]
        )
        result = done(pod)
        assert result.pod["spec"]["containers"] == pod["spec"]["containers"]
        assert "container train mounts a volume of its own at /outrider, so its output is not" in result.notes[0]


def test_a_users_own_variable_is_kept_and_said() -> None:
    """The value that is there is what the user wants, whatever it breaks."""
    result = done(make_pod(env=[{"name": "OUTRIDER_DIR", "value": "/elsewhere"}]))
    (container,) = result.pod["spec"]["containers"]
    assert environment(container)["OUTRIDER_DIR"] == "/elsewhere"
    assert result.notes == ("container train sets OUTRIDER_DIR itself; it was left as it is",)


def test_files_are_read_from_data_volumes_alone_each_part_once() -> None:
    """Read only, the same subPath as the trainer has, never Secrets, ConfigMaps or the host's folders."""
    volumes = [
        {"name": "data", "persistentVolumeClaim": {"claimName": "c"}},
        {"name": "keys", "secret": {"secretName": "s"}},
        {"name": "host", "hostPath": {"path": "/"}},
        {"name": "settings", "configMap": {"name": "m"}},
    ]
    mounts = [
        {"name": "data", "mountPath": "/a", "subPath": "one"},
        {"name": "data", "mountPath": "/b", "subPath": "two"},
        {"name": "data", "mountPath": "/c", "subPathExpr": "$(POD)"},
        {"name": "keys", "mountPath": "/keys"},
        {"name": "host", "mountPath": "/host"},
        {"name": "settings", "mountPath": "/settings"},
    ]
    pod = make_pod(annotations={contract.FILES: "/a/*=end"}, spec={"volumes": volumes}, volumeMounts=mounts)
    pod["spec"]["containers"].append(
        {"name": "b", "image": "i", "command": ["x"], "volumeMounts": [{**mounts[1], "mountPath": "/elsewhere"}]}
    )
    result = done(pod)
    assert sidecar(result)["volumeMounts"][2:] == [
        {"name": "data", "readOnly": True, "subPath": "one", "mountPath": "/outrider-files/data"},
        {"name": "data", "readOnly": True, "subPath": "two", "mountPath": "/outrider-files/data.1"},
    ]
    described = json.loads(environment(sidecar(result))["OUTRIDER_CONTAINERS"])
    assert described[0]["mounts"][:2] == [
        {"path": "/a", "at": "/outrider-files/data"},
        {"path": "/b", "at": "/outrider-files/data.1"},
    ]
    assert described[1]["mounts"][0] == {"path": "/elsewhere", "at": "/outrider-files/data.1"}
    assert result.notes == ("files below /c of container train are not kept: the mount has a subPathExpr",)


def test_no_volume_of_the_user_is_mounted_where_no_files_are_asked_for() -> None:
    """Least privilege: the sidecar reads the training data of nobody who did not ask."""
    volumes = [{"name": "data", "emptyDir": {}}]
    pod = make_pod(spec={"volumes": volumes}, volumeMounts=[{"name": "data", "mountPath": "/a"}])
    assert [mount["name"] for mount in sidecar(done(pod))["volumeMounts"]] == ["outrider", "outrider-token"]


def test_the_autoscaler_may_still_remove_the_node() -> None:
    """Our volume is added to those that the user named."""
    key = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"
    assert done(make_pod()).pod["metadata"]["annotations"][key] == "outrider"
    pod = make_pod(annotations={key: "scratch, cache"})
    assert done(pod).pod["metadata"]["annotations"][key] == "scratch,cache,outrider"


def test_no_room_for_our_annotations_means_no_patch_at_all() -> None:
    """262144 bytes of annotations are the API server's bound; beyond it the pod would be refused in our name."""
    fitting = 262144 - len("a") - len(contract.INJECT) - len("true")
    full = make_pod(annotations={"a": "x" * fitting})
    result = inject(full, CONFIG)
    assert isinstance(result, Skip)
    assert result.doubt
    assert result.patch == ()
    assert "annotations would take" in result.reason


def test_a_pod_that_is_invalid_without_us_is_none_of_our_doubts() -> None:
    """The API server refuses it anyhow, in its author's name."""
    result = inject(make_pod(spec={"volumes": [{"name": "v", "emptyDir": {}}, {"name": "v", "emptyDir": {}}]}), CONFIG)
    assert result == Skip("volume v would stand twice")


def test_pull_secrets_are_added_once_at_admission() -> None:
    """In a template they would keep the service account's own away; the webhook adds them to its pods instead."""
    config = InjectionConfig(tracker_url="https://t", image="i", image_pull_secrets=("ours",))
    assert done(make_pod(), image_pull_secrets=("ours",)).pod["spec"]["imagePullSecrets"] == [{"name": "ours"}]
    template = inject_pod_template(make_pod(), Owner("batch/v1", "Job", "resnet", ""), config)
    assert isinstance(template, Injection)
    assert "imagePullSecrets" not in template.pod["spec"]
    bare = inject_pod_template({"spec": make_pod()["spec"]}, None, config)
    assert isinstance(bare, Injection)
    assert bare.pod["metadata"]["annotations"][contract.INJECT] == "true", "else the webhook would not see its pods"
    at_admission = inject(template.pod, config)
    assert [operation["value"] for operation in at_admission.patch] == [[{"name": "ours"}]]


def test_a_template_is_refused_only_by_its_own_word() -> None:
    """A Run asks by being a Run."""
    spec = {"containers": [{"name": "train", "image": "i", "command": ["x"]}]}
    assert isinstance(inject_pod_template({"spec": spec}, None, CONFIG), Injection)
    result = inject_pod_template({"metadata": {"labels": {contract.INJECT: "false"}}, "spec": spec}, None, CONFIG)
    assert result == Skip("the pod template says outrider.dev/inject: false")
