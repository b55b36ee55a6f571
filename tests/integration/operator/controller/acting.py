"""Acting as the kubelet and as a user, on an API server without nodes."""

import asyncio
import os
import signal
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import psutil

from outrider_operator.kube.api import JOBS, PODS, RUNS, NotFound, Object
from outrider_operator.kube.client import Client
from outrider_operator.kube.credentials import from_kubeconfig

T = TypeVar("T")
SIDECAR = {"name": "outrider", "image": "sidecar", "restartPolicy": "Always"}


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def job(
    name: str, *, pods: int = 2, backoff: int = 0, annotations: dict[str, str] | None = None, **spec: Any
) -> Object:
    """An annotated indexed Job as it is after injection: the pods carry our label."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {
            "completions": pods,
            "parallelism": pods,
            "completionMode": "Indexed",
            "backoffLimit": backoff,
            "template": {
                "metadata": {
                    "annotations": {"outrider.dev/inject": "true", **(annotations or {})},
                    "labels": {"outrider.dev/tracked": "true"},
                },
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [{"name": "main", "image": "busybox:1"}],
                    "initContainers": [SIDECAR],
                },
            },
            **spec,
        },
    }


class Stage:
    """A namespace of a real API server, with a kubelet's and a user's hands."""

    def __init__(self, client: Client, namespace: str) -> None:
        self.client, self.namespace = client, namespace

    async def until(self, what: str, look: Callable[[], Awaitable[T | None]], seconds: float = 30) -> T:
        """Ask until there is an answer; the last word says what was waited for."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = await look()
            if found is not None:
                return found
            await asyncio.sleep(0.1)
        runs = [(r["metadata"]["name"], r.get("status")) for r in await self.runs()]
        raise AssertionError(f"waited {seconds} s in vain: {what}; Runs are {runs}")

    async def apply(self, body: Object) -> Object:
        return await self.client.create(JOBS, self.namespace, body)

    async def runs(self) -> list[Object]:
        return await self.client.items(RUNS, self.namespace)

    async def run_of(self, made: Object, seconds: float = 30) -> Object:
        """The Run of a Job, once it is there and has a state."""

        async def look() -> Object | None:
            for run in await self.runs():
                ref = run["spec"].get("workloadRef") or {}
                if ref.get("uid") == made["metadata"]["uid"] and run.get("status", {}).get("state"):
                    return run
            return None

        return await self.until(f"a Run of {made['metadata']['name']}", look, seconds)

    async def state(self, name: str, *wanted: str, seconds: float = 30) -> Object:
        """A Run, once it is in one of these states."""

        async def look() -> Object | None:
            run = await self.client.get(RUNS, self.namespace, name)
            return run if run.get("status", {}).get("state") in wanted else None

        return await self.until(f"{name} {wanted}", look, seconds)

    async def status(self, name: str, what: str, good: Callable[[Object], Any], seconds: float = 30) -> Object:
        """A Run's status, once it fulfils something."""

        async def look() -> Object | None:
            status: Object = (await self.client.get(RUNS, self.namespace, name)).get("status") or {}
            return status if good(status) else None

        return await self.until(f"{name}: {what}", look, seconds)

    async def pods(self, job_name: str, count: int) -> list[Object]:
        """The living pods of a Job, once there are so many, by completion index."""

        async def look() -> list[Object] | None:
            labels = f"batch.kubernetes.io/job-name={job_name}"
            found = await self.client.items(PODS, self.namespace, labels=labels)
            living = [p for p in found if p["status"].get("phase") not in {"Failed", "Succeeded"}]
            living = [p for p in living if not p["metadata"].get("deletionTimestamp")]
            return living if len(living) == count else None

        found = await self.until(f"{count} pods of {job_name}", look)
        return sorted(found, key=lambda p: p["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"])

    async def pod_status(self, pod: Object, status: Object) -> None:
        path = PODS.path(self.namespace, pod["metadata"]["name"], "status")
        body = {"status": status}
        async with self.client.open(
            "PATCH", PODS, path, body=body, content_type="application/strategic-merge-patch+json"
        ):
            pass

    async def bind(self, pod: Object, node: str) -> None:
        path = PODS.path(self.namespace, pod["metadata"]["name"], "binding")
        body = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": pod["metadata"]["name"]},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        async with self.client.open("POST", PODS, path, body=body):
            pass

    async def start(self, pod: Object, node: str = "node-a") -> None:
        """The pod is bound and its containers run."""
        await self.bind(pod, node)
        running = {"running": {"startedAt": now()}}
        ready = {"ready": True, "restartCount": 0, "image": "i", "imageID": "i", "started": True}
        await self.pod_status(
            pod,
            {
                "phase": "Running",
                "startTime": now(),
                "conditions": [{"type": "Ready", "status": "True"}],
                "containerStatuses": [{"name": "main", "state": running, **ready}],
                "initContainerStatuses": [{"name": "outrider", "state": running, **ready}],
            },
        )

    async def end(self, pod: Object, code: int, *, reason: str = "", phase: bool = True, sidecar: str = "") -> None:
        """The pod's trainer has ended; ``phase``: and so has the pod."""
        ended = {"exitCode": code, "reason": reason or ("Completed" if code == 0 else "Error"), "finishedAt": now()}
        done = {"ready": False, "restartCount": 0, "image": "i", "imageID": "i"}
        status: Object = {
            "containerStatuses": [{"name": "main", "state": {"terminated": ended, "running": None}, **done}]
        }
        if phase:
            last = {"exitCode": 0, "finishedAt": now(), "message": sidecar}
            status["phase"] = "Succeeded" if code == 0 else "Failed"
            status["initContainerStatuses"] = [
                {"name": "outrider", "state": {"terminated": last, "running": None}, **done}
            ]
        await self.pod_status(pod, status)

    async def remove(self, pod: Object) -> None:
        """The pod is gone at once, as after its grace period."""
        path = PODS.path(self.namespace, pod["metadata"]["name"])
        async with self.client.open("DELETE", PODS, path, body={"gracePeriodSeconds": 0}):
            pass

    async def remove_job(self, name: str) -> None:
        """Delete a Job, and be the kubelet that ends its pods."""
        path = JOBS.path(self.namespace, name)
        async with self.client.open("DELETE", JOBS, path, body={"propagationPolicy": "Background"}):
            pass

        async def gone() -> bool | None:
            try:
                await self.client.get(JOBS, self.namespace, name)
            except NotFound:
                return True
            return None

        await self.until(f"Job {name} is gone", gone)


