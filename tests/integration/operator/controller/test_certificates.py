"""The Secrets of the CA and the certificates at a real API server, whose versions guard each write."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import json

from outrider_operator.controller.certificates import CertificateClient
from outrider_operator.core.certificates import Step, carry_out, decide
from outrider_operator.kube.certificates import ensure_certificates
from outrider_operator.kube.client import Client
from outrider_operator.kube.credentials import from_kubeconfig
from tests.cluster_fixtures import Namespace
from tools.cluster import Cluster

NOW = dt.datetime.now(dt.UTC)
NAMES = {"webhook": ("w.o.svc",), "tracker": ("t.o.svc",)}


def entries(namespace: Namespace, name: str) -> dict[str, str]:
    """A Secret's data, decoded."""
    data = json.loads(namespace.kubectl("get", "secret", name, "-o", "json")).get("data") or {}
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


async def test_both_secrets_are_filled_and_an_older_versions_key_is_moved(
    namespace: Namespace, api_cluster: Cluster
) -> None:
    """Empty, as the chart makes them; and with everything in the first, as an older version left it."""
    older = carry_out(decide(None, NOW, NAMES), None, NOW, NAMES)
    for first, data in (("fresh", {}), ("older", older)):
        for name, given in ((first, data), (f"{first}-ca", {})):
            secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": given}
            await asyncio.to_thread(namespace.apply, secret)
    async with Client(from_kubeconfig(api_cluster.kubeconfig)) as client:
        api = CertificateClient(client)
        steps = []
        for first in ("fresh", "fresh", "older", "older"):
            decision = await ensure_certificates(
                api,
                namespace=namespace.name,
                secret=first,
                ca_secret=f"{first}-ca",
                webhook_configuration="",
                names=NAMES,
                now=NOW,
            )
            steps.append(decision.step)
    assert steps == [Step.ROTATE, Step.KEEP, Step.KEEP, Step.KEEP]
    assert api.bundle == older["ca.crt"]
    shared = {"ca.crt", "webhook.crt", "webhook.key", "tracker.crt", "tracker.key"}
    for first in ("fresh", "older"):
        assert entries(namespace, first).keys() == shared
        assert entries(namespace, f"{first}-ca").keys() == {"ca.key"}
    assert {**entries(namespace, "older"), **entries(namespace, "older-ca")} == older
