"""Frames of an append request (docs/protocol.md, section 5): header and payload as bytes. Pure."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping
from typing import Any

from outrider_sidecar import contract


def _frame(header: Mapping[str, Any], payload: bytes = b"") -> bytes:
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    return struct.pack("<I", len(text)) + text + payload


def stream(name: str, labels: Mapping[str, str | int]) -> bytes:
    """Declares a stream. A label that would not fit into a header is left out: the name alone identifies."""
    kept: dict[str, str | int] = {}
    room = contract.MAX_FRAME_HEADER - len(name) - 64
    for key, value in labels.items():
        room -= len(json.dumps({key: value}, ensure_ascii=False).encode())
        if room >= 0:
            kept[key] = value
    return _frame({"t": contract.FRAME_STREAM, "s": name, "labels": kept})


def data(name: str, generation: int, offset: int, raw: bytes) -> bytes:
    """One piece of a stream, at most MAX_FRAME_RAW, compressed where that makes it smaller."""
    packed, how = zlib.compress(raw, 1), "zlib"
    if len(packed) >= len(raw):
        packed, how = raw, "none"
    header = {
        "t": contract.FRAME_DATA,
        "s": name,
        "g": generation,
        "o": offset,
        "n": len(raw),
        "z": how,
        "c": len(packed),
        "crc": zlib.crc32(raw),
    }
    return _frame(header, packed)


def lost(name: str, generation: int, start: int, end: int, reason: str) -> bytes:
    """Says that the bytes [start, end) will never come, and why."""
    header = {"t": contract.FRAME_LOST, "s": name, "g": generation, "from": start, "to": end, "reason": reason}
    return _frame(header)
