"""One append request from bytes to durable: parse, unpack, observe, decide, compare, write."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final

from outrider_sidecar import contract
from outrider_tracker.core import frames
from outrider_tracker.core.errors import RefusedError
from outrider_tracker.core.frames import DataFrame
from outrider_tracker.core.plan import Plan, names, plan
from outrider_tracker.ingest.watermarks import FILES, RETRY_AFTER, DiskGauge
from outrider_tracker.store import appending
from outrider_tracker.store.appending import Applied, Sent, Stored, Writing
from outrider_tracker.store.store import Store

ATTEMPTS: Final = 8  # a source writes with one hand: more than one repetition is rare


@dataclass(frozen=True, slots=True)
class Ready:
    """A decided request; `weight`: payload bytes it will write."""

    plan: Plan
    stored: Stored
    weight: int


class Appender:
    """Appends to one store."""

    def __init__(self, store: Store, gauge: DiskGauge) -> None:
        self._store = store
        self._gauge = gauge

    def unpack(self, body: bytes) -> Sent:
        """Frames and their raw bytes, all checked. RefusedError: frame, too_large."""
        found = frames.parse(body)
        raws = {number: frames.unpack(frame) for number, frame in enumerate(found) if isinstance(frame, DataFrame)}
        return Sent(found, raws)

    def decide(self, source: int, sent: Sent, over: str | None = None) -> Ready:
        """What the request does to what is stored now. RefusedError: any of the ingest door's, storage_full too.

        `over`: why the entity may keep nothing more (events are taken all the same); None: it may.
        """
        with self._store.reader.snapshot() as snapshot:
            heads = appending.heads(snapshot.connection, source, names(sent.frames), sent.frames)
            decided = plan(heads, sent.frames)
            self._refuse_when_full(decided)
            if over is not None and decided.kinds - {contract.KIND_EVENTS}:
                raise RefusedError(
                    contract.ERROR_STORAGE_FULL, over, retry_after=RETRY_AFTER, accepts=[contract.KIND_EVENTS]
                )
            for stream in decided.streams:
                appending.compare(snapshot, stream, sent)
        stored = appending.prepare(decided, sent)
        return Ready(decided, stored, sum(len(payload) for _, payload in stored.payloads.values()))

    def write(self, writing: Writing, ready: Ready, tenant: str) -> Future[Applied]:
        """Durable once the future is done; it fails with StaleError if the heads moved since `decide`."""
        return self._store.writer.submit(_job(writing, ready), ready.weight, tenant)

    def _refuse_when_full(self, decided: Plan) -> None:
        taken = self._gauge.accepts()
        refused = sorted(decided.kinds - set(taken))
        if refused:
            raise RefusedError(
                contract.ERROR_STORAGE_FULL,
                f"the tracker's disk is {self._gauge.disk().used:.0%} full: it takes no {', '.join(refused)} until "
                "there is room; keep them and send them later",
                retry_after=RETRY_AFTER,
                accepts=[kind for kind in taken if kind != FILES],
            )


def _job(writing: Writing, ready: Ready) -> Callable[[sqlite3.Connection], Applied]:
    return lambda connection: appending.apply(connection, writing, ready.plan, ready.stored)
