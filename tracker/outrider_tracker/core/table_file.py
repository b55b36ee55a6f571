"""Rows of a logged table's file, read one by one: memory for a page, not for the table. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

MAX_COLUMNS: Final = 1000
MAX_CELL: Final = 4000  # characters of one cell's text
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_DECODER: Final = json.JSONDecoder()


class TableError(ValueError):
    """The file is no table; the message says why."""


@dataclass(frozen=True, slots=True)
class TablePage:
    """Rows [first, first + len(rows)) of a table of `total` rows. Each row has a value for each column."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    first: int
    total: int


def read_page(text: str, first: int, limit: int) -> TablePage:
    """At most `limit` rows from row `first`. TableError: it is no table."""
    try:
        return _read(text, first, limit)
    except (ValueError, IndexError) as error:
        raise TableError(f"it is not the JSON of a table: {error}") from None
    except RecursionError:
        raise TableError("it is nested too deeply") from None


def _read(text: str, first: int, limit: int) -> TablePage:
    columns: list[str] = []
    rows: list[list[Any]] = []
    total = 0
    at = _expect(text, _skip(text, 0), "{")
    while text[at := _skip(text, at)] != "}":
        key, at = _DECODER.raw_decode(text, at)
        at = _skip(text, _expect(text, _skip(text, at), ":"))
        if key == "data" and text[at] == "[":
            rows, total, at = _rows(text, at + 1, first, limit)
        else:
            value, at = _DECODER.raw_decode(text, at)
            if key == "columns" and isinstance(value, list):
                columns = [str(each)[:MAX_CELL] for each in value[:MAX_COLUMNS]]
        at = _skip(text, at)
        if text[at] != ",":
            break
        at += 1
    _expect(text, at, "}")
    return TablePage(columns, [_fitted(row, len(columns)) for row in rows], first, total)


def _rows(text: str, at: int, first: int, limit: int) -> tuple[list[list[Any]], int, int]:
    """The page's rows, how many there are in all, and the place behind the list."""
    kept: list[list[Any]] = []
    index = 0
    at = _skip(text, at)
    if text[at] == "]":
        return kept, 0, at + 1
    while True:
        row, at = _DECODER.raw_decode(text, at)
        if first <= index < first + limit and isinstance(row, list):
            kept.append([_cell(value) for value in row[:MAX_COLUMNS]])
        index += 1
        at = _skip(text, at)
        if text[at] != ",":
            return kept, index, _expect(text, at, "]")
        at = _skip(text, at + 1)


def _cell(value: Any) -> Any:
    """Numbers, texts, truth and media objects as they are; what is longer than people read is cut."""
    if isinstance(value, str):
        return value if len(value) <= MAX_CELL else value[:MAX_CELL] + "…"
    if isinstance(value, (dict, list)):
        written = json.dumps(value, ensure_ascii=False)
        return value if len(written) <= MAX_CELL else written[:MAX_CELL] + "…"
    return value


def _fitted(row: list[Any], width: int) -> list[Any]:
    return (row + [None] * width)[:width]


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return at if match is None else match.end()


def _expect(text: str, at: int, mark: str) -> int:
    if text[at] != mark:
        raise ValueError(f"{mark!r} is expected at character {at}")
    return at + 1
