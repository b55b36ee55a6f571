"""How many series and keys a run may have: the numbers that are kept beside what is there, whatever was rolled back."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider_tracker.store import counted, decoded
from outrider_tracker.store.batches import SeriesKey, columns
from outrider_tracker.store.found import Found, prepare
from outrider_tracker.store.store import Store

MOST = 12
RUNS = count(1)


class UndoneError(Exception):
    """Breaks a job, so that the writer takes back what it did."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One for all."""
    made = Store(tmp_path_factory.mktemp("counted") / "data")
    yield made
    made.close()


@dataclass(frozen=True)
class Step:
    """What a step of the decoder found: keys, each with a series, and whether its transaction is undone."""

    keys: Sequence[int]
    undone: bool
    over: bool  # the run starts over before it


STEPS = st.lists(
    st.builds(
        Step,
        st.lists(st.integers(0, 30), unique=True, max_size=9),
        st.booleans(),
        st.sampled_from([False] * 5 + [True]),
    ),
    max_size=12,
)


@given(STEPS)
def test_a_run_has_so_many_and_no_more(store: Store, steps: list[Step]) -> None:
    run = next(RUNS)
    expected: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoded, "MAX_KEYS", MOST)
        for step in steps:
            if _taken(store, run, step):
                kept = [] if step.over else expected
                expected = [*kept, *(key for key in step.keys if key not in kept)][:MOST]
            assert store.writer.run(lambda connection: _held(connection, run)) == (sorted(expected),) * 2
    store.writer.run(lambda connection: decoded.give_up(connection, run))
    while store.writer.run(lambda connection: decoded.sweep(connection, 100)):
        continue
    assert store.writer.run(lambda connection: connection.execute("SELECT count(*) FROM counted").fetchone()) == (0,)


def _taken(store: Store, run: int, step: Step) -> bool:
    names = [f"key{key}" for key in step.keys]
    series = {SeriesKey(name, "user", "user", None, ""): columns([1.0], [1.0], [1.0]) for name in names}
    prepared = prepare(Found(series, [(name, "number", 1, "1") for name in names]), 1.0, MOST)

    def job(connection: sqlite3.Connection) -> None:
        if step.over:
            decoded.give_up(connection, run)
        decoded.put(connection, -decoded.begin(connection, run), prepared)
        if step.undone:
            raise UndoneError

    try:
        store.writer.run(job)
    except UndoneError:
        return False
    return True


def _held(connection: sqlite3.Connection, run: int) -> tuple[list[int], list[int]]:
    """The keys of the run's series, and those that are counted; both are as many as is kept beside them."""
    decoding = decoded.decoding_of(connection, run)
    series = connection.execute("SELECT key FROM series WHERE source = -?", (decoding,)).fetchall()
    keys = connection.execute("SELECT key FROM history_key WHERE decoding = ?", (decoding,)).fetchall()
    if decoding:
        assert counted.held(connection, decoding, "series") == len(series)
        assert counted.held(connection, decoding, "keys") == len(keys)
    return tuple(sorted(int(key.removeprefix("key")) for (key,) in rows) for rows in (series, keys))  # type: ignore[return-value]
