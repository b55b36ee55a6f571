"""Short signed texts: sessions and upload addresses. HMAC-SHA-256 with the store's own secret."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable


class HmacSigner:
    """See services.Signer."""

    def __init__(self, secret: bytes, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._clock = clock

    def sign(self, purpose: str, value: str, expires: int) -> str:
        """`<value>.<expires>.<signature>` in URL-safe characters."""
        body = f"{_encode(value.encode())}.{expires}"
        return f"{body}.{self._signature(purpose, body)}"

    def verify(self, purpose: str, token: str) -> str | None:
        """The value, if the signature is ours for this purpose and the time has not come."""
        body, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(purpose, body).encode()):
            return None
        value, _, expires = body.rpartition(".")
        if self._clock() >= int(expires):
            return None
        return _decode(value)

    def _signature(self, purpose: str, body: str) -> str:
        return _encode(hmac.new(self._secret, f"{purpose}\n{body}".encode(), hashlib.sha256).digest())


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decode(text: str) -> str | None:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
