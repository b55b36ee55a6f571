"""Certificates of a living webhook: waiting for the first, swapping under load, following the Secret."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime as dt
import json
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
from cryptography import x509

from outrider_operator.core.certificate_entries import CA_CERT, NEXT_CERT, WEBHOOK_CERT
from outrider_operator.kube.credentials import from_kubeconfig
from outrider_operator.kube.secret_watch import watch_secret
from tests.cluster_fixtures import Namespace
from tests.integration.operator.webhook.conftest import (
    WebhookProcess,
    closed,
    connections,
    running_webhook,
    until,
    write_certificates,
)
from tools.cluster import Cluster

NOW = dt.datetime.now(dt.UTC)
REVIEW: dict[str, Any] = {
    "apiVersion": "admission.k8s.io/v1",
    "kind": "AdmissionReview",
    "request": {
        "uid": "1",
        "operation": "CREATE",
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "object": {
            "metadata": {"labels": {"outrider.dev/inject": "true"}},
            "spec": {"containers": [{"name": "train", "image": "i", "command": ["x"]}]},
        },
    },
}


@pytest.fixture
def own(tmp_path: Path) -> Iterator[WebhookProcess]:
    """A webhook without a certificate."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    with running_webhook(folder) as found:
        yield found


def served_by(webhook: WebhookProcess) -> int:
    """Serial number of the certificate that a new handshake shows."""
    return x509.load_pem_x509_certificate(
        ssl.get_server_certificate(("localhost", webhook.ports[0])).encode()
    ).serial_number


def serial(webhook: WebhookProcess) -> int:
    """Serial number of the certificate in the folder."""
    return x509.load_pem_x509_certificate((webhook.folder / WEBHOOK_CERT).read_bytes()).serial_number


def test_it_is_ready_when_it_has_a_certificate_and_not_before(own: WebhookProcess) -> None:
    """Alive all the time; a Service sends it nothing before."""
    assert own.health("/healthz").status_code == 200
    answer = own.health("/readyz")
    assert (answer.status_code, answer.text) == (
        503,
        "no certificate yet: the controller has not filled the Secret\n",
    )
    write_certificates(own.folder, NOW)
    until("ready", lambda: own.health("/readyz").status_code == 200)
    assert served_by(own) == serial(own)


async def test_a_new_certificate_is_taken_under_load_and_no_review_is_lost(own: WebhookProcess) -> None:
    """A leaf on its last day is renewed while reviews come on kept and on new connections."""
    long_ago = NOW - dt.timedelta(days=89)
    write_certificates(own.folder, long_ago)
    until("ready", lambda: own.health("/readyz").status_code == 200)
    bundle, first = own.ca, serial(own)
    context = ssl.create_default_context(cadata=bundle)
    done, answered, one_more = asyncio.Event(), 0, asyncio.Condition()

    async def ask(*, keep: bool) -> None:
        nonlocal answered
        connector = aiohttp.TCPConnector(ssl=context, force_close=not keep)
        async with aiohttp.ClientSession(connector=connector) as session:
            while not done.is_set():
                async with session.post(own.url("/inject/pod"), json=REVIEW) as response:
                    assert response.status == 200
                    assert "patch" in (await response.json())["response"]
                async with one_more:
                    answered += 1
                    one_more.notify_all()

    async def so_many_more(reviews: int) -> None:
        enough = answered + reviews
        async with one_more:
            await one_more.wait_for(lambda: answered >= enough)

    async def swap() -> None:
        try:
            async with asyncio.timeout(60):
                await so_many_more(20)
                write_certificates(own.folder, NOW)
                assert serial(own) != first
                await asyncio.to_thread(until, "the new one is served", lambda: served_by(own) == serial(own))
                await so_many_more(20)
        finally:
            done.set()

    await asyncio.gather(*(ask(keep=keep) for keep in (True, True, False)), swap())
    await closed(own.ports[0])
    assert own.counted("failed") == 0


def test_a_broken_pair_is_refused_and_the_old_one_served_on(own: WebhookProcess) -> None:
    """The log says it; the next good pair is taken."""
    write_certificates(own.folder, NOW)
    until("ready", lambda: own.health("/readyz").status_code == 200)
    first = served_by(own)
    (own.folder / WEBHOOK_CERT).write_text("no PEM")
    until("it is said", lambda: "the new certificate is unusable, the old one stays in use" in "".join(own.log))
    assert served_by(own) == first
    write_certificates(own.folder, NOW, fresh=True)
    until("the next one is served", lambda: served_by(own) == serial(own) != first)


def test_new_pods_trust_the_bundle_of_the_moment(own: WebhookProcess) -> None:
    """The sidecar gets what the Secret says when its pod is made."""
    write_certificates(own.folder, NOW - dt.timedelta(days=3650 - 300))
    until("ready", lambda: own.health("/readyz").status_code == 200)
    before = own.ca
    assert ca_of_a_new_pod(own, before) == before
    write_certificates(own.folder, NOW)
    assert (own.folder / NEXT_CERT).exists()
    assert own.ca.startswith(before)
    assert own.ca != before
    until("the longer bundle is given", lambda: ca_of_a_new_pod(own, before) == own.ca)


def ca_of_a_new_pod(webhook: WebhookProcess, trusted: str) -> str:
    """OUTRIDER_CA in the patch for a pod."""
    context = ssl.create_default_context(cadata=trusted)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # a leaf this old may have ended; here only the answer matters
    answer = httpx.post(webhook.url("/inject/pod"), json=REVIEW, verify=context, timeout=30, trust_env=False).json()
    patch = json.loads(base64.b64decode(answer["response"]["patch"]))
    (containers,) = [operation["value"] for operation in patch if operation["path"] == "/spec/initContainers"]
    return next(str(item["value"]) for item in containers[0]["env"] if item["name"] == "OUTRIDER_CA")


async def test_the_secret_is_followed_from_before_it_exists_through_changes(
    namespace: Namespace, api_cluster: Cluster
) -> None:
    """At a real API server: nothing, made, changed, deleted and made again."""
    credentials = from_kubeconfig(api_cluster.kubeconfig)
    port = httpx.URL(credentials.server).port or 443
    others = connections(port)
    seen: asyncio.Queue[Mapping[str, str]] = asyncio.Queue()

    async def follow() -> None:
        async for data in watch_secret(credentials, namespace.name, "certificates"):
            seen.put_nowait(data)

    following = asyncio.create_task(follow())
    try:
        for step, value in (("apply", "one"), ("apply", "two"), ("delete", ""), ("apply", "three")):
            secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "certificates"}}
            if step == "apply":
                await asyncio.to_thread(namespace.apply, {**secret, "stringData": {CA_CERT: value}})
                assert await asyncio.wait_for(seen.get(), 30) == {CA_CERT: value}
            else:
                await asyncio.to_thread(namespace.kubectl, "delete", "secret", "certificates")
        other = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "other"}, "stringData": {"a": "b"}}
        await asyncio.to_thread(namespace.apply, other)
        await asyncio.to_thread(namespace.kubectl, "delete", "secret", "other")
        assert seen.empty()
    finally:
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following
        await closed(port, others)
