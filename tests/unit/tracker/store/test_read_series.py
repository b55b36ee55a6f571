"""Charts out of the store beside the points that were written: any length, any range, any number of lines."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

from outrider_tracker.store.batches import Points, SeriesKey, columns
from outrider_tracker.store.curves import MANY, Curve
from outrider_tracker.store.levels import CHUNK, FAN
from outrider_tracker.store.read_series import read_curves
from outrider_tracker.store.read_summaries import STORED, Range, Stored, read_summaries
from outrider_tracker.store.store import Store
from outrider_tracker.store.summaries import FINITE, SUM

EVERYTHING = (-math.inf, math.inf)
LENGTHS = (0, 1, 5, 129, 999, 1000, 1001, 2500, 7300)
LONG = FAN * FAN * CHUNK + 3 * FAN * CHUNK + 5 * CHUNK + 321  # a row of the third level, and something on each below


def made(rng: random.Random, count: int) -> Points:
    """A point about every second, some at the same moment."""
    times: list[float] = []
    now = 0.0
    for _ in range(count):
        now += rng.choice((0.0, 1.0, 1.0, 2.5))
        times.append(now)
    return columns(times, (float(step) for step in range(count)), (rng.uniform(-5, 5) for _ in range(count)))


class Filled:
    """A store, and what was written into it by the series' ids."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.points: dict[int, Points] = {}

    def add(self, key: SeriesKey, points: Points, *parts: int) -> int:
        """Writes a series, sealed at each of these numbers of points."""
        for start, stop in pairwise((0, *parts, len(points))):
            if stop > start:
                self.store.points.append(1, {key: points.cut(start, stop)}, 1.0)
            if stop < len(points):
                self.store.points.seal(1e9)
        with self.store.readers.snapshot() as connection:
            (series,) = connection.execute(
                "SELECT id FROM series WHERE key = ? AND rank IS ?", (key.key, key.rank)
            ).fetchone()
        self.points[series] = points
        return int(series)

    def stored(self, *series: int) -> list[Stored]:
        """As a reader finds them."""
        with self.store.readers.snapshot() as connection:
            return [
                Stored(*connection.execute(f"SELECT {STORED} FROM series WHERE id = ?", (each,)).fetchone())
                for each in series
            ]

    def curves(self, wanted: Range, buckets: int, *series: int) -> dict[int, Curve]:
        """Of some series."""
        with self.store.readers.snapshot() as connection:
            return dict(zip(series, read_curves(connection, self.stored(*series), wanted, buckets), strict=True))


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    """Series of many lengths, the last points of each not sealed."""
    made_ = Filled(Store(tmp_path_factory.mktemp("series") / "data"))
    rng = random.Random("many")
    for number in range(2 * MANY):
        points = made(rng, LENGTHS[number % len(LENGTHS)])
        cut = max(0, len(points) - rng.choice((0, 1, 300)))
        if len(points):
            made_.add(SeriesKey("loss", "user", "rank", number, ""), points, cut)
    yield made_
    made_.store.close()


@pytest.fixture(scope="module")
def long(filled: Filled) -> int:
    """A series of several levels, sealed in pieces of any size, with an open chunk and a tail."""
    rng = random.Random("long")
    cuts = sorted(rng.sample(range(1, LONG - 100), 40))
    return filled.add(SeriesKey("long", "user", "rank", 0, ""), made(rng, LONG), *cuts, LONG - 100)


def axis(points: Points, x: str) -> list[float]:
    """x of each point."""
    return (points.steps if x == "step" else points.times).tolist()


def inside(points: Points, wanted: Range) -> list[tuple[float, float]]:
    """x and value of the points in the range."""
    pairs = zip(axis(points, wanted.x), points.values, strict=True)
    return [(place, value) for place, value in pairs if wanted.start <= place <= wanted.stop]


