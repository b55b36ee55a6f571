"""The fast way to a chart's line beside the plain one."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider_tracker.store.pointcodec import Points, columns, encode_summaries, rollup, summarize
from outrider_tracker.store.read_columns import Columns, fold
from outrider_tracker.store.read_series import Range, bucketed

numbers = st.floats(-1e6, 1e6)
series = st.lists(st.tuples(st.floats(0, 100), numbers), min_size=1, max_size=300).map(
    lambda items: columns(
        (float(index) for index in range(len(items))), sorted(x for x, _ in items), (value for _, value in items)
    )
)


def of_points(points: Points) -> Columns:
    """A summary for each point."""
    made = Columns()
    made.add_points(points, "step")
    return made


@given(series, st.integers(1, 50), st.floats(-10, 110), st.floats(-10, 110))
def test_both_ways_give_the_same_line(points: Points, buckets: int, one: float, other: float) -> None:
    """Of points and of roll-ups; for any range and width."""
    low, high = sorted((one, other))
    wanted = Range("step", low, high)
    singles = [summarize(points, index, index + 1) for index in range(len(points))]
    packed = Columns()
    packed.add_rollup(encode_summaries(rollup(points)), "step")
    for fast, plain in ((of_points(points), singles), (packed, rollup(points))):
        found = fold(fast, (low, high), buckets)
        assert found is not None
        for mine, theirs in zip(found, bucketed(plain, wanted, buckets), strict=True):
            assert mine == pytest.approx(theirs, rel=1e-9, abs=1e-6)


@pytest.mark.parametrize(
    ("steps", "values"),
    [
        ([0, 2, 1], [1, 1, 1]),
        ([0, math.nan, 2], [1, 1, 1]),
        ([0, 1, 2], [1, math.nan, 1]),
        ([0, 1, 2], [1, math.inf, 1]),
    ],
)
def test_what_is_odd_is_left_to_the_plain_way(steps: list[float], values: list[float]) -> None:
    """Steps that go back, numbers that are none."""
    assert fold(of_points(columns([0.0, 1.0, 2.0], steps, values)), (-math.inf, math.inf), 2) is None


def test_nothing_is_an_empty_line() -> None:
    """A series without points, and a range without any."""
    assert fold(Columns(), (0, 1), 10) == ([], [], [], [])
    assert fold(of_points(columns([0.0], [5.0], [1.0])), (0, 1), 10) == ([], [], [], [])
