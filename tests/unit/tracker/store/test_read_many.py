"""Charts of many lines beside the points that they are made of, and beside the reader of single lines."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from outrider_tracker.store.pointcodec import Points, columns
from outrider_tracker.store.points import SeriesKey
from outrider_tracker.store.read_columns import Line
from outrider_tracker.store.read_many import CELLS, MANY, buckets_for, read_many
from outrider_tracker.store.read_series import Range, line_of
from outrider_tracker.store.store import Store

EVERYTHING = (-math.inf, math.inf)
LENGTHS = (0, 1, 5, 129, 999, 1000, 1001, 2500, 7300)


def made(rng: random.Random, count: int) -> Points:
    """A point about every second, some at the same moment."""
    times: list[float] = []
    now = 0.0
    for _ in range(count):
        now += rng.choice((0.0, 1.0, 1.0, 2.5))
        times.append(now)
    return columns(times, (float(step) for step in range(count)), (rng.uniform(-5, 5) for _ in range(count)))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, dict[int, Points]]]:
    """Series of many lengths, the last points of each not sealed; by id."""
    found: dict[int, Points] = {}
    opened = Store(tmp_path_factory.mktemp("many") / "data")
    rng = random.Random("many")
    for number in range(2 * MANY):
        points = made(rng, LENGTHS[number % len(LENGTHS)])
        key = SeriesKey("loss", "user", "rank", number, "")
        cut = max(0, len(points) - rng.choice((0, 1, 300)))
        for part in (points.cut(0, cut), points.cut(cut, len(points))):
            opened.points.seal(1e9)
            if len(part):
                opened.points.append(1, {key: part}, 1.0)
        with opened.readers.snapshot() as connection:
            row = connection.execute("SELECT id FROM series WHERE rank = ?", (number,)).fetchone()
        if row is not None:
            found[row[0]] = points
    yield opened, found
    opened.close()


def inside(points: Points, x: str, between: tuple[float, float]) -> list[tuple[float, float]]:
    """x and value of the points in the range."""
    at = points.steps if x == "step" else points.times
    return [(place, value) for place, value in zip(at, points.values, strict=True) if between[0] <= place <= between[1]]


@pytest.mark.parametrize("x", ["time", "step"])
@pytest.mark.parametrize("buckets", [8, 40, 700])
def test_every_line_says_what_its_points_say(store: tuple[Store, dict[int, Points]], x: str, buckets: int) -> None:
    """The least and the largest value, x in order, no more buckets than asked for, means between the extremes."""
    opened, wanted = store
    with opened.readers.snapshot() as connection:
        found = read_many(connection, list(wanted), x, EVERYTHING, buckets)
    assert found.keys() == wanted.keys()
    for series, points in wanted.items():
        line = found[series]
        assert line is not None
        xs, lows, highs, means = line
        assert 0 < len(xs) <= buckets
        assert xs == sorted(xs)
        at = points.steps if x == "step" else points.times
        assert at[0] <= xs[0]
        assert xs[-1] <= at[-1]
        assert (min(lows), max(highs)) == (min(points.values), max(points.values))
        assert all(low <= mean <= high for low, mean, high in zip(lows, means, highs, strict=True))


def test_a_narrow_range_is_shown_point_by_point(store: tuple[Store, dict[int, Points]]) -> None:
    opened, wanted = store
    between = (1200.0, 1300.0)
    with opened.readers.snapshot() as connection:
        found = read_many(connection, list(wanted), "step", between, 200)
        for series, points in wanted.items():
            exact = inside(points, "step", between)
            xs, values = [place for place, _ in exact], [value for _, value in exact]
            assert found[series] == (xs, values, values, values)
            assert found[series] == line_of(connection, series, Range("step", *between), 200)


@pytest.mark.parametrize("width", [600.0, 3000.0])
def test_a_wider_range_shows_nothing_from_outside(store: tuple[Store, dict[int, Points]], width: float) -> None:
    """But for the entry of a roll-up that lies across its ends."""
    opened, wanted = store
    between = (900.0, 900.0 + width)
    with opened.readers.snapshot() as connection:
        found = read_many(connection, list(wanted), "time", between, 30)
    for series, points in wanted.items():
        line = found[series]
        assert line is not None
        assert all(between[0] <= place <= between[1] for place in line[0])
        if len(inside(points, "time", between)) > 300:
            assert line[0]


def test_lines_with_odd_numbers_are_left_to_the_reader_of_single_lines(tmp_path: Path) -> None:
    """NaN, no step, x that goes back: None; the others are read."""
    opened = Store(tmp_path / "data")
    steps = [0.0, 1.0, 2.0]
    batches = {
        SeriesKey("plain", "user", "rank", 0, ""): columns(steps, steps, [1.0, 2.0, 3.0]),
        SeriesKey("nan", "user", "rank", 0, ""): columns(steps, steps, [1.0, math.nan, 3.0]),
        SeriesKey("stepless", "user", "rank", 0, ""): columns(steps, [math.nan] * 3, [1.0, 2.0, 3.0]),
        SeriesKey("back", "user", "rank", 0, ""): columns(steps, [2.0, 1.0, 0.0], [1.0, 2.0, 3.0]),
    }
    for turn in range(2):
        opened.points.append(1, batches, float(turn))
        if not turn:
            opened.points.seal(1e9)
    with opened.readers.snapshot() as connection:
        rows = dict(connection.execute("SELECT key, id FROM series").fetchall())
        found = read_many(connection, list(rows.values()), "step", EVERYTHING, 10)
        again: Line | None = found[rows["plain"]]
    assert again is None  # written twice, its steps go back
    assert all(found[rows[key]] is None for key in ("nan", "stepless", "back"))
    opened.close()


def test_the_answer_is_bounded() -> None:
    """However many ranks there are; a few buckets are left to each."""
    assert buckets_for(1024, 400) * 1024 <= CELLS
    assert buckets_for(40, 400) == 400
    assert buckets_for(100_000, 400) == 8
