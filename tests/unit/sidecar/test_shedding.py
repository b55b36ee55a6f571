"""What is given up when too much waits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from outrider_sidecar.shedding import Holding, shed

BY_WORTH = ["metrics", "stdout", "stderr", "user", "events"]  # least worth first, as the design says

holdings = st.lists(
    st.builds(Holding, name=st.uuids().map(str), kind=st.sampled_from(BY_WORTH), waiting=st.integers(0, 10_000)),
    max_size=20,
    unique_by=lambda h: h.name,
)


@given(holdings, st.integers(1, 50_000))
def test_what_stays_is_within_the_limit_and_nothing_is_given_up_without_need(held: list[Holding], limit: int) -> None:
    """At the limit nothing goes; above it at least what is over, and little more."""
    given_up = shed(held, limit)
    total, gone = sum(h.waiting for h in held), sum(given_up.values())
    if total <= limit:
        assert given_up == {}
    else:
        assert total - gone <= limit
        assert gone <= total - limit + limit * 0.05 + len(held)


@given(holdings, st.integers(1, 50_000))
def test_a_kind_is_touched_only_when_all_of_lesser_worth_is_gone(held: list[Holding], limit: int) -> None:
    """Metrics before stdout, stdout before stderr, then user data, events last."""
    given_up = shed(held, limit)
    assert all(0 <= given_up.get(h.name, 0) <= h.waiting for h in held)
    worst = max((BY_WORTH.index(h.kind) for h in held if given_up.get(h.name)), default=-1)
    assert all(given_up.get(h.name) == h.waiting for h in held if h.waiting and BY_WORTH.index(h.kind) < worst)


def test_streams_of_a_kind_give_in_proportion() -> None:
    """A quiet rank does not pay for a chatty one."""
    given_up = shed([Holding("a", "stdout", 9000), Holding("b", "stdout", 1000)], 5000)
    assert given_up == {"a": 4725, "b": 525}
