"""Whose turn it is where several wait: tenants one after the other, however much one of them brings. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Turns(Generic[T]):
    """`tenant` and `name` say who somebody is; the `hasty` come before the others of their tenant, whoever had a turn.
    Whoever waits no more is forgotten.
    """

    def __init__(
        self, tenant: Callable[[T], str], name: Callable[[T], Hashable], hasty: Callable[[T], bool] = lambda _: False
    ) -> None:
        self._tenant = tenant
        self._name = name
        self._hasty = hasty
        self._had: dict[Hashable, int] = {}
        self._clock = itertools.count(1)

    def order(self, waiting: Iterable[T]) -> list[list[T]]:
        """Rounds: each has one of every tenant that has somebody left. First comes whose last turn is longest ago."""
        tenants: dict[str, list[T]] = {}
        for one in waiting:
            tenants.setdefault(self._tenant(one), []).append(one)
        for theirs in tenants.values():
            theirs.sort(key=lambda one: (not self._hasty(one), self._last(one)))
        self._had = {self._name(one): self._last(one) for theirs in tenants.values() for one in theirs}
        queues = sorted(tenants.values(), key=lambda theirs: max(map(self._last, theirs)))
        return [[one for one in each if one is not None] for each in itertools.zip_longest(*queues)]

    def take(self, waiting: Iterable[T]) -> Iterator[T]:
        """One after the other, in that order; whoever is given has its turn."""
        for one in itertools.chain.from_iterable(self.order(waiting)):
            self.had(one)
            yield one

    def had(self, one: T) -> None:
        """It had its turn."""
        self._had[self._name(one)] = next(self._clock)

    def _last(self, one: T) -> int:
        return self._had.get(self._name(one), 0)
