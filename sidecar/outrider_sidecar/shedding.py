"""What to give up when more waits on the volume than it may hold. Pure.

Least worth first (contract.KINDS_BY_WORTH from its end), the oldest bytes of each stream, the same part of each stream
of a kind. Only what is needed to come below the limit, with a little room so that not every poll sheds again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from outrider_sidecar import contract

ROOM: Final = 0.05  # of the limit: freed beyond the need

# What a kind that nobody here knows is worth: as little as metrics.
_WORTH: Final[Mapping[str, int]] = {kind: i for i, kind in enumerate(contract.KINDS_BY_WORTH)}


@dataclass(frozen=True, slots=True)
class Holding:
    """Bytes of a stream that wait on the volume."""

    name: str
    kind: str
    waiting: int


def shed(holdings: Sequence[Holding], limit: int) -> dict[str, int]:
    """{stream: bytes to give up from its front}; empty while all that waits is at most `limit`."""
    total = sum(h.waiting for h in holdings)
    if total <= limit:
        return {}
    need = total - limit + min(int(limit * ROOM), limit)
    given: dict[str, int] = {}
    for worth in range(len(contract.KINDS_BY_WORTH), -1, -1):
        group = [h for h in holdings if _WORTH.get(h.kind, len(_WORTH)) == worth and h.waiting]
        have = sum(h.waiting for h in group)
        if not have:
            continue
        take = min(need, have)
        for h in group:
            # Rounded up, so that the sum is never below the need; never more than the stream has.
            given[h.name] = min(h.waiting, -(-h.waiting * take // have))
        need -= take
        if not need:
            break
    return given
