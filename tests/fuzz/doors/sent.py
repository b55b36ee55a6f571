"""A request, and what the requests of every door are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from tests.fuzz.hostile import Hostile


@dataclass(frozen=True)
class Sent:
    """One request."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None = None
    learn: Callable[[bytes], None] | None = None
    """Is given the answer's body, if the status is 200."""


def odd_headers(hostile: Hostile) -> dict[str, str]:
    """Few of them, rarely."""
    if hostile.chance(0.9):
        return {}
    name = hostile.one(
        (
            "Accept",
            "Cookie",
            "X-Forwarded-For",
            "X-Forwarded-Host",
            "Host",
            "X-WANDB-USERNAME",
            "Origin",
            "X-WANDB-CLIENT-ID",
            "Accept-Encoding",
            "If-None-Match",
            "Authorization",
        )
    )
    return {
        name: hostile.one(
            ("", "x", "a" * 4000, "\u00ff\u00fe", "http://[::1", "*", "Basic !", "Bearer ", "session=x; session=y")
        )
    }


def quoted(text: str) -> str:
    """As a part of a path, whatever it is."""
    return quote(text.encode("utf-8", "surrogatepass"), safe="")
