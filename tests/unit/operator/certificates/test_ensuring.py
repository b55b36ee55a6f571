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
    """The two Secrets and one configuration."""

    def __init__(self, secrets: dict[str, dict[str, Any]], configuration: dict[str, Any] | None) -> None:
        self.secrets, self.configuration = secrets, configuration
        self.writes: list[str] = []

    async def get_secret(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        assert namespace == "outrider"
        return self.secrets.get(name)

    async def replace_secret(self, namespace: str, name: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        version = self.secrets[name]["metadata"]["resourceVersion"]
        assert body["metadata"] == {"name": name, "resourceVersion": version}, "two writes are one after the other"
        self.secrets[name] = {**body, "metadata": {"name": name, "resourceVersion": f"{version}1"}}
        self.writes.append(name)
        return self.secrets[name]

    def entries(self, name: str) -> dict[str, str]:
        """A Secret's entries as they are stored."""
        found: dict[str, str] = self.secrets[name]["data"]
        return found

    async def get_webhook_configuration(self, name: str) -> Mapping[str, Any] | None:
        return self.configuration

    async def patch_webhook_configuration(self, name: str, patch: list[dict[str, Any]]) -> None:
        self.configuration = jsonpatch.apply_patch(self.configuration, patch)
        self.writes.append("configuration")


def double() -> Double:
    binary = base64.b64encode(b"\xff\xfe").decode()
    secrets: dict[str, dict[str, Any]] = {
        "certificates": {"metadata": {"name": "certificates", "resourceVersion": "7"}, "data": {"binary": binary}},
        "ca": {"metadata": {"name": "ca", "resourceVersion": "3"}},
    }
    return Double(secrets, {"webhooks": [{"name": n, "clientConfig": {"service": {}}} for n in ("a", "b")]})


async def ensure(api: Double, now: dt.datetime = NOW) -> Step:
    decision = await ensure_certificates(
        api,
        namespace="outrider",
        secret="certificates",
        ca_secret="ca",
        webhook_configuration="outrider",
        names=NAMES,
        now=now,
    )
    return decision.step


async def test_an_empty_secret_is_filled_and_every_entry_of_the_webhook_trusts_it() -> None:
    """Then nothing is written any more, until something is due."""
    api = double()
    assert await ensure(api) is Step.ROTATE
    assert api.configuration is not None
    bundle = base64.b64decode(api.entries("certificates")[CA_CERT]).decode()
    assert bundle.startswith("-----BEGIN CERTIFICATE-----")
    assert base64.b64decode(api.entries("certificates")["binary"]) == b"\xff\xfe"
    for webhook in api.configuration["webhooks"]:
        assert webhook["clientConfig"] == {"service": {}, "caBundle": api.entries("certificates")[CA_CERT]}
    assert api.entries("ca").keys() == {"ca.key"}
    assert "ca.key" not in api.entries("certificates")
    assert api.writes == ["ca", "certificates", "ca", "configuration"]
    api.writes.clear()
    assert await ensure(api) is Step.KEEP
    assert api.writes == []
    assert await ensure(api, NOW + dt.timedelta(days=70)) is Step.ISSUE
    assert api.writes == ["certificates"]


async def test_a_key_in_the_secret_that_others_read_is_moved_once() -> None:
    """As an older version left it; the CA, and so what running sidecars trust, stays."""
    api = double()
    await ensure(api)
    before = api.entries("certificates")
    api.secrets["certificates"]["data"] = {**before, **api.entries("ca")}
    api.secrets["ca"]["data"] = {}
    api.writes.clear()
    assert await ensure(api) is Step.KEEP
    assert api.writes == ["ca", "certificates"]
    assert api.entries("ca").keys() == {"ca.key"}
    assert api.entries("certificates") == before
    assert await ensure(api) is Step.KEEP
    assert len(api.writes) == 2


async def test_the_next_cas_key_is_gone_once_it_signs() -> None:
    """Or the CA after it would be the same one."""
    api = double()
    await ensure(api)
    assert await ensure(api, NOW + dt.timedelta(days=3650 - 300)) is Step.PREPARE
    assert api.entries("ca").keys() == {"ca.key", "next-ca.crt", "next-ca.key"}
    following = api.entries("ca")["next-ca.key"]
    assert await ensure(api, NOW + dt.timedelta(days=3650 - 100)) is Step.ROTATE
    assert api.entries("ca") == {"ca.key": following}


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
    assert api.writes == ["ca", "certificates", "ca"]


@pytest.mark.parametrize("name", ["certificates", "ca"])
async def test_a_missing_secret_is_said_by_name(name: str) -> None:
    """The controller may not create one, and writes nothing to the other."""
    api = double()
    del api.secrets[name]
    with pytest.raises(MissingSecretError, match=f"Secret outrider/{name} does not exist: install the chart again"):
        await ensure(api)
    assert api.writes == []


def test_the_patch_does_not_touch_another_webhook_that_took_the_place() -> None:
    """Places may change between reading and patching."""
    patch = trust_patch({"webhooks": [{"name": "a", "clientConfig": {}}]}, "PEM")
    with pytest.raises(jsonpatch.JsonPatchTestFailed):
        jsonpatch.apply_patch({"webhooks": [{"name": "other", "clientConfig": {}}]}, patch)
