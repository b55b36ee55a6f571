"""What the tracker asks of a sidecar: kept in memory, numbered so that a restart does not confuse those who wait."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

MAX_SOURCES: Final = 10_000
MAX_EACH: Final = 32


def topic(source: str) -> tuple[str, str]:
    """The notifier's topic of a source's directives."""
    return ("directives", source)


@dataclass(slots=True)
class _Posted:
    """What one source is asked; `answered`: the newest number that an answer to it has carried."""

    directives: deque[tuple[int, Mapping[str, Any]]] = field(default_factory=lambda: deque(maxlen=MAX_EACH))
    answered: int = 0


class DirectiveBoard:
    """Directives of each source, the newest MAX_EACH. They are hints: a forgotten one costs time, never data.

    Belongs to the event loop. `publish` wakes who waits for a source's `topic`.
    """

    def __init__(self, publish: Callable[[Iterable[Hashable]], None]) -> None:
        self._publish = publish
        # Numbers grow over restarts, since time does.
        self._number = time.time_ns() // 1_000_000
        self._of: OrderedDict[str, _Posted] = OrderedDict()

    def post(self, source: str, directive: Mapping[str, Any]) -> int:
        """Adds a directive and wakes who waits for it; its number."""
        self._number += 1
        self._of.setdefault(source, _Posted()).directives.append((self._number, directive))
        self._of.move_to_end(source)
        while len(self._of) > MAX_SOURCES:
            self._of.popitem(last=False)
        self._publish([topic(source)])
        return self._number

    def after(self, source: str, number: int) -> tuple[int, list[Mapping[str, Any]]]:
        """(newest number, directives behind `number`), oldest first: for who keeps the number, any number of times."""
        posted = self._of.get(source)
        found = [] if posted is None else [(own, directive) for own, directive in posted.directives if own > number]
        return (found[-1][0] if found else number), [directive for _, directive in found]

    def take(self, source: str) -> list[Mapping[str, Any]]:
        """Directives that no answer has carried yet, oldest first; from now on one has."""
        posted = self._of.get(source)
        if posted is None:
            return []
        posted.answered, found = self.after(source, posted.answered)
        return found


def pace(active: int, *, watched: bool) -> float:
    """Seconds between a sidecar's flushes: 0.5 when somebody looks or few pods write, up to 5 for thousands. Pure."""
    return 0.5 if watched else min(5.0, max(0.5, active / 1000))
