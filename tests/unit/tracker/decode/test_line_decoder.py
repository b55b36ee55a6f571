"""Decoding beside writers: whatever happens between reading lines and writing what they mean, each counts once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from outrider_tracker.decode import line_decoder
from outrider_tracker.decode.line_decoder import LineDecoder
from outrider_tracker.notifier import sdk_run_topic
from outrider_tracker.store import compaction, lines, undecoded
from outrider_tracker.store.compaction import ClaimLostError
from outrider_tracker.store.lines import LineBatch, LineFile
from outrider_tracker.store.store import Store
from tests.integration.tracker.process import until

NOW = 1.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with run 1."""
    made = Store(tmp_path / "data", clock=lambda: NOW)

    def begin(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO project (id, entity, name, created) VALUES (1, 'e', 'p', 0)")
        connection.execute(
            "INSERT INTO sdk_run (id, project, name, display_name, created, updated, heartbeat) "
            "VALUES (1, 1, 'r', '', 0, 0, 0)"
        )

    made.writer.run(begin)
    yield made
    made.close()


def append(store: Store, first: int, *values: float, file: LineFile = LineFile.HISTORY) -> None:
    """Rows with steps from `first` on."""
    batch = LineBatch(file, "", first, [f'{{"_step":{first + at},"x":{value}}}' for at, value in enumerate(values)])
    store.writer.run(lambda connection: lines.append_lines(connection, 1, 0, batch, assign_steps=False, now=NOW))


def values(store: Store) -> list[float]:
    """Those of x, in order of steps."""
    with store.readers.snapshot() as connection:
        found = connection.execute("SELECT id FROM series WHERE source = -1 AND key = 'x'").fetchone()
    if found is None:
        return []
    _, steps, numbers = store.points.read_points(found[0])
    return [number for _, number in sorted(zip(steps, numbers, strict=True))]


def begun(store: Store) -> tuple[undecoded.Pending, line_decoder._Step]:
    """A step that was read and not written."""
    with store.readers.snapshot() as connection:
        (place,) = undecoded.pending(connection)
        return place, line_decoder._step(connection, place, NOW)


def ended(store: Store, step: tuple[undecoded.Pending, line_decoder._Step]) -> bool:
    """Whether it was taken."""
    return store.writer.run(lambda connection: line_decoder._write(connection, *step, NOW, 100))


def drain(store: Store) -> None:
    decoder = LineDecoder(store, lambda _: None)
    decoder.drain()
    assert decoder.backlog() == 0


class TestRaces:
    """A step is read, something happens, the step is to be written."""

    def test_nothing_happens(self, store: Store) -> None:
        append(store, 0, 1, 2, 3)
        step = begun(store)
        assert ended(store, step)
        assert not ended(store, step), "it was written already"
        assert values(store) == [1, 2, 3]

    def test_more_lines_come(self, store: Store) -> None:
        append(store, 0, 1, 2)
        step = begun(store)
        append(store, 2, 3)
        assert ended(store, step)
        drain(store)
        assert values(store) == [1, 2, 3]

    def test_its_lines_are_overwritten(self, store: Store) -> None:
        append(store, 0, 1, 2, 3)
        step = begun(store)
        append(store, 1, 20)
        assert not ended(store, step)
        drain(store)
        assert values(store) == [1, 20, 3]

    def test_the_run_is_rewound(self, store: Store) -> None:
        append(store, 0, 1, 2, 3)
        step = begun(store)

        def rewind(connection: sqlite3.Connection) -> None:
            lines.rewind_lines(connection, 1, 0, 1, 0, NOW)
            connection.execute("UPDATE sdk_run SET branch = 1")

        store.writer.run(rewind)
        assert not ended(store, step)
        drain(store)
        assert values(store) == [1]

    def test_the_run_is_deleted(self, store: Store) -> None:
        append(store, 0, 1, 2, 3)
        step = begun(store)
        store.writer.run(lambda connection: lines.delete_lines(connection, 1))
        assert not ended(store, step)
        assert values(store) == []

    def test_a_join_of_blocks_that_are_to_be_decoded_anew(self, store: Store) -> None:
        """Half of them are decoded once more when the join is to be committed: it would hide which."""
        for at in range(4):
            append(store, at, at)
        drain(store)
        with store.readers.snapshot() as connection:
            rows = connection.execute("SELECT seq, first, first + count, bytes FROM line_block ORDER BY seq").fetchall()
            space = compaction._Space(1, LineFile.HISTORY, rows[-1][0], 4)
            join = compaction._join(connection, space, [compaction.Block(*row) for row in rows])
        assert join is not None
        store.writer.run(lambda connection: lines.restart(connection, 1, 0))
        store.writer.run(lambda connection: connection.execute("UPDATE line_space SET decoded = 2"))
        with pytest.raises(ClaimLostError):
            store.writer.run(lambda connection: compaction._commit(connection, space, join))
        assert store.readers.read(lambda c: c.execute("SELECT count(*) FROM line_block").fetchone()) == (4,)
        store.writer.run(lambda connection: connection.execute("UPDATE line_space SET decoded = newest"))
        store.writer.run(lambda connection: compaction._commit(connection, space, join))
        assert store.readers.read(lambda c: c.execute("SELECT first, count FROM line_block").fetchall()) == [(0, 4)]


def test_the_thread_decodes_and_tells(store: Store) -> None:
    """What was there at its start, and what comes; those who wait for the run are told."""
    told: list[object] = []
    append(store, 0, 1)
    decoder = LineDecoder(store, told.extend)
    decoder.start()
    append(store, 1, 2)
    append(store, 0, 50.0, file=LineFile.EVENTS)
    decoder.wake()
    until(lambda: decoder.backlog() == 0, "all is decoded")
    decoder.close()
    with store.readers.snapshot() as connection:
        found = connection.execute("SELECT kind, count FROM series WHERE source = -1 ORDER BY kind").fetchall()
    assert found == [("system", 1), ("user", 2)]
    assert set(told) == {sdk_run_topic(1)}


def test_console_lines_are_not_decoded(store: Store) -> None:
    append(store, 0, 1, file=LineFile.CONSOLE)
    drain(store)
    assert values(store) == []


def test_series_beyond_the_bound_are_refused(store: Store) -> None:
    """The others go on; rows are kept whole in any case."""
    batch = LineBatch(LineFile.HISTORY, "", 0, ['{"a":1,"b":2,"c":3,"_step":0}', '{"a":4,"_step":1}'])
    store.writer.run(lambda connection: lines.append_lines(connection, 1, 0, batch, assign_steps=False, now=NOW))
    store.max_series = lambda _: 2
    drain(store)
    with store.readers.snapshot() as connection:
        counts = connection.execute("SELECT key, count FROM series WHERE source = -1 ORDER BY key").fetchall()
        assert counts == [("a", 2), ("b", 1)]
        assert [text for _, text in lines.read_lines(connection, 1, LineFile.HISTORY, 0, 9)] == list(batch.lines)
