"""How far a source's clock is off, in bounds that are certain. Pure.

A request is sent after our last answer to its source and before we receive it, both by our clock; its `Outrider-Wall`
is the source's clock at that moment W. So (ours - theirs) lies between (last answer - W) and (received - W). Requests
narrow the bounds; a step of the source's wall clock (seen against its monotonic clock) starts them anew, and drift
widens them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DRIFT: Final = 100e-6  # seconds a second: more than any clock of a server drifts
STEP_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class ClockBounds:
    """`low` <= ours - theirs <= `high`, seconds; `base` = their wall - their monotonic clock."""

    low: float
    high: float
    base: float

    @property
    def offset(self) -> float:
        """The best guess of ours - theirs."""
        return (self.low + self.high) / 2

    @property
    def error(self) -> float:
        """How far the guess may be off."""
        return (self.high - self.low) / 2


@dataclass(frozen=True, slots=True)
class Contact:
    """One request: our clock when our last answer left (None: unknown) and when it came; their clocks."""

    answered: float | None
    received: float
    wall: float
    mono: float


def narrow(bounds: ClockBounds | None, contact: Contact, since: float) -> ClockBounds | None:
    """The bounds with one more contact, `since` seconds after the last. None while nothing bounds from below."""
    high = contact.received - contact.wall
    low = None if contact.answered is None else contact.answered - contact.wall
    base = contact.wall - contact.mono
    if bounds is not None and abs(base - bounds.base) <= STEP_SECONDS + DRIFT * since:
        wider = DRIFT * max(0.0, since)
        old_low, old_high = bounds.low - wider, bounds.high + wider
        narrowed = ClockBounds(old_low if low is None else max(old_low, low), min(old_high, high), base)
        if narrowed.low <= narrowed.high:
            return narrowed
    return None if low is None else ClockBounds(low, high, base)
