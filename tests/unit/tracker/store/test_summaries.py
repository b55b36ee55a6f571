"""Summaries, levels over them and the curves of charts, beside the points that they are made of."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from outrider_tracker.store import levels, summaries
from outrider_tracker.store.batches import columns
from outrider_tracker.store.curves import CELLS, Curve, buckets_for, curves
from outrider_tracker.store.levels import CHUNK, FAN
from outrider_tracker.store.read_sdk_series import interpolated

EVERYTHING = (-math.inf, math.inf)
HUGE = 1.7e308
Drawn = list[tuple[float, float, float]]
odd = st.floats(allow_nan=True, allow_infinity=True, width=64)
drawn_points = st.lists(
    st.tuples(st.floats(0, 1e10), st.floats(0, 1e6) | st.just(math.nan), odd), min_size=1, max_size=50
)


def table(drawn: Drawn) -> summaries.Table:
    """A summary for each (time, step, value)."""
    return summaries.of_points(columns(*zip(*drawn, strict=True)))


def same(one: float, other: float) -> bool:
    """Equal, or both NaN."""
    return one == other or (math.isnan(one) and math.isnan(other))


@settings(max_examples=100)
@given(drawn_points, st.integers(1, 20))
@example([(0.0, 0.0, HUGE), (1.0, 1.0, HUGE)], 2)
@example([(0.0, math.nan, math.inf), (1.0, math.nan, math.nan)], 2)
def test_a_summary_says_what_its_points_say(drawn: Drawn, size: int) -> None:
    """Bounds of time and known steps; of finite values the least, the largest, the sum and how many there are."""
    found = summaries.by(table(drawn), size)
    assert len(found) == -(-len(drawn) // size)
    for at, row in enumerate(found.tolist()):
        group = drawn[at * size : at * size + size]
        times, steps = [time for time, _, _ in group], [step for _, step, _ in group if not math.isnan(step)]
        values = [value for _, _, value in group if math.isfinite(value)]
        assert (row[0], row[1]) == (min(times), max(times))
        assert same(row[2], min(steps, default=math.nan))
        assert same(row[3], max(steps, default=math.nan))
        assert row[7] == len(values)
        if values:
            assert (row[4], row[5]) == (min(values), max(values))
            most = Fraction(sys.float_info.max)
            exact = max(-most, min(most, sum(map(Fraction, values))))
            assert abs(Fraction(row[6]) - exact) <= sum(abs(Fraction(value)) for value in values) / 10**12


@settings(max_examples=100)
@given(drawn_points, st.integers(2, 7), st.integers(2, 7))
def test_summaries_of_summaries_are_those_of_the_points(drawn: Drawn, one: int, other: int) -> None:
    """Whatever was joined first."""
    points = table(drawn)
    straight, twice = summaries.by(points, one * other), summaries.by(summaries.by(points, one), other)
    exact = [column for column in range(summaries.WIDTH) if column != summaries.SUM]
    several = straight[:, summaries.FINITE] > 0
    assert np.array_equal(straight[several][:, exact], twice[several][:, exact], equal_nan=True)
    for once, again in zip(straight[several].tolist(), twice[several].tolist(), strict=True):
        scale = max(abs(once[summaries.LOW]), abs(once[summaries.HIGH]))
        if math.isfinite(scale * once[summaries.FINITE]):
            assert once[summaries.SUM] == pytest.approx(again[summaries.SUM], rel=1e-12, abs=1e-12 * scale)
        else:  # the sum of a part may have been cut where doubles end
            assert math.isfinite(again[summaries.SUM])


@settings(max_examples=60)
@given(drawn_points)
def test_tables_survive_their_coding(drawn: Drawn) -> None:
    made = table(drawn)
    assert summaries.encode(summaries.decode(summaries.encode(made))) == summaries.encode(made)
    assert summaries.encode(summaries.unpack(summaries.pack(made))) == summaries.encode(made)


@settings(max_examples=60)
@given(st.lists(st.integers(1, 700), min_size=1, max_size=8))
def test_levels_hold_every_chunk_once_however_they_came(sizes: list[int]) -> None:
    """Rows written one batch after the other are those of all at once; what is loose and what is under it is all."""
    stored: dict[tuple[int, int], summaries.Table] = {}
    count = 0
    for size in sizes:
        new = table([(float(number), float(number), float(number)) for number in range(count, count + size)])
        present = {level: stored[level, first] for level, first in levels.loose(count)}
        stored |= {(row.level, row.first): row.table for row in levels.grown(present, count, new)}
        count += size
    whole = table([(float(number), float(number), float(number)) for number in range(count)])
    once = {(row.level, row.first): row.table for row in levels.grown({}, 0, whole)}
    assert stored.keys() == once.keys()
    assert all(np.array_equal(stored[key], once[key]) for key in stored)
    assert all(len(found) <= FAN for found in stored.values())
    loose = [(level, found) for level, first in levels.loose(count) for found in [stored[level, first]]]
    assert sum(len(found) * levels.span(level) for level, found in loose) == count * CHUNK
    times = sorted(bounds for _, found in loose for bounds in found[:, :2].tolist())
    assert (times[0][0], times[-1][1]) == (0.0, count - 1.0)
    assert all(before[1] + 1 == after[0] for before, after in pairwise(times))


def curve(values: Sequence[float], buckets: int, between: tuple[float, float] = EVERYTHING) -> Curve:
    """Of points at x = 0, 1, 2 …"""
    points = table([(float(x), float(x), value) for x, value in enumerate(values)])
    lines = np.zeros(len(points), np.int64)
    (found,) = curves(lines, points, points[:, 0], between, 1, buckets)
    return found


class TestCurves:
    """Buckets of equal width."""

    def test_few_points_stand_for_themselves(self) -> None:
        """No bucket merges what the chart can show."""
        values = [3.0, math.inf, 5.0]
        assert curve(values, 10) == ([0, 1, 2], values, values, values)

    def test_buckets_keep_extremes_and_mean(self) -> None:
        """A spike is never averaged away."""
        _, lows, highs, means = curve([1.0] * 500 + [99.0] + [1.0] * 499, 10)
        assert (len(lows), min(lows), max(highs)) == (10, 1.0, 99.0)
        assert means[5] == pytest.approx((99 + 99.0) / 100)

    def test_the_mean_of_huge_values_is_between_them(self) -> None:
        """Their sum is beyond what doubles can say."""
        _, lows, highs, means = curve([1.6e308, 1.7e308] * 10, 2)
        assert (lows, highs) == ([1.6e308] * 2, [1.7e308] * 2)
        assert all(1.6e308 <= mean <= 1.7e308 for mean in means)

    def test_the_range_is_kept_to(self) -> None:
        """Only x inside counts."""
        assert curve([0.0, 1.0, 2.0, 3.0], 10, (1, 2))[0] == [1, 2]

    def test_a_bucket_of_nothing_finite_is_none(self) -> None:
        """And the others are not harmed by it."""
        _, lows, _, means = curve([1.0] * 10 + [math.inf] * 10, 2)
        assert (lows[0], means[0]) == (1.0, 1.0)
        assert math.isnan(lows[1])
        assert math.isnan(means[1])

    def test_nothing_is_an_empty_line(self) -> None:
        """A series without points, and a range without any."""
        assert curve([1.0], 10, (5, 6)) == ([], [], [], [])
        nothing = np.empty(0, np.int64)
        assert curves(nothing, summaries.NONE, np.empty(0), EVERYTHING, 2, 10) == [([], [], [], [])] * 2

    @settings(max_examples=200)
    @given(
        st.lists(st.tuples(st.integers(0, 3), st.floats(-1e9, 1e9), st.floats(-1e6, 1e6)), max_size=120),
        st.integers(1, 40),
        st.floats(-2e9, 2e9),
        st.floats(-2e9, 2e9),
    )
    def test_every_line_is_its_own(
        self, drawn: list[tuple[int, float, float]], buckets: int, one: float, other: float
    ) -> None:
        """In whatever order points came: each is in one bucket of its line, those of a width, in order of x."""
        between = min(one, other), max(one, other)
        points = table([(x, x, value) for _, x, value in drawn]) if drawn else summaries.NONE
        lines = np.array([line for line, _, _ in drawn], np.int64)
        found = curves(lines, points, points[:, 0], between, 4, buckets)
        for line, (xs, lows, highs, means) in enumerate(found):
            mine = sorted((x, value) for at, x, value in drawn if at == line and between[0] <= x <= between[1])
            assert len(xs) <= buckets
            assert bool(xs) == bool(mine)
            assert xs == sorted(xs)
            if len(mine) <= buckets:
                assert xs == [x for x, _ in mine]
                assert sorted(zip(xs, lows, strict=True)) == mine
                assert lows == highs == means
            else:
                width = (mine[-1][0] - mine[0][0]) / buckets
                assert (min(lows), max(highs)) == (min(v for _, v in mine), max(v for _, v in mine))
                for x, low, high, mean in zip(xs, lows, highs, means, strict=True):
                    near = [value for at, value in mine if abs(at - x) <= width * 1.001 + 1e-6]
                    assert min(near) <= low <= mean <= high <= max(near)

    def test_the_answer_is_bounded(self) -> None:
        """However many ranks there are; a few buckets are left to each."""
        assert buckets_for(1024, 400) * 1024 <= CELLS
        assert buckets_for(31, 5000) == 5000
        assert buckets_for(40, 400) == 400
        assert buckets_for(100_000, 400) == 8


def test_a_curve_between_its_points() -> None:
    """Straight lines; nothing outside."""
    found = interpolated(np.array([1.0, 3.0]), np.array([10.0, 20.0]), np.array([0.0, 1.0, 2.5, 3.0, 4.0]))
    assert found[1:4].tolist() == [10.0, 17.5, 20.0]
    assert np.isnan(found[[0, 4]]).all()
    assert np.isnan(interpolated(np.empty(0), np.empty(0), np.array([1.0]))).all()
