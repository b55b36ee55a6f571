"""The secret in an Authorization header: an API key or a token, in either of the two forms that clients know."""

from __future__ import annotations

import base64
import binascii


def secret_of(header: str) -> str | None:
    """The secret of `Bearer <secret>`, or of `Basic` as W&B's clients send it (user `api`, the secret as password).

    None: the header holds none. Who stands as user of Basic does not count: the secret says who it is.
    """
    scheme, _, rest = header.partition(" ")
    rest = rest.strip()
    if scheme.lower() == "bearer":
        return rest or None
    if scheme.lower() != "basic":
        return None
    try:
        _, _, secret = base64.b64decode(rest, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return secret.strip() or None
