"""What every door asks before it takes something: is there room in memory, and in the entity's quotas?

Answers are those that clients understand: 429 with Retry-After and RateLimit-Remaining/-Reset for what time mends, a
sentence with 413 for what only a person can mend.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from outrider_sidecar import contract
from outrider_tracker.core import quotas
from outrider_tracker.core.errors import RefusedError
from outrider_tracker.core.quotas import BURST_SECONDS, Bucket, QuotaTable
from outrider_tracker.store import usage
from outrider_tracker.store.store import Store

BODY_BYTES: Final = 256 << 20
LONGEST_WAIT: Final = 3600
MEASURE_SECONDS: Final = 60.0  # between two measurements of what entities keep …
MEASURE_SHARE: Final = 50.0  # … and this many times as long as one took
REMEMBERED: Final = 10_000  # entities; the one that was quiet for longest is forgotten: its buckets are full again


class ByteBudget:
    """Bytes of request bodies in memory at one time. Nobody waits: who gets none is told to come back."""

    def __init__(self, limit: int = BODY_BYTES) -> None:
        self.limit = limit
        self.taken = 0
        self._tenants: Counter[str] = Counter()
        self._lock = threading.Lock()

    def take(self, amount: int, tenant: str = "") -> bool:
        """Takes `amount` bytes, or nothing if there are not so many left, or the tenant would leave others no share."""
        with self._lock:
            mine = self._tenants[tenant]
            share = self.limit // (len(self._tenants) + 1)
            if self.taken + amount > self.limit or (mine and mine + amount > share):
                if not mine:
                    del self._tenants[tenant]
                return False
            self.taken += amount
            self._tenants[tenant] = mine + amount
            return True

    def give(self, amount: int, tenant: str = "") -> None:
        """Gives bytes back."""
        with self._lock:
            self.taken -= amount
            self._tenants[tenant] -= amount
            if not self._tenants[tenant]:
                del self._tenants[tenant]


class Limits:
    """Composed once by app.py; for all threads."""

    def __init__(
        self,
        store: Store,
        table: QuotaTable | None = None,
        *,
        budget: ByteBudget | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.table = table or QuotaTable()
        self.budget = budget or ByteBudget()
        self.refused: Counter[str] = Counter()  # by quota, and "memory"
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[Bucket, Bucket]] = OrderedDict()  # of bytes, of requests
        self._kept: dict[str, int] = {}
        self._added: Counter[str] = Counter()  # since that was measured
        self._measure_after = -math.inf

    def admit(self, entity: str, size: int) -> None:
        """One request of `size` bytes. RefusedError (busy): Retry-After says when the entity may send again."""
        own = self.table.of(entity)
        with self._lock:
            now = self._clock()
            held = self._buckets.pop(entity, None) or (quotas.full(own.bytes, now), quotas.full(own.requests, now))
            weight, count = quotas.fill(held[0], own.bytes, now), quotas.fill(held[1], own.requests, now)
            waits = {"bytes": quotas.wait(weight, own.bytes), "requests": quotas.wait(count, own.requests)}
            over = max(waits, key=lambda name: waits[name])
            if waits[over] == 0.0:
                weight, count = quotas.take(weight, size), quotas.take(count, 1)
                self._added[entity] += size
            else:
                self.refused[over] += 1
            self._buckets[entity] = (weight, count)
            if len(self._buckets) > REMEMBERED:
                self._buckets.popitem(last=False)
        if waits[over] > 0.0:
            seconds = min(LONGEST_WAIT, math.ceil(waits[over]))
            rate = own.bytes if over == "bytes" else own.requests
            raise RefusedError(
                contract.ERROR_BUSY,
                f"{entity} sends more than its {rate:,.0f} {over} a second: send this again in {seconds} s",
                retry_after=seconds,
                headers=self.pace(entity),
            )

    def pace(self, entity: str) -> dict[str, str]:
        """Headers by which W&B's client finds its pace: requests that the entity has left in the next ten seconds."""
        own = self.table.of(entity)
        if math.isinf(own.requests):
            return {}
        with self._lock:
            held = self._buckets.get(entity)
            level = own.requests * BURST_SECONDS if held is None else held[1].level
        return {"RateLimit-Remaining": str(max(0, int(level))), "RateLimit-Reset": str(int(BURST_SECONDS))}

    @contextmanager
    def body(self, size: int, entity: str) -> Iterator[None]:
        """Holds a body's bytes in the budget. RefusedError (busy) if memory is taken, by all or by this entity."""
        if not self.budget.take(size, entity):
            with self._lock:
                self.refused["memory"] += 1
            raise RefusedError(
                contract.ERROR_BUSY,
                "the tracker has as many requests in memory as it may: send this one again",
                retry_after=1,
                headers=self.pace(entity),
            )
        try:
            yield
        finally:
            self.budget.give(size, entity)

    def over_storage(self, entity: str, size: int = 0) -> str | None:
        """A sentence if the entity keeps as much as it may, or would with `size` bytes more; else None."""
        bound = self.table.of(entity).storage
        if math.isinf(bound):
            return None
        with self._lock:
            kept = self._kept.get(entity, 0) + self._added[entity]
            if kept + size <= bound:
                return None
            self.refused["storage"] += 1
        return (
            f"{entity} keeps {kept:,} bytes and may keep {bound:,.0f}: delete runs or files, or ask an "
            "administrator of the tracker for more"
        )

    def check_storage(self, entity: str, size: int = 0) -> None:
        """RefusedError (too large: a client gives up, as time does not mend it) if `over_storage`."""
        reason = self.over_storage(entity, size)
        if reason is not None:
            raise RefusedError(contract.ERROR_TOO_LARGE, reason)

    def check_runs(self, entity: str) -> None:
        """RefusedError (too large) if the entity has as many runs as it may. Blocking."""
        bound = self.table.of(entity).runs
        if math.isinf(bound):
            return
        count = self._store.readers.read(lambda connection: usage.count_runs(connection, entity))
        if count < bound:
            return
        with self._lock:
            self.refused["runs"] += 1
        raise RefusedError(
            contract.ERROR_TOO_LARGE,
            f"{entity} has {count:,} runs and may have {bound:,.0f}: delete some, or ask an administrator "
            "of the tracker for more",
        )

    def measure(self) -> None:
        """Counts what entities keep, if it is time to. For a thread in the background: blocking."""
        if self._clock() < self._measure_after or not self._wanted():
            return
        begun = self._clock()
        with self._lock:
            self._added.clear()
        kept = self._store.readers.read(usage.stored_bytes)
        with self._lock:
            self._kept = kept
        ended = self._clock()
        self._measure_after = ended + max(MEASURE_SECONDS, MEASURE_SHARE * (ended - begun))

    def _wanted(self) -> bool:
        """Whether anybody's storage has a bound: else it need not be known."""
        return any(not math.isinf(own.storage) for own in (self.table.common, *self.table.entities.values()))
