"""The declaration of a source: what is said, and what the answer means. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from outrider_sidecar import __version__, contract
from outrider_sidecar.config import Config


@dataclass(frozen=True, slots=True)
class Declared:
    """The tracker's answer: our epoch, its store, and {stream: (newest generation, durable end)}."""

    epoch: int
    incarnation: str
    streams: Mapping[str, tuple[int, int]] = field(default_factory=dict)


def declaration(config: Config, instance: str) -> bytes:
    """The body of the PUT."""
    body = {
        "protocol": contract.PROTOCOL,
        "agent": f"outrider-sidecar/{__version__}",
        "instance": instance,
        "pod": dict(config.pod or {}),
        "owner": dict(config.owner or {}),
    }
    return json.dumps(body, separators=(",", ":")).encode()


def read_declared(body: Mapping[str, object]) -> Declared | None:
    """None where the answer is not one that docs/protocol.md describes."""
    epoch, incarnation, items = body.get("epoch"), body.get("incarnation"), body.get("streams")
    if not isinstance(epoch, int) or not isinstance(incarnation, str) or not isinstance(items, list):
        return None
    if not incarnation.isascii() or not incarnation.isprintable():
        return None  # it goes back in a header
    streams: dict[str, tuple[int, int]] = {}
    for item in items:
        match item:
            case {"name": str(name), "generation": int(generation), "end": int(end)} if generation >= 0 and end >= 0:
                streams[name] = (generation, end)
            case _:
                return None
    return Declared(epoch, incarnation, streams)
