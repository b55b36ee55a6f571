"""A webhook process of its own and an API server that calls it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime as dt
import json
import re
import ssl
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from outrider_operator.core.certificate_entries import CA_CERT
from outrider_operator.core.certificates import carry_out, decide
from outrider_operator.core.injection_config import ENV_CONFIG
from tests.cluster_fixtures import Namespace
from tools.cluster import Cluster

ROOT = Path(__file__).parents[4]
INJECTION = {"trackerUrl": "https://tracker.test:8443", "image": "example.test/sidecar:1"}
NAMES = {"webhook": ("localhost",), "tracker": ("tracker.test",)}


def connections(port: int) -> set[int]:
    """Our ends, by their ports, of this process' connections to a port."""
    found = psutil.Process().net_connections("tcp")
    return {each.laddr.port for each in found if each.raddr and each.raddr.port == port}


async def closed(port: int, others: Collection[int] = ()) -> None:
    """Wait until there is no connection to a port but `others`: aiohttp bids a TLS peer goodbye in the background."""
    deadline = time.monotonic() + 20
    while left := connections(port).difference(others):
        assert time.monotonic() < deadline, f"connections from {left} to port {port} stay open"
        await asyncio.sleep(0.01)


def until(what: str, check: Callable[[], Any], seconds: float = 60) -> Any:
    """Wait until the check gives something true, and give that; fails with what was awaited."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = check()
        if found:
            return found
        time.sleep(0.1)
    pytest.fail(f"after {seconds:.0f} s still not: {what}")


@dataclass
class WebhookProcess:
    """`outrider-operator webhook` with certificates from a folder."""

    folder: Path
    process: subprocess.Popen[str]
    log: list[str] = field(default_factory=list)
    ports: tuple[int, int] = (0, 0)

    @property
    def ca(self) -> str:
        """The bundle that clients are to trust."""
        return (self.folder / CA_CERT).read_text()

    def url(self, path: str) -> str:
        """An address of the admission door."""
        return f"https://localhost:{self.ports[0]}{path}"

    def health(self, path: str) -> httpx.Response:
        """Ask the other door."""
        return httpx.get(f"http://localhost:{self.ports[1]}{path}", timeout=10)

    def counted(self, outcome: str) -> int:
        """How many reviews had this outcome."""
        found = re.search(
            rf'^outrider_webhook_reviews_total{{outcome="{outcome}"}} (\d+)', self.health("/metrics").text, re.MULTILINE
        )
        assert found
        return int(found[1])


def write_certificates(folder: Path, now: dt.datetime, *, fresh: bool = False) -> None:
    """Write the entries of the Secret as files, each whole at once; `fresh`: as if there were none."""
    present = {} if fresh else {path.name: path.read_text() for path in folder.iterdir()}
    for name, text in carry_out(decide(present, now, NAMES), present, now, NAMES).items():
        part = folder.with_name(f"{folder.name}-part")
        part.write_text(text)
        part.rename(folder / name)


@contextlib.contextmanager
def running_webhook(folder: Path) -> Iterator[WebhookProcess]:
    """Start the process and give it when both doors are open."""
    command = [sys.executable, "-m", "outrider_operator", "webhook", "--cert-dir", str(folder)]
    command += ["--listen", "localhost:0", "--health", "localhost:0"]
    process = subprocess.Popen(command, env={ENV_CONFIG: json.dumps(INJECTION)}, stderr=subprocess.PIPE, text=True)
    found = WebhookProcess(folder, process)
    opened = threading.Event()

    def read() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            found.log.append(line)
            ports = re.search(r"admission on port (\d+), health on port (\d+)", line)
            if ports:
                found.ports = int(ports[1]), int(ports[2])
                opened.set()
        opened.set()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        assert opened.wait(60)
        assert found.ports != (0, 0), "".join(found.log)
        yield found
    finally:
        process.terminate()
        process.wait(20)
        reader.join(20)
        assert process.stderr is not None
        process.stderr.close()


@pytest.fixture(scope="session")
def webhook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebhookProcess]:
    """A ready webhook."""
    folder = tmp_path_factory.mktemp("certificates")
    write_certificates(folder, dt.datetime.now(dt.UTC))
    with running_webhook(folder) as found:
        until("the webhook has its certificate", lambda: found.health("/readyz").status_code == 200)
        yield found


@pytest.fixture(scope="session")
def api(api_cluster: Cluster) -> Iterator[httpx.Client]:
    """The API server as its administrator, in HTTP."""
    client = api_cluster.api()
    context = ssl.create_default_context(cafile=str(client.authority.crt))
    context.load_cert_chain(client.user.crt, client.user.key)
    with httpx.Client(base_url=client.url, verify=context, timeout=30, trust_env=False) as found:
        yield found


@pytest.fixture
def injected(namespace: Namespace, api: httpx.Client, webhook: WebhookProcess) -> Iterator[Namespace]:
    """A namespace whose pods the API server shows to the webhook, and where "restricted" is enforced."""
    namespace.kubectl("label", "namespace", namespace.name, "pod-security.kubernetes.io/enforce=restricted")
    careless = {"metadata": {"generateName": "probe-"}, "spec": {"containers": [{"name": "train", "image": "i"}]}}
    # Admission learns of a label a moment after that is stored.
    until("restricted is enforced", lambda: create(api, namespace.name, careless).status_code == 403)
    with called(namespace, api, webhook):
        yield namespace


@contextlib.contextmanager
def called(namespace: Namespace, api: httpx.Client, webhook: WebhookProcess) -> Iterator[None]:
    """Have the API server call the webhook for pods of this namespace alone; failures refuse the pod, to be seen."""
    name = f"outrider-test-{uuid.uuid4().hex[:8]}"
    configuration = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [
            {
                "name": "pod.inject.outrider.dev",
                "admissionReviewVersions": ["v1"],
                "clientConfig": {
                    "url": webhook.url("/inject/pod"),
                    "caBundle": base64.b64encode(webhook.ca.encode()).decode(),
                },
                "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace.name}},
                "failurePolicy": "Fail",
                "timeoutSeconds": 10,
                "reinvocationPolicy": "IfNeeded",
                "sideEffects": "None",
            }
        ],
    }
    path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
    api.post(path, json=configuration).raise_for_status()
    try:
        probe = {
            "metadata": {"generateName": "probe-", "annotations": {"outrider.dev/inject": "true"}},
            "spec": {"containers": [{"name": "outrider", "image": "i"}]},
        }

        def effective() -> bool:
            before = webhook.counted("skipped")
            create(api, namespace.name, probe)
            return webhook.counted("skipped") > before

        until("the API server calls the webhook", effective)
        yield
    finally:
        api.delete(f"{path}/{name}").raise_for_status()


def create(api: httpx.Client, namespace: str, pod: dict[str, Any], *, user: str | None = None) -> httpx.Response:
    """Create a pod in a dry run: all of admission, nothing stored."""
    headers = {"Impersonate-User": user} if user else {}
    return api.post(f"/api/v1/namespaces/{namespace}/pods", params={"dryRun": "All"}, json=pod, headers=headers)
