"""Decoding beside writers: whatever happens between reading lines and writing what they mean, each counts once."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from outrider_tracker.decode import line_decoder, line_step, worker
from outrider_tracker.decode.line_decoder import LineDecoder
from outrider_tracker.decode.line_step import LineStep
from outrider_tracker.notifier import sdk_run_topic
from outrider_tracker.store import compaction, decoded, lines, points, undecoded
from outrider_tracker.store.compaction import ClaimLostError
from outrider_tracker.store.found import DIRECT, PORTION
from outrider_tracker.store.line_blocks import LineFile
from outrider_tracker.store.lines import LineBatch
from outrider_tracker.store.read_rows import key_statistics
from outrider_tracker.store.store import Store
from tests.integration.tracker.process import until

NOW = 1.0
OWNER = "-(SELECT id FROM decoding WHERE run = 1)"


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


def append(store: Store, first: int, *values: float, file: LineFile = LineFile.HISTORY, run: int = 1) -> None:
    """Rows with steps from `first` on."""
    batch = LineBatch(file, "", first, [f'{{"_step":{first + at},"x":{value}}}' for at, value in enumerate(values)])
    store.writer.run(lambda connection: lines.append_lines(connection, run, 0, batch, assign_steps=False, now=NOW))


def values(store: Store) -> list[float]:
    """Those of x, in order of steps."""
    with store.readers.snapshot() as connection:
        found = connection.execute(f"SELECT id FROM series WHERE source = {OWNER} AND key = 'x'").fetchone()
    if found is None:
        return []
    _, steps, numbers = store.points.read_points(found[0])
    return [number for _, number in sorted(zip(steps, numbers, strict=True))]


def begun(store: Store) -> tuple[undecoded.Pending, LineStep]:
    """A step that was read and not written."""
    with store.readers.snapshot() as connection:
        (place,) = undecoded.pending(connection)
        return place, line_step.take(connection, place, NOW, 1e9)


def ended(store: Store, step: tuple[undecoded.Pending, LineStep]) -> bool:
    """Whether it was taken."""
    return store.writer.run(lambda connection: line_decoder._write(connection, *step))


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
        found = connection.execute(f"SELECT kind, count FROM series WHERE source = {OWNER} ORDER BY kind").fetchall()
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
        counts = connection.execute(f"SELECT key, count FROM series WHERE source = {OWNER} ORDER BY key").fetchall()
        assert counts == [("a", 2), ("b", 1)]
        assert [text for _, text in lines.read_lines(connection, 1, LineFile.HISTORY, 0, 9)] == list(batch.lines)


def wide(store: Store, step: int, keys: int) -> None:
    """A row with so many keys."""
    text = json.dumps({"_step": step, **{f"k{key}": key + step for key in range(keys)}})
    batch = LineBatch(LineFile.HISTORY, "", step, [text])
    store.writer.run(lambda connection: lines.append_lines(connection, 1, 0, batch, assign_steps=False, now=NOW))


def all_values(store: Store) -> dict[str, list[float]]:
    """Of each key, in the order of its points."""
    with store.readers.snapshot() as connection:
        found = connection.execute(f"SELECT key, id FROM series WHERE source = {OWNER}").fetchall()
    return {key: list(store.points.read_points(series)[2]) for key, series in found}


class TestWideRows:
    """What one row says may be too much for one transaction, which all tenants share."""

    KEYS = DIRECT + PORTION + 7

    def wanted(self, *steps: int) -> dict[str, list[float]]:
        return {f"k{key}": [float(key + step) for step in steps] for key in range(self.KEYS)}

    def test_every_key_has_its_points_in_order(self, store: Store) -> None:
        wide(store, 0, self.KEYS)
        wide(store, 1, self.KEYS)
        drain(store)
        wide(store, 2, self.KEYS)
        drain(store)
        assert all_values(store) == self.wanted(0, 1, 2)

    def test_no_transaction_writes_more_than_a_portion(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        sizes: list[int] = []
        append_points = points.append

        def counted(connection: sqlite3.Connection, owner: int, batches: Any, now: float, most: float) -> int:
            sizes.append(len(batches))
            return append_points(connection, owner, batches, now, most)

        monkeypatch.setattr(points, "append", counted)
        wide(store, 0, self.KEYS)
        drain(store)
        assert sum(sizes) == self.KEYS
        assert max(sizes) <= PORTION

    def test_what_was_kept_when_the_process_died_is_spread_by_the_next_one(self, store: Store) -> None:
        """Nothing twice, nothing missing; statistics know of it meanwhile."""
        wide(store, 0, self.KEYS)
        place, step = begun(store)
        assert store.writer.run(lambda connection: line_decoder._write(connection, place, step))
        with store.readers.snapshot() as connection:
            (keeper,) = decoded.keepers(connection)
        assert (keeper.tenant, keeper.run) == ("e", 1)
        assert store.writer.run(lambda connection: decoded.spread(connection, keeper.owner))
        with store.readers.snapshot() as connection:
            assert len(key_statistics(connection, 1)["keys"]) == self.KEYS + 1
        assert 0 < len(all_values(store)) < self.KEYS
        wide(store, 1, self.KEYS)
        drain(store)
        assert all_values(store) == self.wanted(0, 1)

    def test_what_was_kept_of_lines_that_are_replaced_is_given_up(self, store: Store) -> None:
        wide(store, 0, self.KEYS)
        place, step = begun(store)
        store.writer.run(lambda connection: line_decoder._write(connection, place, step))
        append(store, 0, 5.0)
        drain(store)
        assert all_values(store) == {"x": [5.0]}
        while store.writer.run(lambda connection: decoded.sweep(connection, 100)):
            pass
        with store.readers.snapshot() as connection:
            assert connection.execute("SELECT DISTINCT key FROM series").fetchall() == [("x",)]
            assert decoded.waiting(connection) == 0


class TestTurns:
    """One tenant brings more than can be decoded at once; what another one logs meanwhile does not wait for it."""

    KEYS = 4 * DIRECT

    @pytest.fixture(autouse=True)
    def at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Every moment is over when it begins: what counts is the order."""
        monkeypatch.setattr(worker, "MOMENT", 0.0)
        monkeypatch.setattr(line_decoder, "MOMENT", 0.0)

    def begin(self, store: Store, run: int, entity: str) -> None:
        """A run of an entity's project."""

        def made(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR IGNORE INTO project (entity, name, created) VALUES (?, 'q', 0)", (entity,))
            connection.execute(
                "INSERT INTO sdk_run (id, project, name, display_name, created, updated, heartbeat) "
                "VALUES (?, (SELECT id FROM project WHERE entity = ? AND name = 'q'), 'r' || ?, '', 0, 0, 0)",
                (run, entity, run),
            )

        store.writer.run(made)

    def order(self, store: Store, light: int) -> list[tuple[Any, int]]:
        """Decodes all; `light` logs its first row when the first of the others has moved. Who moved when, and how many
        portions were kept then.
        """
        moved: list[tuple[Any, int]] = []

        def publish(topics: Any) -> None:
            if not moved:
                append(store, 0, 5.0, run=light)
            moved.extend((topic, store.readers.read(decoded.waiting)) for topic in topics)

        decoder = LineDecoder(store, publish)
        decoder.drain()
        assert decoder.backlog() == 0
        return moved

    def test_portions_of_a_wide_row(self, store: Store) -> None:
        self.begin(store, 2, "light")
        wide(store, 0, self.KEYS)
        moved = self.order(store, 2)
        assert [kept > 0 for topic, kept in moved if topic == sdk_run_topic(2)] == [True]
        assert len(all_values(store)) == self.KEYS

    def test_many_runs(self, store: Store) -> None:
        self.begin(store, 100, "light")
        for run in range(10, 50):
            self.begin(store, run, "e")
            append(store, 0, 1.0, run=run)
        moved = [topic for topic, _ in self.order(store, 100)]
        assert len(moved) == 41
        assert moved.index(sdk_run_topic(100)) <= 2 * line_decoder._AT_ONCE

    def test_what_was_kept_of_a_run_that_starts_over_is_not_written(self, store: Store) -> None:
        wide(store, 0, self.KEYS)
        place, step = begun(store)
        store.writer.run(lambda connection: line_decoder._write(connection, place, step))
        append(store, 0, 5.0)
        with store.readers.snapshot() as connection:
            assert decoded.keepers(connection) == []
            assert decoded.waiting(connection) == 0
        drain(store)
        with store.readers.snapshot() as connection:
            assert connection.execute("SELECT key FROM series").fetchall() == [("x",)]
        while store.writer.run(lambda connection: decoded.sweep(connection, 100)):
            pass
        with store.readers.snapshot() as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
