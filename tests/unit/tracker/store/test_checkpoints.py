"""Checkpoints: what was committed gets into the database beside the writer, and the log does not grow for ever."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from outrider_tracker.store import checkpoints, database
from outrider_tracker.store.checkpoints import Checkpointer, checkpoint, next_pause
from outrider_tracker.store.database import connect
from outrider_tracker.store.store import Store
from tests.integration.tracker.process import until


def fill(connection: sqlite3.Connection) -> None:
    """Some 25 pages."""
    connection.execute("INSERT INTO kept (owner, data) VALUES (0, randomblob(100000))")


def test_the_log_is_moved_without_the_writer(tmp_path: Path) -> None:
    """Each round takes what was committed before it, whatever the writer does meanwhile."""
    store = Store(tmp_path / "data")
    before = store.folder.database.stat().st_size
    checkpointer = Checkpointer(store.folder.database, store.writer)
    checkpointer.start()
    store.writer.run(fill)
    until(lambda: store.folder.database.stat().st_size >= before + 100_000, "nothing was moved")
    checkpointer.close()
    store.close()


def test_the_log_stays_short_under_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer never waits, so that there is always something new in the log: it begins anew all the same."""
    monkeypatch.setattr(database, "LOG_PAGES", 200)
    monkeypatch.setattr(checkpoints, "SHORTEST", 0.001)
    store = Store(tmp_path / "data")
    checkpointer = Checkpointer(store.folder.database, store.writer)
    checkpointer.start()
    for _ in range(200):  # 5000 pages
        store.writer.run(fill)
    checkpointer.close()
    log = store.folder.database.with_name("tracker.db-wal")
    # It may grow by what is written during one round, however long the disk takes for that one.
    assert log.stat().st_size < 3000 * 4096
    count = store.readers.read(lambda connection: connection.execute("SELECT count(*) FROM kept").fetchone()[0])
    assert count == 200
    store.close()


def test_what_was_moved_is_counted(tmp_path: Path) -> None:
    store = Store(tmp_path / "data")
    other = connect(store.folder.database)
    checkpoint(other)
    store.writer.run(fill)
    assert checkpoint(other) >= 25
    with store.readers.snapshot() as connection:  # a reader of an older state
        connection.execute("SELECT count(*) FROM kept").fetchone()
        store.writer.run(fill)
        store.writer.run(fill)
        held = checkpoint(other)
    assert checkpoint(other) > held, "what a reader held up is moved when it has gone"
    other.close()
    store.close()


@pytest.mark.parametrize(
    ("pause", "moved", "want"),
    [
        (1.0, 5000, 0.5),
        (0.25, 5000, 0.25),
        (1.0, 500, 1.0),
        (1.0, 10, 2.0),
        (4.0, 0, 4.0),
    ],
)
def test_rounds_come_as_often_as_there_is_something_to_move(pause: float, moved: int, want: float) -> None:
    assert next_pause(pause, moved) == want
