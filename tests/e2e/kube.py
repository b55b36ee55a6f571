"""A thin client for the tests' cluster: plain dicts over the real API server, and waiting with a deadline."""

from __future__ import annotations

import base64
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import requests
import yaml

T = TypeVar("T")
Obj = dict[str, Any]

PATHS = {
    "Namespace": "/api/v1/namespaces",
    "Pod": "/api/v1/namespaces/{ns}/pods",
    "Service": "/api/v1/namespaces/{ns}/services",
    "Event": "/api/v1/namespaces/{ns}/events",
    "ConfigMap": "/api/v1/namespaces/{ns}/configmaps",
    "Secret": "/api/v1/namespaces/{ns}/secrets",
    "Endpoints": "/api/v1/namespaces/{ns}/endpoints",
    "Job": "/apis/batch/v1/namespaces/{ns}/jobs",
    "Deployment": "/apis/apps/v1/namespaces/{ns}/deployments",
    "StatefulSet": "/apis/apps/v1/namespaces/{ns}/statefulsets",
    "Run": "/apis/outrider.dev/v1alpha1/namespaces/{ns}/runs",
    "EndpointSlice": "/apis/discovery.k8s.io/v1/namespaces/{ns}/endpointslices",
    "MutatingWebhookConfiguration": "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
}


class RefusedError(Exception):
    """The API server refused: its status and sentence are in the text."""


def wait_for(what: str, probe: Callable[[], T | None], timeout: float = 60, every: float = 0.2) -> T:
    """The first true answer of `probe`; fails with `what` and the last answer when `timeout` seconds are over."""
    end = time.monotonic() + timeout
    last: object = None
    while True:
        answer = probe()
        if answer:
            return answer
        last = answer
        if time.monotonic() > end:
            raise AssertionError(f"timed out after {timeout:.0f} s waiting for {what}; last answer: {last!r}")
        time.sleep(every)


class Kube:
    """The API server of one cluster, as its administrator."""

    def __init__(self, kubeconfig: str | Path) -> None:
        config = yaml.safe_load(Path(kubeconfig).read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self.kubeconfig = str(kubeconfig)
        self.server: str = cluster["server"]
        self._folder = tempfile.TemporaryDirectory(prefix="outrider-e2e-")
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.verify = self._file(cluster, "certificate-authority")
        self.http.cert = (self._file(user, "client-certificate"), self._file(user, "client-key"))

    def _file(self, part: Obj, name: str) -> str:
        if name in part:
            return str(part[name])
        path = Path(self._folder.name) / name
        path.write_bytes(base64.b64decode(part[f"{name}-data"]))
        return str(path)

    def close(self) -> None:
        """Gives the connections and the folder of credentials back."""
        self.http.close()
        self._folder.cleanup()

    def call(self, method: str, path: str, body: object = None, **kw: Any) -> Any:
        """One request; JSON in, JSON (or text) out; refusals raise RefusedError with the server's sentence."""
        headers = {"Content-Type": kw.pop("content_type", "application/json")}
        data = None if body is None else json.dumps(body)
        r = self.http.request(method, self.server + path, data=data, headers=headers, timeout=30, **kw)
        if r.status_code >= 400:
            raise RefusedError(f"{r.status_code} {method} {path}: {r.text[:2000]}")
        return r.json() if r.headers.get("Content-Type", "").startswith("application/json") else r.text

    @staticmethod
    def path(kind: str, ns: str = "", name: str = "") -> str:
        """The REST path of a kind, or of one object."""
        return PATHS[kind].format(ns=ns) + (f"/{name}" if name else "")

    def get(self, kind: str, ns: str, name: str) -> Obj | None:
        """The object, or None."""
        r = self.http.get(self.server + self.path(kind, ns, name), timeout=30)
        if r.status_code == 404:
            return None
        if r.status_code >= 400:
            raise RefusedError(f"{r.status_code} GET {kind} {ns}/{name}: {r.text[:2000]}")
        found: Obj = r.json()
        return found

    def list(self, kind: str, ns: str, **query: str) -> list[Obj]:
        """All objects of a kind in a namespace."""
        items: list[Obj] = self.call("GET", self.path(kind, ns), params=query)["items"]
        return items

    def create(self, obj: Obj, ns: str = "") -> Obj:
        """Create; the namespace is that of the object, else `ns`."""
        ns = obj.get("metadata", {}).get("namespace") or ns
        made: Obj = self.call("POST", self.path(obj["kind"], ns), obj)
        return made

    def patch(self, kind: str, ns: str, name: str, body: Obj) -> Obj:
        """A merge patch."""
        made: Obj = self.call("PATCH", self.path(kind, ns, name), body, content_type="application/merge-patch+json")
        return made

    def delete(self, kind: str, ns: str, name: str, policy: str = "Background", **options: Any) -> None:
        """Delete, and not mind that it is gone."""
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": policy, **options}
        r = self.http.delete(self.server + self.path(kind, ns, name), json=body, timeout=30)
        if r.status_code >= 400 and r.status_code != 404:
            raise RefusedError(f"{r.status_code} DELETE {kind} {ns}/{name}: {r.text[:2000]}")

    def logs(self, ns: str, pod: str, container: str, **query: Any) -> str:
        """The container's log as the kubelet kept it."""
        text: str = self.call("GET", f"{self.path('Pod', ns, pod)}/log", params={"container": container, **query})
        return text
