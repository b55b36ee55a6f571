"""The writer under several tenants, and with a database that cannot be had."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from outrider_tracker.store import writer as writing
from outrider_tracker.store.database import connect
from outrider_tracker.store.errors import StorageFullError
from outrider_tracker.store.writer import Writer, WriterBusyError


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    """On a table with one column, which has no value twice."""
    connection = connect(tmp_path / "w.db")
    connection.execute("CREATE TABLE t (x INTEGER PRIMARY KEY)")
    made = Writer(connection)
    yield made
    made.close()


@pytest.fixture
def held(writer: Writer) -> Iterator[Callable[[], None]]:
    """The writer is busy until this is called."""
    gate, busy = threading.Event(), threading.Event()

    def hold(_: sqlite3.Connection) -> None:
        busy.set()
        gate.wait(30)

    job = writer.submit(hold)
    assert busy.wait(30)
    yield gate.set
    gate.set()
    job.result(30)


def test_a_chatty_tenant_does_not_hold_up_another(writer: Writer, held: Callable[[], None]) -> None:
    """Its 500 jobs were first, and yet the other's one is among the first that run; each tenant's keep their order."""
    order: list[tuple[str, int]] = []

    def noting(tenant: str, number: int) -> Callable[[sqlite3.Connection], None]:
        return lambda _: order.append((tenant, number))

    jobs = [writer.submit(noting("chatty", number), tenant="chatty") for number in range(500)]
    light = [writer.submit(noting("light", number), tenant="light") for number in range(3)]
    held()
    for job in [*jobs, *light]:
        job.result(30)
    assert order.index(("light", 0)) <= 1
    for tenant, count in (("chatty", 500), ("light", 3)):
        assert [number for name, number in order if name == tenant] == list(range(count))


def test_who_else_writes_is_known(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own work is nobody's; who was silent for a moment does not count any more."""
    now = [100.0]
    monkeypatch.setattr(writing, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def shared() -> list[bool]:
        return [writer.shared_with(tenant) for tenant in ("a", "b", "c")]

    writer.run(lambda _: None)
    assert shared() == [False, False, False]
    writer.run(lambda _: None, tenant="a")
    assert shared() == [False, True, True]
    now[0] += writing.SHARED_FOR / 2
    for _ in range(2):
        writer.run(lambda _: None, tenant="b")
    assert shared() == [True, True, True]
    now[0] += writing.SHARED_FOR / 2
    assert shared() == [True, False, True], "a was silent"
    now[0] += writing.SHARED_FOR / 2
    assert shared() == [False, False, False]


def test_a_full_queue_still_has_room_for_others(
    writer: Writer, held: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who filled it is told to come back; who comes anew is served."""
    monkeypatch.setattr(writer._queue, "_limit", 20)  # a half for who comes alone
    refused = [writer.submit(lambda _: None, tenant="chatty") for _ in range(20)]
    light = writer.submit(lambda _: "here", tenant="light")
    held()
    assert light.result(30) == "here"
    errors = [type(job.exception(30)) for job in refused]
    assert errors.count(WriterBusyError) == 10
    assert errors.count(type(None)) == 10


def test_a_group_of_several_tenants_is_closed_soon(
    writer: Writer, held: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One tenant's haul is one commit; with another tenant in it, it is cut."""
    monkeypatch.setattr(writing, "SHARED_SECONDS", 0.0)
    monkeypatch.setattr(writing, "MAX_SECONDS", 60.0)
    jobs = [writer.submit(lambda _: None, tenant="a") for _ in range(50)]
    held()
    for job in jobs:
        job.result(30)
    assert writer.commits <= 3
    monkeypatch.setattr(writing, "SHARED_FOR", 60.0)  # however slow the disk is, both of them wrote lately
    before = writer.commits
    gate = threading.Event()
    first = writer.submit(lambda _: gate.wait(30), tenant="a")
    jobs = [writer.submit(lambda _: None, tenant=name) for name in "ab" * 10]
    gate.set()
    first.result(30)
    for job in jobs:
        job.result(30)
    # [first, b], and then no group of more than one job, while both of them write.
    assert writer.commits - before >= 20


def test_a_database_that_cannot_be_had_answers_the_job(tmp_path: Path) -> None:
    """Somebody else holds the lock for longer than we wait: the job is told, and the next one is done."""
    path = tmp_path / "w.db"
    connection = connect(path)
    connection.execute("CREATE TABLE t (x INTEGER PRIMARY KEY)")
    connection.execute("PRAGMA busy_timeout = 0")
    writer = Writer(connection)
    other = connect(path)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageFullError, match="locked"):
        writer.submit(lambda one: one.execute("INSERT INTO t VALUES (1)")).result(30)
    other.execute("ROLLBACK")
    assert writer.run(lambda one: one.execute("INSERT INTO t VALUES (1)").rowcount) == 1
    other.close()
    writer.close()


def test_a_job_that_ends_the_transaction_is_told(writer: Writer) -> None:
    """It may not; its caller hears of it, and so does nobody else."""
    with pytest.raises(StorageFullError, match="undone"):
        writer.submit(lambda one: one.execute("COMMIT")).result(30)
    assert writer.run(lambda one: one.execute("INSERT INTO t VALUES (1)").rowcount) == 1
