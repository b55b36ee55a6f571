"""The console of an SDK run as one list of lines, whatever number of processes wrote it (shared mode)."""

from __future__ import annotations

import base64
import heapq
import itertools
import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from outrider_tracker.core.console import ConsoleLine, read_line
from outrider_tracker.store.line_blocks import LineFile
from outrider_tracker.store.lines import read_lines

_BATCH = 1000


@dataclass(frozen=True, slots=True)
class NumberedLine:
    """A line and its number in the whole console, from 0."""

    number: int
    line: ConsoleLine


@dataclass(frozen=True, slots=True)
class ConsolePart:
    """Consecutive lines; `cursor` leads to those behind them; `more`: there are some."""

    lines: Sequence[NumberedLine]
    cursor: str | None
    more: bool


@dataclass(frozen=True, slots=True)
class _Place:
    """Where reading goes on: lines given so far, and the next line of each writer."""

    given: int
    next: dict[str, int]


def count_console(connection: sqlite3.Connection, run: int) -> int:
    """How many lines all writers have together."""
    return sum(_writers(connection, run).values())


def first_lines(connection: sqlite3.Connection, run: int, limit: int, after: str | None) -> ConsolePart:
    """At most `limit` lines behind a cursor, or from the beginning. ValueError: it is no cursor of ours.

    Lines of several writers are joined by their times.
    """
    writers = _writers(connection, run)
    place = _Place(0, {}) if not after else _read_cursor(after)
    following = {client: min(place.next.get(client, 0), count) for client, count in writers.items()}
    if len(writers) <= 1:
        sources = [_forward(connection, run, client, following[client], count) for client, count in writers.items()]
        taken = list(itertools.islice(itertools.chain(*sources), limit))
    else:
        sources = [_forward(connection, run, client, following[client], count) for client, count in writers.items()]
        taken = list(itertools.islice(heapq.merge(*sources, key=lambda item: item[:3]), limit))
    lines: list[NumberedLine] = []
    for _, client, number, line in taken:
        following[client] = number + 1
        lines.append(NumberedLine(number if len(writers) == 1 else place.given + len(lines), line))
    more = len(taken) == limit and any(following[client] < count for client, count in writers.items())
    if not taken:
        return ConsolePart([], after, more)
    return ConsolePart(lines, _make_cursor(_Place(place.given + len(taken), following)), more)


def last_lines(connection: sqlite3.Connection, run: int, limit: int) -> ConsolePart:
    """The newest at most `limit` lines, oldest first."""
    writers = _writers(connection, run)
    found: list[tuple[str, str, int, ConsoleLine]] = []
    for client, count in writers.items():
        found += _forward(connection, run, client, max(0, count - limit), count)
    if len(writers) == 1:
        return ConsolePart([NumberedLine(number, line) for _, _, number, line in found], None, False)
    found.sort(key=lambda item: item[:3])
    found = found[-limit:] if limit else []
    before = sum(writers.values()) - len(found)
    return ConsolePart([NumberedLine(before + index, item[3]) for index, item in enumerate(found)], None, False)


def _writers(connection: sqlite3.Connection, run: int) -> dict[str, int]:
    """Each writer with one more than the number of its highest line."""
    rows = connection.execute(
        "SELECT client, max(line_space.count) FROM line_space JOIN sdk_run ON sdk_run.id = run "
        "AND sdk_run.branch = line_space.branch WHERE run = ? AND file = ? GROUP BY client ORDER BY client",
        (run, LineFile.CONSOLE),
    )
    return dict(rows.fetchall())


def _forward(
    connection: sqlite3.Connection, run: int, client: str, first: int, stop: int
) -> Iterator[tuple[str, str, int, ConsoleLine]]:
    """(time, writer, number, line) of a writer's lines; a line without a time has that of the line before it."""
    time = ""
    for start in range(first, stop, _BATCH):
        for number, text in read_lines(connection, run, LineFile.CONSOLE, start, min(start + _BATCH, stop), client):
            line = read_line(text)
            time = max(time, line.timestamp)
            yield time, client, number, line


def _make_cursor(place: _Place) -> str:
    return base64.urlsafe_b64encode(json.dumps([place.given, place.next]).encode()).decode()


def _read_cursor(text: str) -> _Place:
    try:
        given, following = json.loads(base64.urlsafe_b64decode(text))
        if not isinstance(given, int) or not all(isinstance(number, int) for number in following.values()):
            raise TypeError
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise ValueError("the cursor is not one that these lines were answered with") from None
    return _Place(given, {str(client): max(0, number) for client, number in following.items()})
