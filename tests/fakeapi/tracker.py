"""A tracker behind the controller's protocol, in memory; it can be away, refuse, and forget its feed."""

import asyncio
from collections.abc import Mapping
from typing import Any

from outrider_operator.controller.tracker import FeedExpired, TrackerAway, TrackerRefused


class MemoryTracker:
    """Keeps what it is told; ``say`` puts an event on its feed."""

    def __init__(self) -> None:
        self.runs: dict[str, Mapping[str, Any]] = {}
        self.sources: dict[str, Mapping[str, Any]] = {}
        self.rank_records: dict[str, list[Mapping[str, Any]]] = {}
        self.collections: dict[str, Mapping[str, Any]] = {}
        self.items: list[Mapping[str, Any]] = []
        self.expired = False
        """The feed's next question is answered with 410."""
        self.away = False
        self.refuse_sources_without_run = True
        self.refused = ""
        """Why a Run's record is refused; empty: it is taken."""
        self._said = asyncio.Event()

    def _check(self) -> None:
        if self.away:
            raise TrackerAway("connection refused")

    def say(self, source: str, event: Mapping[str, Any], words: list[str] | None = None) -> None:
        """An event comes from a source."""
        item = {"seq": len(self.items) + 1, "source": source, "event": event, "lastWords": words or []}
        self.items.append(item)
        self._said.set()

    async def put_run(self, run_id: str, record: Mapping[str, Any]) -> str:
        self._check()
        if self.refused:
            raise TrackerRefused(400, "frame", self.refused)
        self.runs[run_id] = record
        return f"/team/p/runs/{run_id}"

    async def put_source(self, uid: str, join: Mapping[str, Any]) -> None:
        self._check()
        if self.refuse_sources_without_run and join["run"] not in self.runs:
            raise TrackerRefused(404, "unknown_run", f"no run {join['run']}")
        self.sources[uid] = join

    async def feed(self, after: int | None) -> tuple[int, list[Mapping[str, Any]]]:
        self._check()
        if after is None:
            return len(self.items), []
        if self.expired:
            self.expired = False
            raise FeedExpired("expired")
        if after >= len(self.items):
            self._said.clear()
            try:
                async with asyncio.timeout(0.05):
                    await self._said.wait()
            except TimeoutError:
                self._check()
        return len(self.items), self.items[after:]

    async def ranks(self, run_id: str) -> list[Mapping[str, Any]]:
        self._check()
        return self.rank_records.get(run_id, [])

    async def collection(self, run_id: str) -> Mapping[str, Any] | None:
        self._check()
        return self.collections.get(run_id)
