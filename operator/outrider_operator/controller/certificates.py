"""The Lease holder's care for the CA and the certificates, and the CAs that injected sidecars are told to trust."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import logging
from collections.abc import Mapping
from typing import Any, Final

from outrider_operator.controller.settings import Settings
from outrider_operator.core.certificate_entries import CA_CERT
from outrider_operator.core.certificates import Step
from outrider_operator.core.injection_config import InjectionConfig
from outrider_operator.kube.api import ApiError, NotFound, Resource, Unreachable
from outrider_operator.kube.certificates import MissingSecretError, ensure_certificates
from outrider_operator.kube.client import Client

log = logging.getLogger(__name__)

SECRETS: Final = Resource("", "v1", "secrets")
WEBHOOKS: Final = Resource("admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations", namespaced=False)
AGAIN: Final = 5.0
HOURLY: Final = 3600.0


class CertificateClient:
    """What ``ensure_certificates`` asks of the API server, over our client."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.bundle = ""
        """The CAs of the Secret when it was last read, as PEM text."""

    def _keep(self, secret: Mapping[str, Any]) -> None:
        encoded = (secret.get("data") or {}).get(CA_CERT)
        if encoded:
            self.bundle = base64.b64decode(encoded).decode()

    async def get_secret(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        """The Secret, or None."""
        try:
            secret = await self._client.get(SECRETS, namespace, name)
        except NotFound:
            return None
        self._keep(secret)
        return secret

    async def replace_secret(self, namespace: str, name: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Replace it at the body's resourceVersion."""
        written = await self._client.replace(SECRETS, namespace, name, dict(body))
        self._keep(written)
        return written

    async def get_webhook_configuration(self, name: str) -> Mapping[str, Any] | None:
        """The configuration, or None; an empty one where this install has no webhook."""
        if not name:
            return {}
        try:
            return await self._client.get(WEBHOOKS, None, name)
        except NotFound:
            return None

    async def patch_webhook_configuration(self, name: str, patch: list[dict[str, Any]]) -> None:
        """Apply a JSON patch."""
        await self._client.json_patch(WEBHOOKS, None, name, patch)


class Certificates:
    """Keeps them in order while this process leads, and gives injection settings with the CAs of now."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self._api, self._settings = CertificateClient(client), settings

    @property
    def bundle(self) -> str:
        """The CAs that the tracker's certificate may be signed by, as PEM text.

        What the administrator set is never replaced by our own CA. Empty: the image's own bundle, or our own CA before
        the Secret was read.
        """
        injection = self._settings.injection
        if self._settings.tracker_ca:
            return self._settings.tracker_ca
        if injection is not None and injection.ca is not None:
            return injection.ca
        return self._api.bundle

    def injection(self) -> InjectionConfig | None:
        """What is injected into templates now."""
        config = self._settings.injection
        if config is None or config.ca is not None or not self._api.bundle:
            return config
        return config.with_ca(self._api.bundle)

    async def read(self) -> None:
        """Read the Secret once, so that the first passes know the CAs."""
        if self._settings.certificates:
            try:
                await self._api.get_secret(self._settings.namespace, self._settings.certificates)
            except (ApiError, Unreachable) as error:
                log.warning("Secret %s/%s: %s", self._settings.namespace, self._settings.certificates, error)

    async def keep(self) -> None:
        """Do what is due until cancelled."""
        settings = self._settings
        names = {
            leaf: given
            for leaf, given in (("webhook", settings.webhook_names), ("tracker", settings.tracker_names))
            if given
        }
        while True:
            wait = HOURLY
            try:
                decision = await ensure_certificates(
                    self._api,
                    namespace=settings.namespace,
                    secret=settings.certificates,
                    ca_secret=settings.ca_secret,
                    webhook_configuration=settings.webhook_configuration,
                    names=names,
                    now=dt.datetime.now(dt.UTC),
                )
                if decision.step is not Step.KEEP:
                    wait = 0.0
            except (ApiError, Unreachable, MissingSecretError) as error:
                wait = AGAIN
                log.error("certificates: %s; next try in %.0f s", error, wait)
            await asyncio.sleep(wait)
