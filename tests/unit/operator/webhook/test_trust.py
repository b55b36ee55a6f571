"""Which CAs new sidecars are told to trust."""

from __future__ import annotations

import datetime as dt

import pytest

from outrider_operator.core.certificate_entries import CA_CERT, WEBHOOK_CERT, WEBHOOK_KEY
from outrider_operator.core.certificates import carry_out, decide
from outrider_operator.core.injection_config import InjectionConfig
from outrider_operator.webhook.server import Webhook

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
NAMES = {"webhook": ("w.o.svc",)}
DATA = carry_out(decide(None, NOW, NAMES), None, NOW, NAMES)


@pytest.mark.parametrize(("given", "trusted"), [(None, DATA[CA_CERT]), ("PEM of theirs", "PEM of theirs"), ("", "")])
def test_our_own_ca_is_handed_out_only_where_no_other_was_set(given: str | None, trusted: str) -> None:
    """A tracker elsewhere has its own CA, or one that the image knows; our certificate is served all the same."""
    webhook = Webhook(InjectionConfig(tracker_url="https://t.test", image="i", ca=given))
    webhook.use(DATA[WEBHOOK_CERT], DATA[WEBHOOK_KEY], DATA[CA_CERT])
    assert webhook.ready
    assert webhook.config.ca == trusted
    webhook.use(DATA[WEBHOOK_CERT], DATA[WEBHOOK_KEY], "a later bundle")
    assert webhook.config.ca == ("a later bundle" if given is None else trusted)