def judge(curve: Curve, points: Points, wanted: Range, buckets: int) -> None:
    """No more buckets than asked for, x in order and in the range, no value from elsewhere, means between extremes."""
    xs, lows, highs, means = curve
    exact = inside(points, wanted)
    assert len(xs) <= buckets
    assert xs == sorted(xs)
    assert all(wanted.start <= place <= wanted.stop for place in xs)
    assert all(low <= mean <= high for low, mean, high in zip(lows, means, highs, strict=True))
    if len(exact) <= max(8, buckets // 4):
        # Of so few points each is one that stands for itself, if it was not under a summary across the range's ends.
        assert all((x, low) in set(exact) for x, low, high in zip(xs, lows, highs, strict=True) if low == high)
    if wanted.start == -math.inf and wanted.stop == math.inf and exact:
        assert (min(lows), max(highs)) == (min(points.values), max(points.values))


@pytest.mark.parametrize("x", ["time", "step"])
@pytest.mark.parametrize("buckets", [8, 40, 700])
def test_every_line_says_what_its_points_say(filled: Filled, x: str, buckets: int) -> None:
    """Of many lines at once, and of each alone."""
    wanted = Range(x, *EVERYTHING)
    ranks = [series for series, points in filled.points.items() if len(points) < LONG]
    together = filled.curves(wanted, buckets, *ranks)
    for series in ranks:
        assert together[series][0]
        judge(together[series], filled.points[series], wanted, buckets)
        judge(filled.curves(wanted, buckets, series)[series], filled.points[series], wanted, buckets)


@pytest.mark.parametrize("x", ["time", "step"])
@pytest.mark.parametrize("buckets", [10, 300, 5000])
@pytest.mark.parametrize("part", [(0.0, 1.0), (0.2, 0.7), (0.5, 0.51), (0.5, 0.5001), (0.999, 1.0), (0.9999, 2.0)])
def test_a_long_series_at_any_width(filled: Filled, long: int, x: str, buckets: int, part: tuple[float, float]) -> None:
    """Down all levels; and about as many buckets as there can be."""
    points = filled.points[long]
    at = axis(points, x)
    wanted = Range(x, part[0] * at[-1], part[1] * at[-1])
    curve = filled.curves(wanted, buckets, long)[long]
    judge(curve, points, wanted, buckets)
    exact = inside(points, wanted)
    if x == "step":
        assert len(curve[0]) >= min(buckets, len(exact)) * 0.95
    if len(exact) <= buckets:
        assert curve == ([place for place, _ in exact], *[[value for _, value in exact]] * 3)
    else:
        mean = sum(value for _, value in exact) / len(exact)
        assert sum(curve[3]) / len(curve[3]) == pytest.approx(mean, abs=0.5 if len(exact) > 5000 else 3.0)


@pytest.mark.parametrize("part", [(0.0, 1.0), (0.3, 0.31)])
def test_what_is_read_is_bounded_by_the_width(filled: Filled, long: int, part: tuple[float, float]) -> None:
    """Some times what is shown, not what there is."""
    wanted = Range("step", part[0] * LONG, part[1] * LONG)
    with filled.store.readers.snapshot() as connection:
        lines, table = read_summaries(connection, filled.stored(long), wanted, 20)
    assert 20 <= len(table) <= 20 * FAN + 100
    assert not lines.any()


@pytest.mark.parametrize("enough", [4, 40, 300, 2500, 70_000, 400_000])
@pytest.mark.parametrize("between", [EVERYTHING, (-1.0, 1e9)])
def test_all_points_are_in_it_once(filled: Filled, long: int, enough: int, between: tuple[float, float]) -> None:
    """At whatever level it is read, with bounds or without: of series of all lengths together."""
    every = [*(series for series, points in filled.points.items() if len(points) < LONG), long]
    with filled.store.readers.snapshot() as connection:
        lines, table = read_summaries(connection, filled.stored(*every), Range("step", *between), enough)
    counts = np.bincount(lines, table[:, FINITE], len(every))
    assert counts.tolist() == [len(filled.points[series]) for series in every]
    sums = np.bincount(lines, table[:, SUM], len(every)).tolist()
    assert sums == pytest.approx([math.fsum(filled.points[series].values) for series in every])


@pytest.mark.parametrize("between", [(1200.0, 1300.0), (2400.0, 2499.0)])
def test_a_narrow_range_is_shown_point_by_point(filled: Filled, between: tuple[float, float]) -> None:
    wanted = Range("step", *between)
    ranks = [series for series, points in filled.points.items() if len(points) < LONG]
    found = filled.curves(wanted, 400, *ranks)
    for series in ranks:
        exact = inside(filled.points[series], wanted)
        assert found[series] == ([place for place, _ in exact], *[[value for _, value in exact]] * 3)


def test_odd_numbers(filled: Filled) -> None:
    """NaN and infinities, no step, steps that go back: each is shown as well as can be, and harms no other line."""
    steps = [float(step) for step in range(3000)]
    values = [math.sin(step) for step in steps]
    nowhere = [math.nan] * 3000
    batches = {
        "plain": columns(steps, steps, values),
        "nan": columns(steps, steps, [math.nan, math.inf, 7.0] * 1000),
        "stepless": columns(steps, nowhere, values),
        "back": columns(steps, steps[::-1], values),
    }
    ids = {name: filled.add(SeriesKey(name, "user", "rank", 0, ""), points, 1500) for name, points in batches.items()}
    found = filled.curves(Range("step", *EVERYTHING), 100, *ids.values())
    judge(found[ids["plain"]], batches["plain"], Range("step", *EVERYTHING), 100)
    assert found[ids["stepless"]] == ([], [], [], [])
    assert filled.curves(Range("time", *EVERYTHING), 100, ids["stepless"])[ids["stepless"]][0]
    assert set(found[ids["nan"]][1]) == set(found[ids["nan"]][2]) == set(found[ids["nan"]][3]) == {7.0}
    xs, lows, highs, _ = found[ids["back"]]
    assert xs == sorted(xs)
    assert (min(lows), max(highs)) == (min(values), max(values))
    wanted = Range("step", 1000.0, 1010.0)
    (curve,) = filled.curves(wanted, 100, ids["back"]).values()
    assert curve[0] == [float(step) for step in range(1000, 1011)]
    assert curve[1] == [values[2999 - step] for step in range(1000, 1011)]
