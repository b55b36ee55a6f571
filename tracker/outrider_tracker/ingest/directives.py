"""What the tracker asks of a sidecar: kept in memory, numbered so that a restart does not confuse those who wait."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Hashable, Mapping
from typing import Any, Final

MAX_SOURCES: Final = 10_000
MAX_EACH: Final = 32


def topic(source: str) -> tuple[str, str]:
    """The notifier's topic of a source's directives."""
    return ("directives", source)


class DirectiveBoard:
    """Directives of each source, the newest MAX_EACH. They are hints: a forgotten one costs time, never data."""

    def __init__(self) -> None:
        # Numbers grow over restarts, since time does.
        self._number = time.time_ns() // 1_000_000
        self._of: OrderedDict[Hashable, deque[tuple[int, Mapping[str, Any]]]] = OrderedDict()

    def post(self, source: str, directive: Mapping[str, Any]) -> int:
        """Adds a directive; its number."""
        self._number += 1
        self._of.setdefault(source, deque(maxlen=MAX_EACH)).append((self._number, directive))
        self._of.move_to_end(source)
        while len(self._of) > MAX_SOURCES:
            self._of.popitem(last=False)
        return self._number

    def after(self, source: str, number: int) -> tuple[int, list[Mapping[str, Any]]]:
        """(newest number, directives behind `number`), oldest first."""
        found = [(own, directive) for own, directive in self._of.get(source, ()) if own > number]
        return (found[-1][0] if found else number), [directive for _, directive in found]


def pace(active: int, *, watched: bool) -> float:
    """Seconds between a sidecar's flushes: 0.5 when somebody looks or few pods write, up to 5 for thousands. Pure."""
    return 0.5 if watched else min(5.0, max(0.5, active / 1000))
