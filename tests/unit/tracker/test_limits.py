"""What doors ask before they take something."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider_tracker.core import quotas
from outrider_tracker.core.errors import RefusedError
from outrider_tracker.limits import MEASURE_SECONDS, ByteBudget, Limits
from outrider_tracker.store.store import Store


class Clock:
    """Seconds that a test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A fresh one."""
    made = Store(tmp_path / "data")
    yield made
    made.close()


@pytest.fixture
def clock() -> Clock:
    """Stands still."""
    return Clock()


def limits(store: Store, clock: Clock, *texts: str) -> Limits:
    """With quotas as the command line has them."""
    return Limits(store, quotas.parse(texts), clock=clock)


def insert(store: Store, statements: str) -> None:
    """Rows as they would be there."""

    def job(connection: sqlite3.Connection) -> None:
        for statement in statements.split(";"):
            connection.execute(statement)

    store.writer.run(job)


def test_too_many_requests_are_told_when_to_come_back(store: Store, clock: Clock) -> None:
    """429 with Retry-After and what is left; who waits as told is served; another entity is not touched."""
    some = limits(store, clock, "requests=2")
    for left in range(19, -1, -1):  # ten seconds' worth are saved up
        some.admit("ml", 100)
        assert some.pace("ml") == {"RateLimit-Remaining": str(left), "RateLimit-Reset": "10"}
    with pytest.raises(RefusedError, match="2 requests a second") as caught:
        some.admit("ml", 100)
    assert (caught.value.status, caught.value.retry_after) == (429, 1)
    assert caught.value.headers == {"RateLimit-Remaining": "0", "RateLimit-Reset": "10"}
    some.admit("other", 100)
    clock.now += 1.0
    some.admit("ml", 100)
    assert some.refused == {"requests": 1}


def test_too_many_bytes(store: Store, clock: Clock) -> None:
    """A large body is taken whole, and paid off after it."""
    some = limits(store, clock, "bytes=1K")
    some.admit("ml", 60_000)
    with pytest.raises(RefusedError, match="1,000 bytes a second") as caught:
        some.admit("ml", 1)
    assert caught.value.retry_after == 51
    clock.now += 51
    some.admit("ml", 1)


def test_storage_is_counted_from_the_rows_and_what_came_since(store: Store, clock: Clock) -> None:
    """Bytes of streams, files, lines and run files of all its runs; the sentence says what to do."""
    insert(
        store,
        """
            INSERT INTO project (id, entity, name, created) VALUES (1, 'ml', 'p', 0), (2, 'other', 'p', 0);
            INSERT INTO sdk_run (id, project, name, display_name, created, updated, heartbeat)
              VALUES (1, 1, 'a', 'a', 0, 0, 0), (2, 2, 'b', 'b', 0, 0, 0);
            INSERT INTO line_space (id, run, branch, file) VALUES (1, 1, 0, 'history'), (2, 2, 0, 'history');
            INSERT INTO line_block (space, first, count, bytes, received, data)
              VALUES (1, 0, 1, 300, 0, x'00'), (1, 1, 1, 200, 0, x'00'), (2, 0, 1, 900, 0, x'00');
            INSERT INTO run_file (run, name, sha256, size, updated) VALUES (1, 'f', 'x', 400, 0);
            INSERT INTO source (id, uid, entity, namespace) VALUES (1, 's', 'ml', 'ml');
            INSERT INTO stream (id, source, name, kind, labels_json) VALUES (1, 1, 'o', 'stdout', '{}');
            INSERT INTO generation (stream, number, end, lost) VALUES (1, 0, 70, 20);
            INSERT INTO file (id, source, path, version, size, sha256, policy, stored)
              VALUES ('f', 1, 'f', 1, 30, 'x', 'end', 0);
            """,
    )
    some = limits(store, clock, "storage=2K", "other:storage=900")
    some.measure()
    some.check_storage("ml", 1020)
    with pytest.raises(RefusedError, match=r"ml keeps 980 bytes and may keep 2,000: delete runs or files") as caught:
        some.check_storage("ml", 1021)
    assert (caught.value.status, caught.value.retry_after) == (413, None)
    some.check_storage("other")
    some.admit("other", 1)
    with pytest.raises(RefusedError):
        some.check_storage("other")
    clock.now += MEASURE_SECONDS
    some.measure()
    some.check_storage("other")


def test_runs_are_counted(store: Store, clock: Clock) -> None:
    """Deleted ones are not."""
    insert(
        store,
        """
            INSERT INTO project (id, entity, name, created) VALUES (1, 'ml', 'p', 0), (2, 'ml', 'q', 0);
            INSERT INTO sdk_run (project, name, display_name, created, updated, heartbeat, deleted)
              VALUES (1, 'a', 'a', 0, 0, 0, NULL), (1, 'b', 'b', 0, 0, 0, 5), (2, 'a', 'a', 0, 0, 0, NULL);
            """,
    )
    limits(store, clock, "runs=3").check_runs("ml")
    with pytest.raises(RefusedError, match="ml has 2 runs and may have 2: delete some"):
        limits(store, clock, "runs=2").check_runs("ml")


def test_memory_is_held_while_a_body_is_and_shared(store: Store, clock: Clock) -> None:
    """One entity may not take what others need: half if it is alone."""
    some = Limits(store, clock=clock, budget=ByteBudget(100))
    with some.body(50, "a"):
        with pytest.raises(RefusedError) as caught, some.body(1, "a"):
            pass
        assert (caught.value.status, caught.value.retry_after) == (429, 1)
        with some.body(50, "b"):
            pass
    assert some.budget.taken == 0
    with some.body(100, "a"):  # a single body may be as large as the budget
        pass


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 60)), max_size=100))
def test_the_budget_adds_up(asked: list[tuple[int, int]]) -> None:
    """Never over the limit, and all of it is there again at the end."""
    budget = ByteBudget(100)
    held: list[tuple[int, str]] = []
    for tenant, amount in asked:
        if budget.take(amount, str(tenant)):
            held.append((amount, str(tenant)))
        elif held:
            budget.give(*held.pop(amount % len(held)))
        assert budget.taken == sum(amount for amount, _ in held) <= 100
    for amount, name in held:
        budget.give(amount, name)
    assert budget.taken == 0
    assert not budget._tenants
