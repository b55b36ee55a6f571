"""Keeps the Secrets of the CA and the certificates good, and the webhook's configuration trusting it.

The holder of the Lease calls it.
"""

from __future__ import annotations

import base64
import datetime as dt
import logging
from collections.abc import Mapping
from typing import Any, Protocol

from outrider_operator.core.certificate_entries import AUTHORITY, CA_CERT
from outrider_operator.core.certificate_secrets import join, writes
from outrider_operator.core.certificates import Decision, Names, Step, carry_out, decide
from outrider_operator.kube.secrets import text_entries

log = logging.getLogger(__name__)


class CertificateApi(Protocol):
    """What is needed of the API server. Each method raises what its client raises; the caller tries again."""

    async def get_secret(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        """The Secret, or None where it does not exist."""
        ...

    async def replace_secret(self, namespace: str, name: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Replace the Secret at the resourceVersion that the body names, and give its new form; a conflict raises."""
        ...

    async def get_webhook_configuration(self, name: str) -> Mapping[str, Any] | None:
        """The MutatingWebhookConfiguration, or None where it does not exist."""
        ...

    async def patch_webhook_configuration(self, name: str, patch: list[dict[str, Any]]) -> None:
        """Apply a JSON patch to it."""
        ...


class MissingSecretError(RuntimeError):
    """A Secret that the chart makes does not exist."""


async def ensure_certificates(
    api: CertificateApi,
    *,
    namespace: str,
    secret: str,
    ca_secret: str,
    webhook_configuration: str,
    names: Names,
    now: dt.datetime,
) -> Decision:
    """Do the next step about the certificates, and make the webhook's configuration trust the bundle.

    The configuration trusts a new CA before the webhook can serve a leaf of it, except where there was no usable CA at
    all: then admissions fail open until both are done.

    Args:
        api: the API server.
        namespace: of both Secrets, which must exist, if empty.
        secret: name of the one with the bundle and the leaves.
        ca_secret: name of the one with the keys that sign, which nobody else may read.
        webhook_configuration: name of the MutatingWebhookConfiguration.
        names: DNS names of each leaf.
        now: aware.

    Returns:
        What was decided; call again at once unless it is KEEP, then once an hour.

    Raises:
        MissingSecretError: a Secret does not exist; says which.

    """
    found = {name: await _existing(api, namespace, name) for name in (secret, ca_secret)}
    shared, authority = text_entries(found[secret]), text_entries(found[ca_secret])
    data = join(shared, authority)
    decision = decide(data, now, names)
    if decision.step is not Step.KEEP:
        log.info("certificates in Secret %s/%s: %s (%s)", namespace, secret, decision.step, decision.why)
        data = carry_out(decision, data, now, names)
    if AUTHORITY & shared.keys():
        log.info("the CA's key moves from Secret %s/%s to %s, where nobody else reads", namespace, secret, ca_secret)
    for write in writes(shared, authority, data):
        name = ca_secret if write.authority else secret
        found[name] = await api.replace_secret(namespace, name, _with(found[name], write.entries))
    await _trust(api, webhook_configuration, data[CA_CERT])
    return decision


async def _existing(api: CertificateApi, namespace: str, name: str) -> Mapping[str, Any]:
    found = await api.get_secret(namespace, name)
    if found is None:
        raise MissingSecretError(f"Secret {namespace}/{name} does not exist: install the chart again, it makes it")
    return found


async def _trust(api: CertificateApi, name: str, bundle: str) -> None:
    configuration = await api.get_webhook_configuration(name)
    if configuration is None:
        log.warning("MutatingWebhookConfiguration %s does not exist: no pod is injected at admission", name)
        return
    patch = trust_patch(configuration, bundle)
    if patch:
        await api.patch_webhook_configuration(name, patch)
        log.info("MutatingWebhookConfiguration %s trusts the CA", name)


def trust_patch(configuration: Mapping[str, Any], bundle: str) -> list[dict[str, Any]]:
    """The JSON patch that gives every webhook of the configuration the bundle; empty where all have it.

    It names what it expects at each place, so that a configuration that was changed meanwhile is not patched by index.
    """
    encoded = base64.b64encode(bundle.encode()).decode()
    patch: list[dict[str, Any]] = []
    for index, webhook in enumerate(configuration.get("webhooks") or ()):
        if webhook.get("clientConfig", {}).get("caBundle") != encoded:
            patch += [
                {"op": "test", "path": f"/webhooks/{index}/name", "value": webhook["name"]},
                {"op": "add", "path": f"/webhooks/{index}/clientConfig/caBundle", "value": encoded},
            ]
    return patch


def _with(secret: Mapping[str, Any], entries: Mapping[str, str]) -> dict[str, Any]:
    """The Secret with these text entries and no other; what is no text stays."""
    text = text_entries(secret).keys()
    binary = {key: value for key, value in (secret.get("data") or {}).items() if key not in text}
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in entries.items()}
    return {**secret, "data": {**binary, **encoded}}
