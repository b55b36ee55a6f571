"""`Range` of RFC 9110, one range of bytes: pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_ONE: Final = re.compile(r"^bytes=([0-9]{0,18})-([0-9]{0,18})$")


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes [start, stop) of `size`."""

    start: int
    stop: int
    size: int

    @property
    def content_range(self) -> str:
        """The value of `Content-Range`."""
        return f"bytes {self.start}-{self.stop - 1}/{self.size}"


class UnsatisfiableError(ValueError):
    """The range lies beyond the content."""


def parse(header: str | None, size: int) -> Span | None:
    """The asked part of `size` bytes, or None for all of it.

    A header that is no single range of bytes is ignored, as RFC 9110 allows. Raises UnsatisfiableError where the range
    begins beyond the end.
    """
    match = _ONE.match(header.strip()) if header else None
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        length = int(last)
        if length == 0 or size == 0:
            raise UnsatisfiableError(header)
        return Span(max(0, size - length), size, size)
    start = int(first)
    stop = size if not last else min(int(last) + 1, size)
    if last and int(last) < start:
        return None
    if start >= size:
        raise UnsatisfiableError(header)
    return Span(start, stop, size)
