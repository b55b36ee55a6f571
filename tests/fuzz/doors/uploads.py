"""Signed addresses of files."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from tests.fuzz.doors.sent import Sent, odd_headers, quoted
from tests.fuzz.doors.world import World
from tests.fuzz.hostile import Hostile


def requests(hostile: Hostile, world: World) -> Iterator[Sent]:
    """PUTs and GETs at signed addresses, whole, forged and changed; asking for them is GraphQL's."""
    while True:
        address = (
            hostile.one(world.uploads)
            if world.uploads and hostile.chance(0.8)
            else f"/wandb/upload/{quoted(hostile.text())}"
        )
        if hostile.chance(0.2):
            address = "/" + hostile.broken(address.encode()).decode("latin-1").lstrip("/")
            address = quote(address, safe="/?=&.%-_")
        body = hostile.one((b"", b"x", hostile.random.randbytes(1000), b"{}", bytes(3 << 20)))
        headers = odd_headers(hostile)
        if hostile.chance(0.4):
            headers["Content-MD5"] = hostile.one(("", "x", "1B2M2Y8AsgTpgAmY7PhCfg==", "\u00ff"))
        if hostile.chance(0.3):
            headers["Range"] = hostile.one(
                ("bytes=0-", "bytes=-1", "bytes=5-1", "bytes=0-0,2-3", "bytes=" + "9" * 30 + "-", "x", "bytes=-")
            )
        if hostile.chance(0.2):
            headers["Content-Encoding"] = hostile.one(("gzip", "x"))
        fitting = "PUT" if address.startswith("/wandb/upload/") else "GET"
        method = fitting if hostile.chance(0.8) else hostile.one(("PUT", "GET", "HEAD", "POST", "DELETE"))
        yield Sent(method, address, headers, body if method in {"PUT", "POST"} else None)
