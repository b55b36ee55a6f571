"""The directory of an extent: its blocks in order, as fixed-size entries. Also the sparse time index of the range."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_ENTRY: Final = struct.Struct("<IIBd")
_CODINGS: Final = ("none", "zlib")


@dataclass(frozen=True, slots=True)
class Block:
    """`length` raw bytes from `start`, coded in `stored` bytes at `position` of the object."""

    start: int
    length: int
    position: int
    stored: int
    coding: str
    received: float


def pack(blocks: Sequence[Block]) -> bytes:
    """The entries of contiguous blocks."""
    return b"".join(
        _ENTRY.pack(block.length, block.stored, _CODINGS.index(block.coding), block.received) for block in blocks
    )


def unpack(start: int, position: int, directory: bytes) -> list[Block]:
    """The blocks of an extent that begins at raw offset `start` and at `position` of its object."""
    blocks: list[Block] = []
    for length, stored, coding, received in _ENTRY.iter_unpack(directory):
        blocks.append(Block(start, length, position, stored, _CODINGS[coding], received))
        start += length
        position += stored
    return blocks


def decode(coding: str, payload: bytes) -> bytes:
    """Raw bytes of a stored frame or block (checked when it came)."""
    return zlib.decompress(payload) if coding == "zlib" else payload
