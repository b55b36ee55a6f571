"""The keys that a cluster signs its service accounts' tokens with: from a file or an address, cached."""

from __future__ import annotations

import ssl
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Final

import jwt

MAX_BYTES: Final = 1 << 20
MEDIA_TYPES: Final = "application/jwk-set+json, application/json;q=0.9"  # an API server offers the first alone
REFRESH_SECONDS: Final = 3600.0
RETRY_SECONDS: Final = 10.0  # an unknown key is looked for at most this often
TIMEOUT_SECONDS: Final = 5.0


class KeysUnavailableError(Exception):
    """The keys cannot be had now; whether a token is good is unknown."""


def fetch(source: str, token_file: Path | None, ca_file: Path | None) -> bytes:
    """The JWKS document from a path, or from an https address with a bearer token that is read anew each time."""
    if not source.startswith(("https://", "http://")):
        return Path(source).read_bytes()
    request = urllib.request.Request(source, headers={"Accept": MEDIA_TYPES})  # noqa: S310  scheme is checked
    if token_file is not None:
        request.add_header("Authorization", f"Bearer {token_file.read_text().strip()}")
    context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    # Python 3.13 refuses certificates without key identifiers, which the authorities of many clusters leave out.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS, context=context) as answer:  # noqa: S310
        data: bytes = answer.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"the key set is over {MAX_BYTES} bytes")
    return data


class KeySet:
    """Keys by their id. Blocking; safe from several threads."""

    def __init__(self, load: Callable[[], bytes], clock: Callable[[], float] = time.monotonic) -> None:
        self._load = load
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: dict[str, jwt.PyJWK] = {}
        self._loaded: float | None = None
        self._tried: float | None = None
        self._failure = "the key set was never read"

    def key(self, kid: str) -> jwt.PyJWK | None:
        """The key, or None if the cluster does not know it. KeysUnavailableError: that cannot be told now."""
        with self._lock:
            if self._loaded is None or kid not in self._keys or self._clock() - self._loaded > REFRESH_SECONDS:
                self._refresh()
            found = self._keys.get(kid)
            # Without the newest document an unknown key may well be a good one.
            if found is None and (self._loaded is None or self._loaded != self._tried):
                raise KeysUnavailableError(self._failure)
            return found

    def _refresh(self) -> None:
        now = self._clock()
        if self._tried is not None and now - self._tried < RETRY_SECONDS:
            return
        self._tried = now
        try:
            document = jwt.PyJWKSet.from_json(self._load().decode())
        except (OSError, ValueError, jwt.PyJWTError) as error:
            self._failure = f"the cluster's key set cannot be read: {error}"
            return
        self._keys = {key.key_id: key for key in document.keys if key.key_id}
        self._loaded = now
