"""A queue that many tenants share: who has used least goes next. Pure.

Start-time fair queueing: each tenant has a virtual time, which `charge` moves on by what its work cost, divided by its
weight; the tenant with the smallest one is served. Who was idle starts at the present virtual time: it is next, but
saves nothing up. So a tenant that comes anew waits for one item of each of the others, however many they have queued.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Mapping
from typing import Final, Generic, TypeVar

T = TypeVar("T")
_REMEMBERED: Final = 256  # tenants without items whose debt is kept before those without debt are forgotten


class FairQueue(Generic[T]):
    """Items of one tenant come out in the order they went in. Not safe to be used by several threads at once."""

    def __init__(self, limit: int, weights: Mapping[str, float] | None = None) -> None:
        """`limit`: items of all tenants together, about; `weights`: of tenants that are not 1."""
        self._limit = limit
        self._weights = dict(weights or {})
        self._items: dict[str, deque[T]] = {}
        self._times: dict[str, float] = {}
        # One entry for each tenant that waits; its time may be older than the tenant's: then it is put back.
        self._order: list[tuple[float, int, str]] = []
        self._clock = 0.0
        self._entries = 0
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def room(self, tenant: str) -> bool:
        """Whether the tenant may add an item: nobody takes more than leaves a share for those who may come."""
        mine = self._items.get(tenant)
        return mine is None or len(mine) < max(1, self._limit // (len(self._items) + 1))

    def push(self, tenant: str, item: T) -> None:
        """Adds an item behind the tenant's others."""
        self._length += 1
        waiting = self._items.get(tenant)
        if waiting is not None:
            waiting.append(item)
            return
        self._items[tenant] = deque((item,))
        time = self._times[tenant] = max(self._clock, self._times.get(tenant, 0.0))
        self._enter(time, tenant)

    def pop(self) -> tuple[str, T]:
        """The next tenant and its item. IndexError if there is none."""
        while True:
            time, _, tenant = heapq.heappop(self._order)
            now = self._times[tenant]
            if time < now:
                self._enter(now, tenant)
                continue
            self._clock = time
            waiting = self._items[tenant]
            item = waiting.popleft()
            self._length -= 1
            if waiting:
                self._enter(time, tenant)
            else:
                del self._items[tenant]
                self._forget()
            return tenant, item

    def charge(self, tenant: str, cost: float) -> None:
        """The tenant's item cost this much (seconds, say). Once nobody waits, all debts are over."""
        time = max(self._times.get(tenant, 0.0), self._clock) + cost / self._weights.get(tenant, 1.0)
        if self._items:
            self._times[tenant] = time
        else:
            self._clock = max(time, *self._times.values()) if self._times else time
            self._times.clear()

    def _enter(self, time: float, tenant: str) -> None:
        self._entries += 1  # equal times: who came first
        heapq.heappush(self._order, (time, self._entries, tenant))

    def _forget(self) -> None:
        if len(self._times) > _REMEMBERED + 2 * len(self._items):
            self._times = {
                name: time for name, time in self._times.items() if name in self._items or time > self._clock
            }
