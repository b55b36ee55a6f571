"""Which bytes go into the next request."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from outrider_sidecar import batching
from outrider_sidecar.batching import Waiting, cut, plan, share

wants = st.lists(st.integers(0, 5000), max_size=30)


@given(wants, st.integers(0, 20_000))
def test_a_share_is_never_more_than_wanted_and_all_of_the_budget_is_used(given_wants: list[int], budget: int) -> None:
    """The sum is the budget, or everything that is wanted."""
    got = share(given_wants, budget)
    assert all(0 <= g <= want for g, want in zip(got, given_wants, strict=True))
    assert sum(got) == min(budget, sum(given_wants))


@given(wants, st.integers(0, 20_000))
def test_nobody_goes_short_while_another_has_more(given_wants: list[int], budget: int) -> None:
    """Max-min fairness, to a byte: who does not get all it wants has at most one byte less than anyone."""
    got = share(given_wants, budget)
    short = [g for g, want in zip(got, given_wants, strict=True) if g < want]
    if short:
        assert max(got) <= min(short) + 1


waiting = st.lists(
    st.builds(
        Waiting,
        name=st.uuids().map(str),
        kind=st.sampled_from(["events", "user", "stderr", "stdout", "metrics"]),
        available=st.integers(0, 3 << 20),
        served=st.integers(0, 50),
    ),
    max_size=40,
    unique_by=lambda w: w.name,
)


@given(waiting, st.integers(1, 4 << 20))
def test_events_come_first_and_are_not_shortened_for_others(streams: list[Waiting], budget: int) -> None:
    """Others get bytes only when all events fit."""
    chosen = dict(plan(streams, budget))
    assert sum(chosen.values()) <= budget
    kinds = {w.name: w.kind for w in streams}
    order = [kinds[name] for name, _ in plan(streams, budget)]
    assert order == sorted(order, key=lambda kind: kind != "events")
    if any(n for name, n in chosen.items() if kinds[name] != "events"):
        assert all(chosen.get(w.name, 0) == w.available for w in streams if w.kind == "events")


@given(waiting)
def test_a_stream_with_only_a_lost_range_is_always_told(streams: list[Waiting]) -> None:
    """It costs no budget."""
    chosen = dict(plan(streams, 1))
    assert all(chosen.get(w.name) == 0 for w in streams if not w.available)


def test_more_streams_than_a_request_holds_take_turns() -> None:
    """Who was served longest ago comes first."""
    streams = [Waiting(f"s{i}", "stdout", 10, served=i) for i in range(batching.MAX_STREAMS + 5)]
    assert "s0" in dict(plan(streams))
    assert f"s{batching.MAX_STREAMS + 4}" not in dict(plan(streams))


def test_a_piece_ends_with_a_line_where_more_is_there() -> None:
    """And with whatever is there otherwise: a stream is bytes."""
    assert cut(b"ab\ncd", more=True) == 3
    assert cut(b"ab\ncd", more=False) == 5
    assert cut(b"abcd", more=True) == 4
    assert cut(b"", more=True) == 0
