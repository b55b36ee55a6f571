"""Hostile values and broken bytes: what every door's generator draws from. All of it follows from one seed."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any, TypeVar

T = TypeVar("T")

TEXTS = (
    "",
    " ",
    "a",
    "0",
    "-1",
    "null",
    "true",
    "NaN",
    "é",
    "\u0000",
    "\u202e",
    "\U0001f600",
    "\ud800",
    "a" * 300,
    "%00",
    "%2e%2e",
    "..",
    "../../etc/passwd",
    "a/b/c",
    "/",
    "\\",
    "'",
    '"',
    "' OR 1=1 --",
    "{{7*7}}",
    "${x}",
    "<script>",
    "a\nb",
    "a\r\nX: y",
    "x" * 5000,
    "_wandb",
    "_step",
    "__proto__",
    "key.with.dots",
    "%",
    "_",
    "*",
    "?",
    "[",
    "(a+)+$",
    "0" * 400,
    "1e400",
    "-0",
    "9" * 40,
    "2026-01-01T00:00:00",
    "2026-13-45T99:99:99Z",
    "+created_at",
    "-summary_metrics.x",
    "UnVuOnYxOg==",
)
NUMBERS = (
    0,
    1,
    -1,
    2,
    10,
    255,
    256,
    1000,
    65536,
    2**31 - 1,
    2**31,
    -(2**31),
    2**32,
    2**53,
    2**53 + 1,
    2**62,
    2**63 - 1,
    2**63,
    -(2**63),
    -(2**63) - 1,
    2**64,
    10**30,
    10**400,
    0.0,
    -0.0,
    0.5,
    1.5,
    1e-320,
    1e300,
    1e308,
    -1e308,
    float("nan"),
    float("inf"),
    float("-inf"),
)
BYTES = (
    b"\x00",
    b"\xff",
    b"\xc3\x28",
    b"\xed\xa0\x80",
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b":",
    b",",
    b"null",
    b"NaN",
    b"-",
    b"1e999",
    b"\n",
    b"\r\n",
    b"...",
    b"$",
    b"@",
    b"#",
    b"!",
    b"\xef\xbb\xbf",
    b"/*",
    b"0" * 50,
)


class Hostile:
    """One stream of choices. `known`: texts that mean something to the tracker, so that requests get past the doors."""

    def __init__(self, seed: str, known: Sequence[str] = ()) -> None:
        self.random = random.Random(seed)
        self.known = tuple(known)

    def chance(self, share: float) -> bool:
        """True in so many cases."""
        return self.random.random() < share

    def one(self, of: Sequence[T]) -> T:
        """Any of them."""
        return self.random.choice(of)

    def text(self) -> str:
        """A text: known, hostile, or noise."""
        kind = self.random.random()
        if kind < 0.4 and self.known:
            return self.one(self.known)
        if kind < 0.85:
            return self.one(TEXTS)
        return "".join(
            chr(self.random.choice((32, 127, 255, 0x3000, 0xFFFF, 0x10FFFF)) - self.random.randrange(32))
            for _ in range(8)
        )

    def number(self) -> Any:
        """A number, of any size."""
        return self.one(NUMBERS) if self.chance(0.7) else self.random.randrange(-1000, 100_000)

    def value(self, depth: int = 3) -> Any:
        """Anything that JSON (or what is near it) can say."""
        kind = self.random.randrange(8)
        if kind == 0:
            return None
        if kind == 1:
            return self.chance(0.5)
        if kind <= 3:
            return self.number()
        if kind <= 5 or depth == 0:
            return self.text()
        if kind == 6:
            return [self.value(depth - 1) for _ in range(self.random.randrange(4))]
        return {self.text(): self.value(depth - 1) for _ in range(self.random.randrange(4))}

    def deep(self) -> str:
        """JSON text that nests far too deep."""
        depth = self.one((50, 500, 5000, 100_000))
        return self.one((("[", "]"), ('{"a":', "}")))[0] * depth if self.chance(0.3) else "[" * depth + "]" * depth

    def json(self, value: Any) -> bytes:
        """As JSON, now and then in another form: other escapes, half a surrogate as it is, a mark at its beginning."""
        text = json.dumps(value, ensure_ascii=self.chance(0.9))
        return text.encode("utf-8", "surrogatepass")

    def broken(self, body: bytes) -> bytes:
        """The bytes with some cut, doubled, exchanged or put in between."""
        made = bytearray(body)
        for _ in range(self.one((1, 1, 1, 2, 5, 20))):
            at = self.random.randrange(len(made) + 1)
            kind = self.random.randrange(6)
            if kind == 0 and made:
                made[at % len(made)] ^= 1 << self.random.randrange(8)
            elif kind == 1:
                del made[at : at + self.one((1, 1, 4, 64, 1000))]
            elif kind == 2:
                made[at:at] = self.one(BYTES)
            elif kind == 3:
                made[at:at] = made[at : at + self.one((1, 16, 200))] * self.one((1, 2, 50))
            elif kind == 4:
                del made[at:]
            else:
                made[at:at] = self.random.randbytes(self.one((1, 8, 64)))
        return bytes(made)

    def maybe_broken(self, body: bytes, share: float = 0.3) -> bytes:
        """Broken in so many cases."""
        return self.broken(body) if self.chance(share) else body
