"""The sidecar container and its volumes, as they are added to a pod."""

from __future__ import annotations

import json
from typing import Any, Final

from outrider_operator.api.states import Capture
from outrider_operator.core.injection_config import InjectionConfig
from outrider_operator.core.injection_containers import Plan
from outrider_operator.core.pods import Pod, QosClass, has_pod_level_resources, qos_class, storage_limits
from outrider_operator.core.workloads import framework_labels
from outrider_sidecar import contract

SIDECAR_UID: Final = 65532
_TOKEN_SECONDS: Final = 3600
_STORAGE_SHARE: Final = 10  # the spool takes at most a tenth of the pod's own ephemeral storage
_STORAGE_MARGIN: Final = 64 << 20  # bytes beside the spool: the rider, cursors, the container's writable layer
_STORAGE_REQUEST: Final = "16Mi"
_FIELDS: Final = {
    contract.ENV_POD_UID: "metadata.uid",
    contract.ENV_POD_NAME: "metadata.name",
    contract.ENV_NAMESPACE: "metadata.namespace",
    contract.ENV_NODE_NAME: "spec.nodeName",
}


def volumes() -> list[dict[str, Any]]:
    """The shared volume and the token's. The token is readable by any UID, since the volume is in the sidecar alone."""
    token = {"audience": contract.AUDIENCE, "expirationSeconds": _TOKEN_SECONDS, "path": "token"}
    return [
        {"name": contract.VOLUME, "emptyDir": {}},
        {"name": contract.TOKEN_VOLUME, "projected": {"sources": [{"serviceAccountToken": token}]}},
    ]


def container(pod: Pod, config: InjectionConfig, plan: Plan) -> dict[str, Any]:
    """The native sidecar. Raises ValueError where the pod's resources are no quantities."""
    spool = spool_limit(pod, config)
    uid = next((trainer.uid for trainer in plan.trainers if trainer.capture is Capture.ENV), SIDECAR_UID)
    out: dict[str, Any] = {
        "name": contract.SIDECAR_CONTAINER,
        "image": config.image,
        "imagePullPolicy": config.image_pull_policy,
        "restartPolicy": "Always",
        "env": _env(pod, config, plan, spool),
        "lifecycle": {"postStart": {"exec": {"command": [contract.RIDER_IN_IMAGE, "wait"]}}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsGroup": SIDECAR_UID,
            "runAsNonRoot": True,
            "runAsUser": uid,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [
            {"name": contract.VOLUME, "mountPath": contract.MOUNT_PATH},
            {"name": contract.TOKEN_VOLUME, "mountPath": contract.TOKEN_MOUNT, "readOnly": True},
            *plan.file_mounts,
        ],
    }
    chosen = resources(pod, config, spool)
    if chosen:
        out["resources"] = chosen
    return out


def resources(pod: Pod, config: InjectionConfig, spool: int) -> dict[str, dict[str, str]]:
    """Requests and limits that keep the pod's quality-of-service class and do not shrink its storage."""
    if has_pod_level_resources(pod):
        return {}
    chosen = {
        QosClass.GUARANTEED: config.guaranteed,
        QosClass.BURSTABLE: config.burstable,
        QosClass.BEST_EFFORT: config.best_effort,
    }[qos_class(pod)]
    out = {which: dict(values) for which, values in chosen.items()}
    if all_have_storage_limits(pod):
        out.setdefault("requests", {})["ephemeral-storage"] = _STORAGE_REQUEST
        out.setdefault("limits", {})["ephemeral-storage"] = str(spool + _STORAGE_MARGIN)
    return out


def all_have_storage_limits(pod: Pod) -> bool:
    """Whether a storage limit on the sidecar adds to the pod's, instead of becoming it."""
    return storage_limits(pod)[1]


def spool_limit(pod: Pod, config: InjectionConfig) -> int:
    """Bytes that may wait on the shared volume."""
    total, _ = storage_limits(pod)
    return min(config.spool_limit, total // _STORAGE_SHARE) if total else config.spool_limit


def _env(pod: Pod, config: InjectionConfig, plan: Plan, spool: int) -> list[dict[str, Any]]:
    settings, owner = plan.settings, plan.owner
    labels = framework_labels(pod)
    said: dict[str, Any] = {"labels": labels} if labels else {}
    if owner is not None:
        said |= {"apiVersion": owner.api_version, "kind": owner.kind, "name": owner.name, "uid": owner.uid}
    values = {
        contract.ENV_DIR: contract.MOUNT_PATH,
        contract.ENV_TRACKER_URL: config.tracker_url.rstrip("/"),
        contract.ENV_CA: config.ca or "",
        contract.ENV_TOKEN_FILE: f"{contract.TOKEN_MOUNT}/token",
        contract.ENV_OWNER: _json(said),
        contract.ENV_CONTAINERS: _json([trainer.described for trainer in plan.trainers]),
        contract.ENV_FILES: _json([{"path": rule.path, "policy": str(rule.policy)} for rule in settings.files]),
        contract.ENV_LINGER: str(settings.linger),
        contract.ENV_METRICS_INTERVAL: str(settings.metrics_interval),
        contract.ENV_SPOOL_LIMIT: str(max(spool, 1)),
    }
    # The kubelet expands $(NAME) in values; none of ours is meant so.
    env: list[dict[str, Any]] = [
        {"name": name, "value": value.replace("$", "$$")} for name, value in values.items() if value
    ]
    env += [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in _FIELDS.items()]
    return env


_json: Final = json.JSONEncoder(separators=(",", ":"), sort_keys=True, check_circular=False).encode
