"""Pods of many shapes, all of which the API server accepts, most of which pass Pod Security "restricted"."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from outrider_sidecar import contract

NAMES = ("train", "worker", "proxy", "eval")
VOLUMES: dict[str, dict[str, Any]] = {
    "scratch": {"emptyDir": {}},
    "memory": {"emptyDir": {"medium": "Memory"}},
    "results": {"persistentVolumeClaim": {"claimName": "results"}},
    "settings": {"configMap": {"name": "settings"}},
    "keys": {"secret": {"secretName": "keys"}},
    "tokens": {"projected": {"sources": [{"configMap": {"name": "more"}}]}},
    "outrider": {"emptyDir": {}},
    "outrider-token": {"emptyDir": {}},
}
PATHS = ("/data", "/data/deep", "/out", "/outrider", "/outrider/user", "/var/run/secrets/kubernetes.io/serviceaccount")
RESTRICTED: dict[str, Any] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
# (resources of a container); equal requests and limits of both kinds make it Guaranteed.
RESOURCES: tuple[dict[str, Any] | None, ...] = (
    None,
    {},
    {"limits": {"cpu": "1", "memory": "1Gi"}},
    {"requests": {"cpu": "1000m", "memory": "1024Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}},
    {"requests": {"cpu": "500m"}},
    {"limits": {"memory": "1Gi"}},
    {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "1Gi"}},
    {"limits": {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "20Gi"}},
    {"requests": {"cpu": "0"}},
    {"limits": {"ephemeral-storage": "2Gi"}},
)
VALUES = {
    contract.CAPTURE: ("auto", "wrap", "env", "none", "shell"),
    contract.CONTAINER: ("train", "train,worker", "nobody", ""),
    contract.LINGER: ("30s", "5m", "soon", "0s"),
    contract.METRICS_INTERVAL: ("10s", "1s", "never"),
    contract.FILES: ("checkpoints/**=live, out/report.json=end", "a$(HOME)=end", "broken", ""),
    "kubectl.kubernetes.io/default-container": ("train", "nobody"),
    "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes": ("scratch", "scratch,outrider", ""),
    "example.test/anything": ("1",),
    contract.SKIPPED: ("copied from elsewhere",),
}


@st.composite
def containers(draw: st.DrawFn, name: str, volumes: list[str], *, init: bool, storage: bool = True) -> dict[str, Any]:
    """One container; native sidecars only among init containers."""
    found: dict[str, Any] = {"name": name, "image": "example.test/image:1"}
    command = draw(st.sampled_from((None, [], ["python", "-m", "train"], ["sh", "-c", "echo $(HOSTNAME) $$"])))
    if command is not None:
        found["command"] = command
    if draw(st.booleans()):
        found["args"] = ["--epochs", "3"]
    if draw(st.integers(0, 9)) == 0:
        found[draw(st.sampled_from(("tty", "stdin")))] = True
    names = ["LR", "OUTRIDER_DIR", "PET_LOG_DIR", "OUTRIDER_METRICS_INTERVAL"]
    env = draw(st.lists(st.sampled_from(names), unique=True, max_size=2))
    if bool(env) or draw(st.booleans()):
        found["env"] = [{"name": key, "value": "mine"} for key in env]
    mounted = draw(st.lists(st.sampled_from(volumes), unique=True, max_size=3)) if volumes else []
    paths = draw(st.permutations(PATHS))
    if mounted:
        found["volumeMounts"] = [
            {"name": volume, "mountPath": path, **draw(st.sampled_from(({}, {"subPath": "a"}, {"readOnly": True})))}
            for volume, path in zip(mounted, paths, strict=False)
        ]
    resources = draw(st.sampled_from(RESOURCES))
    if resources is not None and storage:
        found["resources"] = resources
    if draw(st.booleans()):
        found["workingDir"] = "/workspace"
    found["securityContext"] = dict(RESTRICTED)
    if draw(st.booleans()):
        found["securityContext"]["runAsUser"] = draw(st.sampled_from((1000, 65532)))
    if init and draw(st.booleans()):
        found["restartPolicy"] = "Always"
    return found


@st.composite
def pods(draw: st.DrawFn, *, windows: bool = True) -> dict[str, Any]:
    """A pod as it arrives at admission."""
    volumes = draw(st.lists(st.sampled_from([*VOLUMES]), unique=True, max_size=4))
    if draw(st.integers(0, 3)):
        volumes = [name for name in volumes if not name.startswith("outrider")]
    pod_level = draw(st.integers(0, 9)) == 0
    main = draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1, max_size=3))
    inits = draw(st.lists(st.sampled_from(("fetch", "mesh", "outrider")), unique=True, max_size=2))
    if draw(st.integers(0, 3)):
        inits = [name for name in inits if name != "outrider"]
    spec: dict[str, Any] = {
        "restartPolicy": draw(st.sampled_from(("Never", "OnFailure"))),
        "containers": [draw(containers(name, volumes, init=False, storage=not pod_level)) for name in main],
    }
    if bool(inits) or draw(st.booleans()):
        spec["initContainers"] = [draw(containers(name, volumes, init=True, storage=not pod_level)) for name in inits]
    if bool(volumes) or draw(st.booleans()):
        spec["volumes"] = [{"name": name, **VOLUMES[name]} for name in volumes]
    if pod_level:
        spec["resources"] = draw(
            st.sampled_from(
                (
                    {"requests": {"cpu": "1", "memory": "1Gi"}},
                    {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}},
                )
            )
        )
    if draw(st.booleans()):
        spec["terminationGracePeriodSeconds"] = draw(st.sampled_from((0, 10, 300)))
    if draw(st.integers(0, 4)) == 0:
        spec["imagePullSecrets"] = [{"name": "mine"}]
    if windows and draw(st.integers(0, 19)) == 0:
        spec["nodeSelector"] = {"kubernetes.io/os": "windows"}
    keys = draw(st.lists(st.sampled_from([*VALUES]), unique=True, max_size=4))
    annotations = {key: draw(st.sampled_from(VALUES[key])) for key in keys}
    metadata: dict[str, Any] = {"generateName": "job-0-"}
    asked = draw(st.sampled_from(("annotation", "label", "both")))
    labels: dict[str, str] = {"batch.kubernetes.io/job-name": "job", "batch.kubernetes.io/job-completion-index": "0"}
    if asked != "label":
        annotations[contract.INJECT] = "true"
    if asked != "annotation":
        labels[contract.INJECT] = "true"
    if bool(annotations) or draw(st.booleans()):
        metadata["annotations"] = annotations
    if asked != "annotation" or draw(st.booleans()):
        metadata["labels"] = labels
    if draw(st.booleans()):
        metadata["ownerReferences"] = [
            {"apiVersion": "batch/v1", "kind": "Job", "name": "job", "uid": "0c1d", "controller": True}
        ]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
