"""The queue that tenants share: shares, order, bounds."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider_tracker.core.fairness import FairQueue

names = st.sampled_from("abcd")
costs = st.floats(0.01, 1.0)


@given(st.lists(st.one_of(st.tuples(names, costs), st.none()), max_size=200))
def test_nothing_is_lost_and_a_tenants_items_keep_their_order(actions: list[tuple[str, float] | None]) -> None:
    """Whatever is pushed comes out once; per tenant in order."""
    queue: FairQueue[tuple[int, float]] = FairQueue(10_000)
    pushed: dict[str, list[int]] = {}
    popped: dict[str, list[int]] = {}

    def pop() -> None:
        tenant, (number, cost) = queue.pop()
        popped.setdefault(tenant, []).append(number)
        queue.charge(tenant, cost)

    for number, action in enumerate(actions):
        if action is not None:
            queue.push(action[0], (number, action[1]))
            pushed.setdefault(action[0], []).append(number)
        elif len(queue):
            pop()
    while len(queue):
        pop()
    assert popped == pushed
    with pytest.raises(IndexError):
        queue.pop()


@given(st.lists(st.tuples(names, costs), min_size=1, max_size=200), st.lists(costs, min_size=1, max_size=20))
def test_who_comes_anew_waits_for_one_item_of_each_other(backlog: list[tuple[str, float]], light: list[float]) -> None:
    """However much the others have queued, and however dear it was."""
    queue: FairQueue[float] = FairQueue(10_000)
    for tenant, cost in backlog:
        queue.push(tenant, cost)
    others = len({tenant for tenant, _ in backlog})
    for _ in light:
        if not len(queue):
            break
        tenant, cost = queue.pop()
        queue.charge(tenant, cost)
    queue.push("light", 0.001)
    waited: Counter[str] = Counter()
    while True:
        tenant, cost = queue.pop()
        queue.charge(tenant, cost)
        if tenant == "light":
            break
        waited[tenant] += 1
    assert len(waited) <= others
    assert all(count <= 1 for count in waited.values())


@given(st.dictionaries(names, costs, min_size=2), st.sampled_from([1.0, 2.0, 4.0]))
def test_those_who_always_wait_get_their_shares(each: dict[str, float], weight: float) -> None:
    """Of the time, not of the items: who brings dear ones gets fewer. A weight counts as so many tenants."""
    heavy = min(each)
    queue: FairQueue[float] = FairQueue(100_000, {heavy: weight})
    for tenant, cost in each.items():
        for _ in range(2):
            queue.push(tenant, cost)
    spent: dict[str, float] = dict.fromkeys(each, 0.0)
    total = 50.0 * max(each.values())
    while sum(spent.values()) < total:
        tenant, cost = queue.pop()
        queue.charge(tenant, cost)
        queue.push(tenant, cost)
        spent[tenant] += cost
    weights = sum(weight if tenant == heavy else 1.0 for tenant in each)
    for tenant, share in spent.items():
        fair = total * (weight if tenant == heavy else 1.0) / weights
        assert abs(share - fair) <= 2 * max(each.values()) * (weight + len(each))


def test_nobody_takes_all_the_room() -> None:
    """A tenant alone may fill half; another one still finds a place, and so does the next."""
    queue: FairQueue[int] = FairQueue(100)
    for tenant, expected in (("a", 50), ("b", 33), ("c", 25)):
        taken = 0
        while queue.room(tenant):
            queue.push(tenant, 0)
            taken += 1
        assert taken == expected


def test_idle_tenants_without_debt_are_forgotten() -> None:
    """A million tenants that came once leave nothing behind."""
    queue: FairQueue[int] = FairQueue(100)
    queue.push("busy", 0)
    for number in range(2000):
        queue.push("busy", 0)
        queue.push(str(number), number)
        for _ in range(2):
            queue.charge(queue.pop()[0], 0.001)
    assert len(queue._times) < 600
    while len(queue):
        queue.charge(queue.pop()[0], 0.001)
    assert not queue._times
