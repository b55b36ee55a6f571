"""Whose turn it is: everybody once, tenants one after the other."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from outrider_tracker.decode.turns import Turns

Who = tuple[str, int]
CROWDS = st.sets(st.tuples(st.sampled_from("abc"), st.integers(0, 20)), min_size=1)


def made() -> Turns[Who]:
    return Turns(lambda one: one[0], lambda one: one, lambda one: one[1] == 0)


@given(CROWDS)
def test_everybody_is_there_once_and_no_tenant_twice_in_a_round(waiting: set[Who]) -> None:
    rounds = made().order(waiting)
    assert Counter(one for each in rounds for one in each) == Counter(waiting)
    assert all(len({tenant for tenant, _ in each}) == len(each) for each in rounds)
    assert len(rounds[0]) == len({tenant for tenant, _ in waiting})


@given(CROWDS, st.integers(1, 60))
def test_tenants_that_wait_have_as_many_turns_however_many_they_are(waiting: set[Who], count: int) -> None:
    turns = made()
    had: Counter[str] = Counter()
    for _ in range(count):
        first = turns.order(waiting)[0][0]
        turns.had(first)
        had[first[0]] += 1
    tenants = {tenant for tenant, _ in waiting}
    assert max(had[tenant] for tenant in tenants) - min(had[tenant] for tenant in tenants) <= 1


@given(st.sets(st.integers(1, 20), min_size=1))
def test_of_one_tenant_each_has_its_turn(numbers: set[int]) -> None:
    turns = made()
    waiting = {("a", number) for number in numbers}
    had = []
    for _ in waiting:
        first = turns.order(waiting)[0][0]
        turns.had(first)
        had.append(first)
    assert set(had) == waiting


def test_the_hasty_come_first_within_their_tenant() -> None:
    turns = made()
    waiting = {("a", 0), ("a", 1), ("b", 1)}
    for _ in range(5):
        order = [one for each in turns.order(waiting) for one in each]
        assert order.index(("a", 0)) < order.index(("a", 1))
        turns.had(order[0])
