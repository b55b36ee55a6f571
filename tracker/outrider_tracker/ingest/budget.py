"""Bytes of request bodies that may be in memory at one time."""

from __future__ import annotations

from typing import Final

DEFAULT: Final = 256 << 20


class ByteBudget:
    """Taken and given back by the event loop alone; nobody waits: who gets none is told to come back."""

    def __init__(self, limit: int = DEFAULT) -> None:
        self.limit = limit
        self.taken = 0

    def take(self, amount: int) -> bool:
        """Takes `amount` bytes, or nothing if there are not so many left."""
        if self.taken + amount > self.limit:
            return False
        self.taken += amount
        return True

    def give(self, amount: int) -> None:
        """Gives bytes back."""
        self.taken -= amount
