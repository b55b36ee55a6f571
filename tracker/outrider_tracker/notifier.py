"""Wakes those who wait for something to grow. A hint only: after each wake-up (or time-out) the waiter reads the truth.

version = notifier.version(topic)      # 1. before reading
... read; nothing new? ...             # 2.
await notifier.wait(topic, version, seconds)   # 3. returns at once if the topic moved since 1
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterable
from typing import Final

FEED: Final = "feed"


def stream_topic(stream: int) -> tuple[str, int]:
    """Moves when the stream's durable end grows."""
    return ("stream", stream)


def run_topic(run: str) -> tuple[str, str]:
    """Moves when the Run's record, its joined sources or its ranks change."""
    return ("run", run)


def sdk_run_topic(run: int) -> tuple[str, int]:
    """Moves when an SDK run's row, lines or files change."""
    return ("sdk", run)


class Notifier:
    """Topics with versions. `publish` may be called from any thread; the rest belongs to the event loop."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: dict[Hashable, set[asyncio.Event]] = {}
        self._versions: dict[Hashable, int] = {}
        self._clock = 0
        self._closed = False

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Binds the loop that waiters live in; what is published before has no one to wake."""
        self._loop = loop

    @property
    def closed(self) -> bool:
        """True once the tracker is stopping: long answers should end now."""
        return self._closed

    def close(self) -> None:
        """Wakes every waiter for the last time."""
        self._closed = True
        for events in self._waiting.values():
            for event in events:
                event.set()

    def publish(self, topics: Iterable[Hashable]) -> None:
        """Says that these topics moved."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._move, tuple(topics))

    def watched(self, topic: Hashable) -> bool:
        """Whether somebody waits for the topic right now."""
        return topic in self._waiting

    def version(self, topic: Hashable) -> int:
        """What to hand to `wait`."""
        return self._versions.get(topic, self._clock)

    async def wait(self, topic: Hashable, version: int, seconds: float) -> bool:
        """Waits until the topic moves past `version`; False if it did not in time (or the tracker stops)."""
        if self._closed or seconds <= 0:
            return self.version(topic) > version
        if self.version(topic) > version:
            return True
        event = asyncio.Event()
        self._waiting.setdefault(topic, set()).add(event)
        try:
            await asyncio.wait_for(event.wait(), seconds)
        except TimeoutError:
            return False
        finally:
            waiting = self._waiting[topic]
            waiting.discard(event)
            if not waiting:
                del self._waiting[topic]
        return not self._closed

    def _move(self, topics: tuple[Hashable, ...]) -> None:
        self._clock += 1
        for topic in topics:
            self._versions[topic] = self._clock
            for event in self._waiting.get(topic, ()):
                event.set()
        if len(self._versions) > 100_000:
            # Forgetting is safe: `version` then answers the clock, which is newer than any forgotten version, so a
            # waiter that read before wakes once too often.
            self._versions.clear()