class Controller:
    """The real process ``outrider-operator controller``, on one namespace."""

    def __init__(self, kubeconfig: Path, namespace: str, log: Path, *flags: str, lease: str = "") -> None:
        self.lease = lease or f"outrider-{uuid.uuid4().hex[:6]}"
        self._log = log
        self._argv = [
            sys.executable,
            "-m",
            "outrider_operator",
            "controller",
            f"--kubeconfig={kubeconfig}",
            f"--namespace={namespace}",
            f"--watch-namespaces={namespace}",
            f"--lease={self.lease}",
            "--listen=127.0.0.1:0",
            *flags,
        ]
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> "Controller":
        with self._log.open("ab") as out:
            env = {k: v for k, v in os.environ.items() if not k.startswith("OUTRIDER_")}
            self.process = await asyncio.create_subprocess_exec(*self._argv, stdout=out, stderr=out, env=env)
        return self

    async def kill(self) -> None:
        """As a power cut would."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> int:
        """As a rollout does; gives the exit status."""
        return await self._end(signal.SIGTERM)

    async def _end(self, number: signal.Signals) -> int:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(20):
            return await self.process.wait()

    @property
    def url(self) -> str | None:
        """Its address, once it listens: a port that was only chosen for it may be another's by then."""
        assert self.process is not None
        found = psutil.Process(self.process.pid).net_connections("tcp")
        ports = (each.laddr.port for each in found if each.status == psutil.CONN_LISTEN)
        return next((f"http://127.0.0.1:{port}" for port in ports), None)

    def log(self) -> str:
        return self._log.read_text()


def connect(kubeconfig: Path) -> Client:
    return Client(from_kubeconfig(kubeconfig))
