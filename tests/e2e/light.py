"""Small pods and jobs of busybox, for scenarios that need no training."""

from __future__ import annotations

import base64
import datetime as dt
import re
import time
from typing import Any

from outrider_operator.core.injection import Injection, inject
from outrider_operator.core.injection_config import InjectionConfig
from outrider_sidecar import contract
from tests.e2e.kube import Kube, Obj, wait_for

IMAGE = "busybox:1"
ASKING = {contract.INJECT: "true"}


def pod(name: str, script: str, annotations: dict[str, str] | None = None) -> Obj:
    """A pod that runs a shell script once."""
    container = {"name": "train", "image": IMAGE, "command": ["sh", "-c", script], "imagePullPolicy": "Never"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "annotations": annotations or {}},
        "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 5, "containers": [container]},
    }


def job(name: str, script: str, annotations: dict[str, str] | None = None, **spec: Any) -> Obj:
    """A Job of such pods."""
    template = pod(name, script, annotations)
    del template["apiVersion"], template["kind"], template["metadata"]["name"]
    body = {"backoffLimit": 0, "template": template, **spec}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": body}


def injection_config(kube: Kube, **changed: Any) -> InjectionConfig:
    """The installed product's settings of injection, with some of them changed."""
    configuration = kube.list("MutatingWebhookConfiguration", "")
    bundle = next(
        hook["clientConfig"]["caBundle"]
        for found in configuration
        for hook in found["webhooks"]
        if hook["name"].endswith("inject.outrider.dev")
    )
    settings: dict[str, Any] = {
        "tracker_url": "https://outrider-tracker.outrider.svc:8443",
        "image": "outrider-sidecar:0.1.0",
        "image_pull_policy": "Never",
        "ca": base64.b64decode(bundle).decode(),
        **changed,
    }
    return InjectionConfig(**settings)


def injected(asking: Obj, config: InjectionConfig) -> Obj:
    """The pod as the webhook would make it with these settings."""
    result = inject(asking, config)
    assert isinstance(result, Injection), result
    return dict(result.pod)


def sidecar(pod: Obj) -> Obj:
    """The sidecar's container of an injected pod."""
    found: Obj = next(c for c in pod["spec"]["initContainers"] if c["name"] == contract.SIDECAR_CONTAINER)
    return found


def first_line_time(kube: Kube, ns: str, name: str, container: str = "train") -> float:
    """When the container wrote its first line, by the runtime's clock, Unix seconds."""
    text = kube.logs(ns, name, container, timestamps="true")
    stamp = text.split(" ", 1)[0]
    found = re.fullmatch(r"(.*\.\d{6})\d*Z", stamp)
    assert found, f"no timestamp in {text[:200]!r}"
    return dt.datetime.fromisoformat(found[1] + "+00:00").timestamp()


def run_to_end(kube: Kube, ns: str, obj: Obj, timeout: float = 90) -> tuple[float, Obj]:
    """Makes a pod and waits for its end: (seconds from the request to its first line, the main container's end)."""
    asked = time.time()
    name = kube.create(obj, ns)["metadata"]["name"]

    def ended() -> Obj | None:
        status = (kube.get("Pod", ns, name) or {}).get("status", {})
        main: Obj = next((c for c in status.get("containerStatuses", []) if c["name"] == "train"), {})
        done: Obj | None = main.get("state", {}).get("terminated")
        return {**done, "phase": status["phase"]} if done and status["phase"] in {"Succeeded", "Failed"} else None

    end = wait_for(f"pod {ns}/{name} to end", ended, timeout)
    return first_line_time(kube, ns, name) - asked, end
