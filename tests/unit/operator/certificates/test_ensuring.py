"""The pass that keeps Secret and webhook configuration good, against a double of the API."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Mapping
from typing import Any

import jsonpatch
import pytest

from outrider_operator.core.certificate_entries import CA_CERT
from outrider_operator.core.certificates import Step
from outrider_operator.kube.certificates import MissingSecretError, ensure_certificates, trust_patch

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
NAMES = {"webhook": ("w.o.svc",), "tracker": ("t.o.svc",)}


class Double:
    """One Secret and one configuration."""

    def __init__(self, secret: dict[str, Any] | None, configuration: dict[str, Any] | None) -> None:
        self.secret, self.configuration = secret, configuration
        self.writes: list[str] = []

    async def get_secret(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        assert (namespace, name) == ("outrider", "certificates")
        return self.secret

    async def replace_secret(self, namespace: str, name: str, body: Mapping[str, Any]) -> None:
        assert self.secret is not None
        assert body["metadata"]["resourceVersion"] == self.secret["metadata"]["resourceVersion"]
        self.secret = dict(body)
        self.writes.append("secret")

    async def get_webhook_configuration(self, name: str) -> Mapping[str, Any] | None:
        return self.configuration

    async def patch_webhook_configuration(self, name: str, patch: list[dict[str, Any]]) -> None:
        self.configuration = jsonpatch.apply_patch(self.configuration, patch)
        self.writes.append("configuration")


def double() -> Double:
    binary = base64.b64encode(b"\xff\xfe").decode()
    secret = {"metadata": {"name": "certificates", "resourceVersion": "7"}, "data": {"binary": binary}}
    return Double(secret, {"webhooks": [{"name": n, "clientConfig": {"service": {}}} for n in ("a", "b")]})


async def ensure(api: Double, now: dt.datetime = NOW) -> Step:
    decision = await ensure_certificates(
        api, namespace="outrider", secret="certificates", webhook_configuration="outrider", names=NAMES, now=now
    )
    return decision.step


async def test_an_empty_secret_is_filled_and_every_entry_of_the_webhook_trusts_it() -> None:
    """Then nothing is written any more, until something is due."""
    api = double()
    assert await ensure(api) is Step.ROTATE
    assert api.secret is not None
    assert api.configuration is not None
    bundle = base64.b64decode(api.secret["data"][CA_CERT]).decode()
    assert bundle.startswith("-----BEGIN CERTIFICATE-----")
    assert base64.b64decode(api.secret["data"]["binary"]) == b"\xff\xfe"
    for webhook in api.configuration["webhooks"]:
        assert webhook["clientConfig"] == {"service": {}, "caBundle": api.secret["data"][CA_CERT]}
    api.writes.clear()
    assert await ensure(api) is Step.KEEP
    assert api.writes == []
    assert await ensure(api, NOW + dt.timedelta(days=70)) is Step.ISSUE
    assert api.writes == ["secret"]


async def test_a_configuration_that_helm_has_reset_trusts_again() -> None:
    """An upgrade of the chart writes it without a bundle."""
    api = double()
    await ensure(api)
    assert api.configuration is not None
    del api.configuration["webhooks"][1]["clientConfig"]["caBundle"]
    api.writes.clear()
    assert await ensure(api) is Step.KEEP
    assert api.writes == ["configuration"]


async def test_without_a_webhook_the_certificates_are_made_all_the_same() -> None:
    """A namespaced install has none, and its tracker needs its leaf."""
    api = double()
    api.configuration = None
    assert await ensure(api) is Step.ROTATE
    assert api.writes == ["secret"]


async def test_a_missing_secret_is_said_by_name() -> None:
    """The controller may not create one."""
    with pytest.raises(
        MissingSecretError, match="Secret outrider/certificates does not exist: install the chart again"
    ):
        await ensure(Double(None, None))


def test_the_patch_does_not_touch_another_webhook_that_took_the_place() -> None:
    """Places may change between reading and patching."""
    patch = trust_patch({"webhooks": [{"name": "a", "clientConfig": {}}]}, "PEM")
    with pytest.raises(jsonpatch.JsonPatchTestFailed):
        jsonpatch.apply_patch({"webhooks": [{"name": "other", "clientConfig": {}}]}, patch)
