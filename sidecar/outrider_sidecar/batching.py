"""Which bytes of which streams go into the next request. Pure.

Events go first and as far as the budget goes, because a rank's end is worth more than its last megabyte. The other
streams share what is left evenly: a chatty rank cannot starve a quiet one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from outrider_sidecar import contract

# Raw bytes of one request: what keeps the process small (a body is held in memory once) and still fills a link.
BATCH_RAW: Final = 2 << 20
# Streams of one request: with headers at their bound the body still stays under contract.MAX_BODY.
MAX_STREAMS: Final = 512


@dataclass(frozen=True, slots=True)
class Waiting:
    """A stream with something to say: `available` bytes to send (0: only a lost range). `served`: when it last was."""

    name: str
    kind: str
    available: int
    served: int = 0


def plan(waiting: Sequence[Waiting], budget: int = BATCH_RAW) -> list[tuple[str, int]]:
    """(stream, raw bytes) of the next request, in the order they are written; bytes sum to at most `budget`."""
    order = sorted(waiting, key=lambda w: (w.kind != contract.KIND_EVENTS, w.served))[:MAX_STREAMS]
    events = [w for w in order if w.kind == contract.KIND_EVENTS]
    others = order[len(events) :]
    shares = share([w.available for w in events], budget)
    shares += share([w.available for w in others], budget - sum(shares))
    return [(w.name, n) for w, n in zip(order, shares, strict=True) if n or not w.available]


def share(wants: Sequence[int], budget: int) -> list[int]:
    """Divide `budget`: everyone gets the same, what one does not need goes to the others; earlier ones get the rest."""
    got = [0] * len(wants)
    left = max(0, budget)
    hungry = [i for i, want in enumerate(wants) if want > 0]
    while hungry and left:
        each = max(1, left // len(hungry))
        for i in hungry:
            n = min(each, wants[i] - got[i], left)
            got[i] += n
            left -= n
        hungry = [i for i in hungry if got[i] < wants[i]]
    return got


def cut(data: bytes, *, more: bool) -> int:
    """How many of the bytes read to send: to the last line's end where more is there anyway, else all."""
    if not more:
        return len(data)
    return data.rfind(b"\n") + 1 or len(data)
