"""Who is held back while decoding is behind."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from outrider_tracker.decode.line_lag import LEAST, MOST, LineLag


def test_who_writes_faster_than_we_decode_is_held_back() -> None:
    """Alone it may be far ahead; beside many others less; a small writer never waits."""
    lag = LineLag()
    lag.came(1, MOST)
    assert not lag.over(1)
    lag.came(1, 1)
    assert lag.over(1)
    lag.came(2, LEAST)
    assert not lag.over(2)
    lag.gone(1, MOST // 2)
    assert lag.over(1)  # two share it now, and it has a line more than a half
    lag.gone(1, 1)
    assert not lag.over(1)
    lag.came(1, MOST)
    lag.clear()
    assert not lag.over(1)


@given(st.lists(st.tuples(st.integers(1, 100), st.integers(0, 3000)), max_size=300))
def test_what_waits_is_bounded(posts: list[tuple[int, int]]) -> None:
    """If runs that are over send nothing, all of them together stay within the bound and one post each."""
    lag = LineLag()
    held: dict[int, int] = {}
    for run, lines in posts:
        if not lag.over(run):
            lag.came(run, lines)
            held[run] = held.get(run, 0) + lines
    largest = max((lines for _, lines in posts), default=0)
    assert all(count <= MOST + largest for count in held.values())
    for run, count in held.items():
        lag.gone(run, count)
    assert not lag._lines
