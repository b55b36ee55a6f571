"""Cutting durable bytes into JSON lines, bounded. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from outrider_sidecar.contract import MAX_LINE
from outrider_tracker.core import jsontext
from outrider_tracker.store.logs import Piece
from outrider_tracker.store.records import LostRange

WINDOW: Final = 1 << 20  # raw bytes decoded in one step


@dataclass(frozen=True, slots=True)
class Cut:
    """Whole lines, and the offset up to which the stream is decoded with them."""

    lines: list[bytes]
    decoded: int
    malformed: int


def cut(stored: Iterable[Piece], start: int, *, closed: bool) -> Cut:
    """Whole lines from `start`. `closed`: nothing can follow, so the last line is whole without a newline.

    A lost range ends a line: what it cut is no JSON and is counted as malformed by the parser. A line beyond MAX_LINE
    is dropped in parts, each counted.
    """
    lines: list[bytes] = []
    malformed = 0
    at, rest = start, b""
    for piece in stored:
        if isinstance(piece, LostRange):
            if rest.strip():
                lines.append(rest)
            at, rest = piece.stop, b""
            continue
        *whole, rest = (rest + piece.data).split(b"\n")
        at += sum(len(line) + 1 for line in whole)
        for line in whole:
            if len(line) > MAX_LINE:
                malformed += 1
            elif line.strip():
                lines.append(line)
        if len(rest) > MAX_LINE:
            malformed += 1
            at, rest = at + len(rest), b""
    if closed and rest:
        lines.append(rest)
        at += len(rest)
    return Cut(lines, at, malformed)


def parse(line: bytes) -> dict[str, Any] | None:
    """The JSON object of a line, or None. Bare NaN and Infinity are allowed: training code writes them."""
    try:
        return jsontext.read_object(line, allow_nan=True)
    except ValueError:
        return None
