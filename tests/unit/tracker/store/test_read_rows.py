"""Rows of long histories: what is read is bounded by what is asked for; compaction keeps blocks few."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

import pytest

from outrider_tracker.decode.line_decoder import LineDecoder
from outrider_tracker.store import lines
from outrider_tracker.store.compaction import Block, compact_lines, groups
from outrider_tracker.store.decoded import decoding_of
from outrider_tracker.store.line_blocks import BLOCK_BYTES, BLOCK_LINES, LineFile
from outrider_tracker.store.lines import LineBatch
from outrider_tracker.store.read_rows import key_statistics, last_step, rows_between, sample_rows
from outrider_tracker.store.store import Store

T = TypeVar("T")
ROWS = 200_000
RARE = 5000  # every so many rows there is a validation


def row(step: int) -> str:
    """A row of training, now and then with a validation."""
    extra = {"val": {"acc": step / ROWS}} if step % RARE == 0 else {}
    return json.dumps({"_step": step, "_timestamp": 1.0 * step, "loss": 1 / (step + 1), **extra})


def make_run(store: Store, run: int) -> None:
    store.writer.run(
        lambda connection: connection.execute(
            "INSERT INTO sdk_run (id, project, name, display_name, created, updated, heartbeat) "
            "VALUES (?, 1, ?, '', 0, 0, 0)",
            (run, f"r{run}"),
        )
    )


def append(store: Store, run: int, batch: LineBatch, *, shared: bool = False) -> bool:
    return store.writer.run(
        lambda connection: lines.append_lines(connection, run, 0, batch, assign_steps=shared, now=1.0)
    )


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Run 1 has many rows, decoded and sealed; run 2 stands on its first half."""
    store = Store(tmp_path_factory.mktemp("long") / "data", clock=lambda: 1.0)
    store.writer.run(
        lambda connection: connection.execute("INSERT INTO project (id, entity, name, created) VALUES (1, 'e', 'p', 0)")
    )
    make_run(store, 1)
    for first in range(0, ROWS, 10_000):
        append(store, 1, LineBatch(LineFile.HISTORY, "", first, [row(step) for step in range(first, first + 10_000)]))
    make_run(store, 2)
    store.writer.run(lambda connection: lines.fork_lines(connection, 2, 1, ROWS // 2, 1.0))
    LineDecoder(store, lambda _: None).drain()
    store.points.seal(1e9)
    yield store
    store.close()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Store]:
    """An empty store with run 1."""
    store = Store(tmp_path / "data", clock=lambda: 1.0)
    store.writer.run(
        lambda connection: connection.execute("INSERT INTO project (id, entity, name, created) VALUES (1, 'e', 'p', 0)")
    )
    make_run(store, 1)
    yield store
    store.close()


def reading(store: Store, query: Callable[..., T], *arguments: object) -> tuple[T, int]:
    """The answer, and how many blocks and chunks were read for it."""
    read: list[str] = []
    with store.readers.snapshot() as connection:
        connection.set_trace_callback(read.append)
        try:
            answer = query(connection, *arguments)
        finally:
            connection.set_trace_callback(None)
    return answer, sum("SELECT data FROM line_block" in text or "SELECT points FROM" in text for text in read)


class TestBounds:
    """Of 200 blocks of 1000 rows."""

    @pytest.mark.parametrize("run", [1, 2])
    def test_a_page(self, long: Store, run: int) -> None:
        found, blocks = reading(long, rows_between, run, 51_500, 52_500, 1000)
        assert [json.loads(text)["_step"] for text in found] == list(range(51_500, 52_500))
        assert blocks == 2

    def test_a_page_of_an_open_range(self, long: Store) -> None:
        found, blocks = reading(long, rows_between, 1, 0, 1 << 62, 1000)
        assert [json.loads(text)["_step"] for text in found] == list(range(1000))
        assert blocks <= 2

    def test_a_sample(self, long: Store) -> None:
        found, blocks = reading(long, sample_rows, 1, LineFile.HISTORY, 20)
        steps = [value["_step"] for value in found]
        assert (steps[0], steps[-1], len(steps)) == (0, ROWS - 1, 20)
        assert max(after - before for before, after in itertools.pairwise(steps)) <= ROWS / 19 + 1
        assert blocks == 20

    def test_a_sample_of_a_range(self, long: Store) -> None:
        found, _ = reading(long, sample_rows, 1, LineFile.HISTORY, 50, (), 30_500, 31_500)
        steps = [value["_step"] for value in found]
        assert (steps[0], steps[-1], len(steps)) == (30_500, 31_499, 50)

    def test_keys_that_each_row_has(self, long: Store) -> None:
        found, blocks = reading(long, sample_rows, 1, LineFile.HISTORY, 30, ["_step", "loss"])
        assert len(found) == 30
        assert all(value == {"_step": value["_step"], "loss": 1 / (value["_step"] + 1)} for value in found)
        assert blocks <= 31

    @pytest.mark.parametrize(("run", "rows"), [(1, ROWS), (2, ROWS // 2 + 1)])
    def test_keys_that_few_rows_have(self, long: Store, run: int, rows: int) -> None:
        """All are found, as its points say where they are."""
        found, blocks = reading(long, sample_rows, run, LineFile.HISTORY, 500, ["_step", "val.acc"])
        assert [value["_step"] for value in found] == list(range(0, rows, RARE))
        assert blocks <= len(found) + 2

    def test_statistics_and_the_last_step(self, long: Store) -> None:
        assert reading(long, last_step, 1) == (ROWS - 1, 1)
        assert reading(long, last_step, 2) == (ROWS // 2, 1)
        statistics, blocks = reading(long, key_statistics, 1)
        assert statistics["keys"]["loss"]["typeCounts"] == [{"type": "number", "count": ROWS}]
        assert statistics["keys"]["val.acc"]["typeCounts"] == [{"type": "number", "count": ROWS // RARE}]
        assert (statistics["lastStep"], blocks) == (ROWS - 1, 1)

    def test_the_tail(self, long: Store) -> None:
        found, blocks = reading(long, lines.tail_lines, 1, LineFile.HISTORY, 3)
        assert [json.loads(text)["_step"] for text in found] == list(range(ROWS - 3, ROWS))
        assert blocks == 1


class TestRows:
    """Whatever rows hold."""

    def test_rows_without_steps_and_lines_that_are_none(self, small: Store) -> None:
        texts = ['{"a":1}', "nothing", "[1]", '{"_step":2,"a":NaN}', '{"_step":1.5}', '{"x":{"_step":99}}']
        append(small, 1, LineBatch(LineFile.HISTORY, "", 0, texts))
        with small.readers.snapshot() as connection:
            assert rows_between(connection, 1, 0, 100, 9) == ['{"_step":1.5}', '{"_step":2,"a":NaN}']
            assert len(sample_rows(connection, 1, LineFile.HISTORY, 9)) == 4
            assert last_step(connection, 1) == 2

    def test_a_run_without_lines(self, small: Store) -> None:
        with small.readers.snapshot() as connection:
            assert rows_between(connection, 1, 0, 9, 9) == []
            assert sample_rows(connection, 1, LineFile.EVENTS, 9) == []
            assert key_statistics(connection, 1) == {"keys": {}, "lastStep": -1, "sets": []}
            assert lines.tail_lines(connection, 7, LineFile.CONSOLE, 3) == []

    def test_writers_of_one_run_are_merged_by_step(self, small: Store) -> None:
        """Steps in the order of arrival; a retry takes those that it was given."""
        for turn in range(3):
            for client in ("a", "b"):
                batch = LineBatch(LineFile.HISTORY, client, turn, [f'{{"by":"{client}{turn}"}}'])
                assert append(small, 1, batch, shared=True)
                assert not append(small, 1, batch, shared=True)
        with small.readers.snapshot() as connection:
            rows = [json.loads(text) for text in rows_between(connection, 1, 0, 99, 99)]
        assert rows == [{"_step": step, "by": by} for step, by in enumerate(["a0", "b0", "a1", "b1", "a2", "b2"])]

    def test_steps_that_writers_of_one_run_bring_are_replaced(self, small: Store) -> None:
        append(small, 1, LineBatch(LineFile.HISTORY, "a", 0, ['{"_step":7}', "{}", "no object"]), shared=True)
        with small.readers.snapshot() as connection:
            held = [text for _, text in lines.read_lines(connection, 1, LineFile.HISTORY, 0, 9, "a")]
        assert held == ['{"_step":0}', '{"_step":1}', "no object"]

    def test_lines_far_apart(self, small: Store) -> None:
        """Gaps cost nothing, however wide."""
        for first in (0, 10**6, 10**12):
            append(small, 1, LineBatch(LineFile.HISTORY, "", first, [f'{{"_step":{first}}}']))
        make_run(small, 2)
        small.writer.run(lambda connection: lines.fork_lines(connection, 2, 1, 10**13, 1.0))
        LineDecoder(small, lambda _: None).drain()
        with small.readers.snapshot() as connection:
            for run in (1, 2):
                assert [json.loads(text)["_step"] for text in rows_between(connection, run, 0, 1 << 60, 9)] == [
                    0,
                    10**6,
                    10**12,
                ]
                assert lines.line_counts(connection, run)[LineFile.HISTORY] == 10**12 + 1
                assert len(lines.tail_lines(connection, run, LineFile.HISTORY, 2)) == 2

    def test_half_characters_become_question_marks(self, small: Store) -> None:
        batch = LineBatch(LineFile.CONSOLE, "", 0, ["a\ud800b"])
        append(small, 1, batch)
        assert not append(small, 1, LineBatch(LineFile.CONSOLE, "", 0, ["a\ud800b"]))
        with small.readers.snapshot() as connection:
            assert lines.read_lines(connection, 1, LineFile.CONSOLE, 0, 9) == [(0, "a?b")]


def overwritten(store: Store, run: int, branch: int) -> None:
    """Line 3 is sent once more, and is another row."""
    batch = LineBatch(LineFile.HISTORY, "", 3, [json.dumps({"_step": 3, "loss": 33.0})])
    assert store.writer.run(
        lambda connection: lines.append_lines(connection, run, branch, batch, assign_steps=False, now=1.0)
    )
    LineDecoder(store, lambda _: None).drain()


def losses(store: Store, run: int) -> tuple[list[float], list[float]]:
    """As the rows say, and as the points do."""
    with store.readers.snapshot() as connection:
        rows = [json.loads(text)["loss"] for text in rows_between(connection, run, 0, 99, 99)]
        (series,) = connection.execute(
            "SELECT id FROM series WHERE source = ? AND key = 'loss'", (-decoding_of(connection, run),)
        ).fetchone()
    return rows, sorted(store.points.read_points(series)[2], reverse=True)


class TestOverwriting:
    """What was decoded is replaced, once; what others stand on never changes."""

    BEFORE: Final = [1 / (step + 1) for step in range(10)]
    AFTER: Final = [33.0 if step == 3 else 1 / (step + 1) for step in range(10)]

    def test_a_line_that_was_decoded(self, small: Store) -> None:
        append(small, 1, LineBatch(LineFile.HISTORY, "", 0, [row(step) for step in range(10)]))
        LineDecoder(small, lambda _: None).drain()
        overwritten(small, 1, 0)
        assert losses(small, 1) == (self.AFTER, sorted(self.AFTER, reverse=True))

    def test_a_line_of_the_branch_before_a_rewind(self, small: Store) -> None:
        append(small, 1, LineBatch(LineFile.HISTORY, "", 0, [row(step) for step in range(20)]))

        def rewind(connection: sqlite3.Connection) -> None:
            lines.rewind_lines(connection, 1, 0, 1, 9, 1.0)
            connection.execute("UPDATE sdk_run SET branch = 1 WHERE id = 1")

        small.writer.run(rewind)
        LineDecoder(small, lambda _: None).drain()
        assert losses(small, 1) == (self.BEFORE, self.BEFORE)
        overwritten(small, 1, 1)
        assert losses(small, 1) == (self.AFTER, sorted(self.AFTER, reverse=True))

    def test_a_line_that_a_fork_stands_on(self, small: Store) -> None:
        """The fork keeps what it was made from, and what it writes itself."""
        append(small, 1, LineBatch(LineFile.HISTORY, "", 0, [row(step) for step in range(10)]))
        make_run(small, 2)
        small.writer.run(lambda connection: lines.fork_lines(connection, 2, 1, 9, 1.0))
        LineDecoder(small, lambda _: None).drain()
        overwritten(small, 1, 0)
        assert losses(small, 1) == (self.AFTER, sorted(self.AFTER, reverse=True))
        assert losses(small, 2) == (self.BEFORE, self.BEFORE)
        make_run(small, 3)
        small.writer.run(lambda connection: lines.fork_lines(connection, 3, 1, 9, 1.0))
        overwritten(small, 2, 0)
        small.writer.run(lambda connection: lines.delete_lines(connection, 1))
        compact_lines(small.readers, small.writer)
        assert losses(small, 2)[0] == losses(small, 3)[0] == self.AFTER


def blocks_of(store: Store) -> list[tuple[int, int, int]]:
    """First line, number of lines and bytes of each block."""
    return store.readers.read(
        lambda connection: connection.execute("SELECT first, count, bytes FROM line_block ORDER BY first").fetchall()
    )


class TestCompaction:
    """Small blocks become large ones, without rewriting lines too often."""

    def test_small_blocks_become_full_ones(self, small: Store) -> None:
        decoder, rewritten = LineDecoder(small, lambda _: None), 0
        for turn in range(300):
            texts = [row(step) for step in range(turn * 10, turn * 10 + 10)]
            append(small, 1, LineBatch(LineFile.HISTORY, "", turn * 10, texts))
            if turn % 4 == 0:
                decoder.drain()
                before = {first: count for first, count, _ in blocks_of(small)}
                compact_lines(small.readers, small.writer)
                rewritten += sum(count for first, count, _ in blocks_of(small) if before.get(first) != count)
        decoder.drain()
        compact_lines(small.readers, small.writer)
        found = blocks_of(small)
        assert len(found) < 20
        assert all(count <= BLOCK_LINES for _, count, _ in found)
        assert rewritten <= 3000 * BLOCK_LINES.bit_length()
        with small.readers.snapshot() as connection:
            assert [text for _, text in lines.read_lines(connection, 1, LineFile.HISTORY, 0, 9999)] == [
                row(step) for step in range(3000)
            ]

    def test_what_is_not_decoded_stays(self, small: Store) -> None:
        for first in range(20):
            append(small, 1, LineBatch(LineFile.HISTORY, "", first, [row(first)]))
        assert compact_lines(small.readers, small.writer) == 0
        assert len(blocks_of(small)) == 20

    def test_a_progress_bar_leaves_its_last_state(self, small: Store) -> None:
        for turn in range(1000):
            append(small, 1, LineBatch(LineFile.CONSOLE, "", 0, [f"{turn} %", *["done"] * (turn // 500)]))
            if turn % 20 == 19:
                compact_lines(small.readers, small.writer)
        assert len(blocks_of(small)) < 70
        with small.readers.snapshot() as connection:
            assert lines.read_lines(connection, 1, LineFile.CONSOLE, 0, 9) == [(0, "999 %"), (1, "done")]

    def test_long_lines_are_left_alone(self, small: Store) -> None:
        for first in range(10):
            append(small, 1, LineBatch(LineFile.CONSOLE, "", first, ["x" * (BLOCK_BYTES + first)]))
        assert compact_lines(small.readers, small.writer) == 0

    def test_groups_have_no_gap(self) -> None:
        blocks = [Block(seq, first, first + 5, 100) for seq, first in enumerate([*range(0, 60, 5), *range(80, 140, 5)])]
        assert [[block.first for block in group] for group in groups(blocks)] == [
            list(range(0, 60, 5)),
            list(range(80, 140, 5)),
        ]

    def test_dead_lines_are_swept_and_those_that_others_stand_on_stay(self, small: Store) -> None:
        append(small, 1, LineBatch(LineFile.HISTORY, "", 0, [row(step) for step in range(30)]))
        make_run(small, 2)
        small.writer.run(lambda connection: lines.fork_lines(connection, 2, 1, 9, 1.0))
        small.writer.run(lambda connection: lines.delete_lines(connection, 1))
        compact_lines(small.readers, small.writer)
        with small.readers.snapshot() as connection:
            assert len(lines.read_lines(connection, 2, LineFile.HISTORY, 0, 99)) == 10
            assert lines.read_lines(connection, 1, LineFile.HISTORY, 0, 99) == []
        small.writer.run(lambda connection: lines.delete_lines(connection, 2))
        compact_lines(small.readers, small.writer)
        assert blocks_of(small) == []
        spaces = small.readers.read(lambda connection: connection.execute("SELECT count(*) FROM line_space").fetchone())
        assert spaces == (0,)


@pytest.mark.parametrize("step", [2**62, 2**63, 2**64, 10**30, 10**400, -(2**63) - 1, -(10**30)])
def test_rows_whose_every_step_is_beyond_what_sqlite_counts(tmp_path: Path, step: int) -> None:
    """They are kept as they came, and decoded."""
    opened = Store(tmp_path / "data", clock=lambda: 1.0)
    make_run(opened, 1)
    text = json.dumps({"_step": step, "loss": 1.0})
    assert append(opened, 1, LineBatch(LineFile.HISTORY, "", 0, [text]))
    LineDecoder(opened, lambda _: None).drain()
    with opened.readers.snapshot() as connection:
        assert lines.read_lines(connection, 1, LineFile.HISTORY, 0, 9) == [(0, text)]
        assert key_statistics(connection, 1)["keys"].keys() == {"_step", "loss"}
    opened.close()
