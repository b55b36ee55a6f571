"""Names of the entries of the two Secrets; apart, so that the webhook reads its own without the cryptography."""

from __future__ import annotations

from typing import Final

CA_CERT: Final = "ca.crt"
CA_KEY: Final = "ca.key"
WEBHOOK_CERT: Final = "webhook.crt"
WEBHOOK_KEY: Final = "webhook.key"
TRACKER_CERT: Final = "tracker.crt"
TRACKER_KEY: Final = "tracker.key"
LEAVES: Final = {"webhook": (WEBHOOK_CERT, WEBHOOK_KEY), "tracker": (TRACKER_CERT, TRACKER_KEY)}

NEXT_CERT: Final = "next-ca.crt"
NEXT_KEY: Final = "next-ca.key"
AUTHORITY: Final = frozenset({CA_KEY, NEXT_CERT, NEXT_KEY})
"""What signs: entries of the Secret that the controller alone may read."""
