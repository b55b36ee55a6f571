"""The work queue: each key is waiting at most once and is worked on by at most one worker; failures come back later."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

from prometheus_client import Gauge

FIRST: Final = 0.2  # seconds before the first retry of a key
LONGEST: Final = 60.0

DEPTH = Gauge("outrider_queue_depth", "Keys that wait for a pass")

Key = TypeVar("Key", bound=Hashable)


class WorkQueue(Generic[Key]):
    """De-duplicating, with delays and per-key back-off. For one event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, longest: float = LONGEST) -> None:
        self._clock, self._longest = clock, longest
        self._ready: dict[Key, None] = {}
        self._working: set[Key] = set()
        self._again: set[Key] = set()
        self._later: list[tuple[float, int, Key]] = []
        self._due: dict[Key, float] = {}
        self._failures: dict[Key, int] = {}
        self._count = 0
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._ready)

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be worked on now and nobody works; what is due later does not count."""
        return not self._ready and not self._working

    def add(self, key: Key) -> None:
        """Ask for a pass over a key as soon as possible."""
        if key in self._working:
            self._again.add(key)
        elif key not in self._ready:
            self._ready[key] = None
            DEPTH.set(len(self._ready))
            self._wake.set()

    def add_at(self, key: Key, due: float) -> None:
        """Ask for a pass at a time of the queue's clock, or earlier if it was asked for earlier."""
        if self._due.get(key, float("inf")) <= due:
            return
        self._due[key] = due
        self._count += 1
        heapq.heappush(self._later, (due, self._count, key))
        self._wake.set()

    def add_after(self, key: Key, seconds: float) -> None:
        """Ask for a pass after some seconds."""
        self.add_at(key, self._clock() + max(0.0, seconds))

    def failed(self, key: Key) -> float:
        """Ask for another pass after the key's back-off, and give that, in seconds."""
        count = self._failures[key] = self._failures.get(key, 0) + 1
        wait = min(self._longest, FIRST * 2.0 ** min(count - 1, 12))
        self.add_after(key, wait)
        return wait

    def succeeded(self, key: Key) -> None:
        """Begin the key's back-off anew."""
        self._failures.pop(key, None)

    def _promote(self) -> float | None:
        """Move what is due to the ready keys; give the seconds until the next one."""
        now = self._clock()
        while self._later and self._later[0][0] <= now:
            due, _, key = heapq.heappop(self._later)
            if self._due.get(key) == due:
                del self._due[key]
                self.add(key)
        return self._later[0][0] - now if self._later else None

    async def get(self) -> Key:
        """The next key; it is this worker's until ``done``."""
        while True:
            wait = self._promote()
            if self._ready:
                key = next(iter(self._ready))
                del self._ready[key]
                self._working.add(key)
                DEPTH.set(len(self._ready))
                return key
            self._wake.clear()
            try:
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def done(self, key: Key) -> None:
        """The pass over a key is over; if it was asked for meanwhile, it is ready again."""
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)
