"""Append bodies built by hand from docs/protocol.md section 5, independent of the sidecar's and the tracker's code."""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any

MAGIC = b"ORF1"


def frame(header: dict[str, Any], payload: bytes = b"") -> bytes:
    """One frame."""
    text = json.dumps(header).encode()
    return struct.pack("<I", len(text)) + text + payload


def stream(name: str, kind: str = "stdout", **labels: Any) -> bytes:
    """A stream frame."""
    return frame({"t": "stream", "s": name, "labels": {"kind": kind, **labels}})


def data(name: str, generation: int, offset: int, raw: bytes, *, coding: str = "zlib", **changes: Any) -> bytes:
    """A data frame; `changes` replace header fields."""
    payload = zlib.compress(raw) if coding == "zlib" else raw
    header = {
        "t": "data",
        "s": name,
        "g": generation,
        "o": offset,
        "n": len(raw),
        "z": coding,
        "c": len(payload),
        "crc": zlib.crc32(raw),
    }
    return frame({**header, **changes}, payload)


def lost(name: str, generation: int, start: int, stop: int, reason: str = "full volume") -> bytes:
    """A lost frame."""
    return frame({"t": "lost", "s": name, "g": generation, "from": start, "to": stop, "reason": reason})


def body(*frames: bytes) -> bytes:
    """A whole body."""
    return MAGIC + b"".join(frames)
