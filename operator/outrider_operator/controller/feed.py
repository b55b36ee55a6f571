"""The tracker's feed, and the questions that are asked of it now and then."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from prometheus_client import Counter, Gauge

from outrider_operator.controller.context import Context
from outrider_operator.controller.store import run_key
from outrider_operator.controller.tracker import FeedExpired, Tracker, TrackerAway, TrackerRefused
from outrider_operator.core.collection import from_tracker
from outrider_operator.core.naming import run_id
from outrider_operator.core.observed import RunView
from outrider_operator.core.retention import finished_at

log = logging.getLogger(__name__)

POLL: Final = 15.0
"""Seconds between two questions about how complete a Run is."""
AFTER_END: Final = 600.0
"""Seconds after a Run's end in which what is late may still come."""
RETRY: Final = (0.5, 5.0)

FEED_ITEMS = Counter("outrider_feed_items", "Events that came by the tracker's feed")
TRACKER_UP = Gauge("outrider_tracker_up", "1 while the tracker answers")


class Feed:
    """Follows the feed; reads ranks again where it may have missed some. For one event loop."""

    def __init__(self, context: Context, tracker: Tracker) -> None:
        self._context, self._tracker = context, tracker
        self._position: int | None = None

    def answered(self, why: str) -> None:
        """Note whether the tracker answers, and why not; Runs say so."""
        book = self._context.book
        TRACKER_UP.set(0 if why else 1)
        if bool(book.away) == bool(why):
            return
        book.away = why
        for run in self._context.store.runs.values():
            if finished_at(run) is None:
                self._context.queue.add(run_key(run))

    async def follow(self) -> None:
        """Take in events until cancelled."""
        wait = RETRY[0]
        while True:
            try:
                if self._position is None:
                    self._position, _ = await self._tracker.feed(None)
                    self._context.book.expire()
                    self._context.book.wanted.set()
                after, items = await self._tracker.feed(self._position)
                for item in items:
                    self._take(self._context.book.take(item))
                FEED_ITEMS.inc(len(items))
                self._position = after
                self.answered("")
                wait = RETRY[0]
            except FeedExpired as error:
                log.info("the feed begins anew: %s", error)
                self._position = None
                await asyncio.sleep(RETRY[0])
            except (TrackerAway, TrackerRefused) as error:
                self.answered(str(error))
                log.info("the feed waits %.1f s for the tracker: %s", wait, error)
                await asyncio.sleep(wait)
                wait = min(RETRY[1], 2 * wait)

    def _take(self, source: str) -> None:
        store = self._context.store
        pod = store.pods.get(source)
        if pod is not None:
            for run in store.runs_of_pod(pod):
                self._context.queue.add(run_key(run))

    def _live(self) -> list[RunView]:
        """Runs whose sources may still speak."""
        now = self._context.now()
        found = []
        for run in self._context.store.runs.values():
            end = finished_at(run)
            if (end is None and run.status.get("workload")) or (end is not None and now - end < AFTER_END):
                found.append(run)
        return found

    async def ask(self) -> None:
        """Read ranks and collection of Runs that may still change, until cancelled."""
        book = self._context.book
        while True:
            if self._position is not None:
                for run in self._live():
                    await self._ask(run)
                self._forget()
            book.wanted.clear()
            try:
                async with asyncio.timeout(POLL):
                    await book.wanted.wait()
            except TimeoutError:
                continue

    async def _ask(self, run: RunView) -> None:
        book, name = self._context.book, run_id(run.name, run.uid, auto=run.auto)
        before = (book.collections.get(name), name in book.loaded)
        try:
            if name not in book.loaded:
                book.read(name, await self._tracker.ranks(name))
            answer = await self._tracker.collection(name)
        except (TrackerAway, TrackerRefused) as error:
            if isinstance(error, TrackerAway):
                self.answered(str(error))
            log.info("Run %s/%s: the tracker did not say how complete it is: %s", run.namespace, run.name, error)
            return
        if answer is not None:
            book.collections[name] = from_tracker(answer)
        if before != (book.collections.get(name), True):
            self._context.queue.add(run_key(run))

    def _forget(self) -> None:
        """Drop what is kept of sources whose pods and Runs are gone."""
        store, book = self._context.store, self._context.book
        book.forget(book.sources() - set(store.pods))
        ids = {run_id(r.name, r.uid, auto=r.auto) for r in store.runs.values()}
        for name in [name for name in book.collections if name not in ids]:
            del book.collections[name]
        book.loaded &= ids
