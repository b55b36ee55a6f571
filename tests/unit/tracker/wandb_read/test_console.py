"""Lines of the console: both forms in which clients send them, and one list of all writers' lines."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider_tracker.core.console import ConsoleLine, read_line
from outrider_tracker.store.console_lines import count_console, first_lines, last_lines
from outrider_tracker.store.database import open_database
from outrider_tracker.store.line_blocks import LineFile
from outrider_tracker.store.lines import LineBatch, append_lines


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("2024-01-31T12:00:00.123456 hello", ConsoleLine("hello", "2024-01-31T12:00:00.123456")),
        ("ERROR 2024-01-31T12:00:00.123456 boo", ConsoleLine("boo", "2024-01-31T12:00:00.123456", "error")),
        ("2024-01-31T12:00:00.123456 [rank1] x", ConsoleLine("x", "2024-01-31T12:00:00.123456", "", "rank1")),
        ("ERROR 2024-01-31T12:00:00.1 [a b] ", ConsoleLine("", "2024-01-31T12:00:00.1", "error", "a b")),
        ("2024-01-31T12:00:00.123456 ", ConsoleLine("", "2024-01-31T12:00:00.123456")),
        ("2024-01-31T12:00:00.123456 a\nb", ConsoleLine("a\nb", "2024-01-31T12:00:00.123456")),
        ("ERROR in the code", ConsoleLine("ERROR in the code")),
        ("", ConsoleLine("")),
        ('{"ts": "2024-01-31T12:00:00.1", "content": "x"}', ConsoleLine("x", "2024-01-31T12:00:00.1")),
        (
            '{"level": "error", "ts": "2024-01-31T12:00:00.1", "label": "r0", "content": "é"}',
            ConsoleLine("é", "2024-01-31T12:00:00.1", "error", "r0"),
        ),
        ('{"loss": 1}', ConsoleLine('{"loss": 1}')),
        ('{"content": 3, "ts": "x"}', ConsoleLine('{"content": 3, "ts": "x"}')),
        ("{" * 100_000, ConsoleLine("{" * 100_000)),
    ],
)
def test_read_line(line: str, parts: ConsoleLine) -> None:
    assert read_line(line) == parts


@given(st.text(max_size=80))
def test_any_text_is_a_line(text: str) -> None:
    assert isinstance(read_line(text).text, str)


@given(st.text(max_size=30), st.sampled_from(["", "error"]), st.sampled_from(["", "node-3"]))
def test_structured_lines_come_back(content: str, level: str, label: str) -> None:
    said = {"ts": "2024-01-31T12:00:00.5", "content": content}
    said |= {"level": level} if level else {}
    said |= {"label": label} if label else {}
    assert read_line(json.dumps(said)) == ConsoleLine(content, "2024-01-31T12:00:00.5", level, label)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    made = open_database(tmp_path / "tracker.db")
    made.execute(
        "INSERT INTO sdk_run (id, project, name, display_name, created, updated, heartbeat) "
        "VALUES (1, 1, 'r', 'r', 0, 0, 0)"
    )
    yield made
    made.close()


def write(connection: sqlite3.Connection, client: str, first: int, lines: list[str]) -> None:
    append_lines(connection, 1, 0, LineBatch(LineFile.CONSOLE, client, first, lines), assign_steps=False, now=0.0)


def at(second: int, text: str) -> str:
    return f"2024-01-31T12:00:{second:02}.000000 {text}"


class TestOneWriter:
    def test_pages(self, connection: sqlite3.Connection) -> None:
        write(connection, "", 0, [at(number, f"line {number}") for number in range(7)])
        seen, cursor = [], None
        for _ in range(4):
            part = first_lines(connection, 1, 3, cursor)
            seen.append([(each.number, each.line.text) for each in part.lines])
            cursor = part.cursor
            if not part.more:
                break
        assert seen == [
            [(0, "line 0"), (1, "line 1"), (2, "line 2")],
            [(3, "line 3"), (4, "line 4"), (5, "line 5")],
            [(6, "line 6")],
        ]

    def test_a_full_last_page_has_nothing_behind_it(self, connection: sqlite3.Connection) -> None:
        write(connection, "", 0, [at(number, "x") for number in range(6)])
        part = first_lines(connection, 1, 3, first_lines(connection, 1, 3, None).cursor)
        assert len(part.lines) == 3
        assert not part.more

    def test_lines_that_come_later_follow_the_same_cursor(self, connection: sqlite3.Connection) -> None:
        write(connection, "", 0, [at(0, "a")])
        part = first_lines(connection, 1, 10, None)
        assert first_lines(connection, 1, 10, part.cursor).lines == []
        write(connection, "", 1, [at(1, "b")])
        assert [each.line.text for each in first_lines(connection, 1, 10, part.cursor).lines] == ["b"]

    def test_numbers_are_those_of_the_lines_where_some_are_missing(self, connection: sqlite3.Connection) -> None:
        write(connection, "", 0, [at(0, "a")])
        write(connection, "", 5, [at(1, "b")])
        assert [each.number for each in first_lines(connection, 1, 10, None).lines] == [0, 5]

    def test_the_newest(self, connection: sqlite3.Connection) -> None:
        write(connection, "", 0, [at(number, f"line {number}") for number in range(7)])
        assert [(each.number, each.line.text) for each in last_lines(connection, 1, 2).lines] == [
            (5, "line 5"),
            (6, "line 6"),
        ]
        assert len(last_lines(connection, 1, 100).lines) == 7
        assert count_console(connection, 1) == 7

    def test_nothing(self, connection: sqlite3.Connection) -> None:
        assert first_lines(connection, 1, 10, None).lines == []
        assert last_lines(connection, 1, 10).lines == []


class TestManyWriters:
    @pytest.fixture(autouse=True)
    def lines(self, connection: sqlite3.Connection) -> None:
        write(connection, "a", 0, [at(0, "a0"), at(2, "a2"), at(9, "a9")])
        write(connection, "b", 0, [at(1, "b1"), "no time", at(4, "b4")])

    @pytest.mark.parametrize("size", [1, 2, 3, 10])
    def test_are_joined_by_time(self, connection: sqlite3.Connection, size: int) -> None:
        seen, cursor = [], None
        for _ in itertools.count():
            part = first_lines(connection, 1, size, cursor)
            seen += [(each.number, each.line.text) for each in part.lines]
            cursor = part.cursor
            if not part.more:
                break
        # A line without a time stays behind the one before it.
        assert seen == list(enumerate(["a0", "b1", "no time", "a2", "b4", "a9"]))

    def test_the_newest_of_all(self, connection: sqlite3.Connection) -> None:
        assert [(each.number, each.line.text) for each in last_lines(connection, 1, 2).lines] == [(4, "b4"), (5, "a9")]


@pytest.mark.parametrize("cursor", ["x", "e30=", "W10=", "WzEsMl0=", "WzAse30", "é", "WzEseyJhIjoiYiJ9XQ=="])
def test_a_cursor_that_is_none_is_refused(connection: sqlite3.Connection, cursor: str) -> None:
    with pytest.raises(ValueError, match="cursor"):
        first_lines(connection, 1, 10, cursor)
