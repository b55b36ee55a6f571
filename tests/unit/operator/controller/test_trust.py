"""Which CAs the controller trusts, and tells the sidecars of templates to trust."""

from __future__ import annotations

import base64
from typing import Any, cast

import pytest

from outrider_operator.controller.certificates import Certificates
from outrider_operator.controller.settings import Settings
from outrider_operator.core.certificate_entries import CA_CERT
from outrider_operator.core.injection_config import InjectionConfig
from outrider_operator.kube.client import Client


class Double:
    """An API server with one Secret."""

    async def get(self, *_: Any) -> dict[str, Any]:
        return {"data": {CA_CERT: base64.b64encode(b"ours").decode()}}


@pytest.mark.parametrize(
    ("ca", "tracker_ca", "injected", "trusted"),
    [(None, "", "ours", "ours"), ("theirs", "theirs", "theirs", "theirs"), ("", "", "", "")],
    ids=["our tracker", "a tracker with its own CA", "a tracker that the image's bundle believes"],
)
async def test_our_own_ca_never_takes_the_place_of_what_was_set(
    ca: str | None, tracker_ca: str, injected: str, trusted: str
) -> None:
    """Our CA signs the webhook's certificate in every install, but a tracker's only in ours."""
    injection = InjectionConfig(tracker_url="https://t.test", image="i", ca=ca)
    settings = Settings("outrider", "me", certificates="certificates", injection=injection, tracker_ca=tracker_ca)
    certificates = Certificates(cast("Client", Double()), settings)
    await certificates.read()
    found = certificates.injection()
    assert found is not None
    assert (found.ca, certificates.bundle) == (injected, trusted)
