"""What the tracker is to be told: the newest record of each Run and source, sent until it is taken.

A queue of its own, so that a tracker that is away holds up nothing in Kubernetes. Of one key only the newest record is
kept, and one that was taken already is not sent again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from prometheus_client import Gauge

from outrider_operator.controller.queue import WorkQueue
from outrider_operator.controller.tracker import Tracker, TrackerAway, TrackerRefused

log = logging.getLogger(__name__)

WORKERS: Final = 8
RETRY_WITHIN: Final = 5.0  # seconds: a tracker that is back hears of its Runs soon
REFUSED_AGAIN: Final = 60.0  # seconds before a record that was refused is offered once more

WAITING = Gauge("outrider_outbox_waiting", "Records that the tracker has not taken yet")
REFUSED = Gauge("outrider_outbox_refused", "Records that the tracker refused at the last try")

OutKey = tuple[str, str]
"""("run" or "source", id)."""


class Outbox:
    """Sends records. For one event loop.

    ``on_url`` is told where a Run is shown, ``on_refusal`` of which Run the refusal is another one than before.
    """

    def __init__(
        self,
        tracker: Tracker | None,
        on_url: Callable[[str, str], None],
        on_answer: Callable[[str], None],
        on_refusal: Callable[[str], None],
    ) -> None:
        self._tracker, self._on_url, self._on_answer, self._on_refusal = tracker, on_url, on_answer, on_refusal
        self._queue: WorkQueue[OutKey] = WorkQueue(longest=RETRY_WITHIN)
        self._wanted: dict[OutKey, Mapping[str, Any]] = {}
        self._taken: dict[OutKey, str] = {}
        self._refused: dict[OutKey, str] = {}

    def put_run(self, run_id: str, record: Mapping[str, Any]) -> None:
        """Tell the tracker of a Run."""
        self._put(("run", run_id), record)

    def put_source(self, uid: str, join: Mapping[str, Any]) -> None:
        """Tell the tracker of a pod."""
        self._put(("source", uid), join)

    def _put(self, key: OutKey, record: Mapping[str, Any]) -> None:
        if (
            self._tracker is None
            or self._wanted.get(key) == record
            or (key not in self._wanted and self._taken.get(key) == _digest(record))
        ):
            return
        self._wanted[key] = record
        WAITING.set(len(self._wanted))
        self._queue.add(key)

    @property
    def empty(self) -> bool:
        """Whether the tracker has taken everything."""
        return not self._wanted

    def forget(self, kind: str, name: str) -> None:
        """Drop what is known about a key that will not come again, once it was taken."""
        if (kind, name) not in self._wanted:
            self._taken.pop((kind, name), None)

    def refusal(self, run_id: str) -> str:
        """Why the tracker does not take a Run's record; empty where it does, or has not been asked."""
        return self._refused.get(("run", run_id), "")

    async def run(self) -> None:
        """Send until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            try:
                await self._send(key)
            finally:
                self._queue.done(key)

    async def _send(self, key: OutKey) -> None:
        record = self._wanted.get(key)
        if record is None or self._tracker is None:
            return
        kind, name = key
        try:
            if kind == "run":
                self._on_url(name, await self._tracker.put_run(name, record))
            else:
                await self._tracker.put_source(name, record)
        except TrackerAway as error:
            wait = self._queue.failed(key)
            log.info("%s %s waits for the tracker, next try in %.1f s: %s", kind, name, wait, error)
            self._on_answer(str(error))
            return
        except TrackerRefused as error:
            # Its Run may not be there yet, or this tracker cannot take such a record: kept, shown and offered again.
            self._judged(key, str(error))
            wait = self._queue.failed(key) if error.status in {404, 409} else REFUSED_AGAIN
            self._queue.add_after(key, wait)
            log.warning("the tracker refused %s %s, next try in %.1f s: %s", kind, name, wait, error)
            self._on_answer("")
            return
        self._queue.succeeded(key)
        self._judged(key, "")
        self._taken[key] = _digest(record)
        if self._wanted.get(key) == record:
            del self._wanted[key]
        else:
            self._queue.add(key)
        WAITING.set(len(self._wanted))
        self._on_answer("")

    def _judged(self, key: OutKey, refusal: str) -> None:
        """Keep why a key is refused, or that it no longer is."""
        before = self._refused.pop(key, "")
        if refusal:
            self._refused[key] = refusal
        REFUSED.set(len(self._refused))
        kind, name = key
        if kind == "run" and refusal != before:
            self._on_refusal(name)


def _digest(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
