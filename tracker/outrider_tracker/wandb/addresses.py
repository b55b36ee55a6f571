"""How a client reached us: what addresses in our answers begin with. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_HOST: Final = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")


def base_url(
    scheme: str, headers: Mapping[str, str], peer: str, *, public_url: str = "", trusted: Sequence[Network] = ()
) -> str:
    """`https://host:port`, without a slash at its end; "" if the client named no host that could be one.

    What a client says of its host goes into the addresses that it alone is answered. Forwarded headers count only from
    a trusted proxy. A proxy that ends TLS and passes on the host of `public_url` needs not even be trusted.
    """
    host = headers.get("host", "")
    if _is_trusted(peer, trusted):
        host = _first(headers.get("x-forwarded-host")) or host
        scheme = _first(headers.get("x-forwarded-proto")).lower() or scheme
    if scheme not in {"http", "https"} or _HOST.fullmatch(host) is None:
        return ""
    if public_url and host.lower() == urlsplit(public_url).netloc.lower():
        return public_url
    return f"{scheme}://{host}"


def _first(header: str | None) -> str:
    """The client's own, where several proxies added to it."""
    return (header or "").partition(",")[0].strip()


def _is_trusted(peer: str, trusted: Sequence[Network]) -> bool:
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return False
    return any(address in network for network in trusted)
