"""How far decoding is behind each run: who writes faster than we decode is answered later, so that nothing piles up."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Final

MOST: Final = 50_000  # lines of all runs together, about …
LEAST: Final = 2_000  # … but so many of one run at any time: a post or two hold nobody up


class LineLag:
    """Counts lines that came and were not decoded since; for all threads. What was there at the start is not in it."""

    def __init__(self) -> None:
        self._lines: Counter[int] = Counter()
        self._lock = threading.Lock()

    def came(self, run: int, lines: int) -> None:
        """Lines of history and events are durable."""
        if lines:
            with self._lock:
                self._lines[run] += lines

    def gone(self, run: int, lines: int) -> None:
        """Lines were decoded."""
        with self._lock:
            left = self._lines[run] - lines
            if left > 0:
                self._lines[run] = left
            else:
                del self._lines[run]

    def clear(self) -> None:
        """Nothing is left to decode: lines that replaced others were counted twice."""
        with self._lock:
            self._lines.clear()

    def over(self, run: int) -> bool:
        """Whether the run has more than its share of what may wait."""
        with self._lock:
            mine = self._lines.get(run, 0)
            return mine > max(LEAST, MOST // max(1, len(self._lines)))
