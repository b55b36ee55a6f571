"""What Secrets hold, as text."""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Mapping
from typing import Any

log = logging.getLogger(__name__)


def text_entries(secret: Mapping[str, Any]) -> dict[str, str]:
    """The Secret's text entries; bytes that are no text are left out, since PEM is."""
    out = {}
    for key, value in (secret.get("data") or {}).items():
        try:
            out[key] = base64.b64decode(value).decode()
        except (binascii.Error, UnicodeDecodeError):
            log.warning("Secret %s: the entry %s is no text; left out", secret["metadata"].get("name"), key)
    return out
