"""SQL functions of the reading connections, for the conditions of core/mongo.py.

Each takes what a hostile client may have stored: none raises, whatever the text.
"""

from __future__ import annotations

import functools
import json
import sqlite3
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from outrider_tracker.core import mongo

MAX_SCANNED: Final = 1 << 16  # characters of a value that a regular expression looks at


def register(connection: sqlite3.Connection) -> None:
    """Makes the functions known to a connection."""
    for name, arguments, function in (
        ("json_at_type", 2, json_at_type),
        ("json_at_value", 2, json_at_value),
        ("same_json", 2, same_json),
        ("regex_found", 2, regex_found),
    ):
        connection.create_function(name, arguments, function, deterministic=True)


def json_at_type(document: Any, path: str) -> str | None:
    """Like json_type, for a path given as a JSON list of keys (in any characters). None: there is nothing."""
    found, value = _at(document, path)
    return _type(value) if found else None


def json_at_value(document: Any, path: str) -> Any:
    """Like json_extract, for a path given as a JSON list of keys."""
    found, value = _at(document, path)
    if not found or value is None:
        return None
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else float(value)
    if isinstance(value, (list, dict)):
        return json.dumps(value)
    return value


def same_json(left: Any, right: str) -> int:
    """Whether a JSON value (scalars as SQLite gives them) equals that of a JSON text: 1 and 1.0 do, 1 and true not."""
    try:
        first = json.loads(left) if isinstance(left, str) else left
        return int(_same(first, json.loads(right)))
    except (ValueError, RecursionError):
        return 0


def regex_found(pattern: str, text: Any) -> int:
    """Whether the pattern is found anywhere in the first MAX_SCANNED characters."""
    if not isinstance(text, str):
        return 0
    return int(mongo.compile_pattern(pattern).search(text[:MAX_SCANNED]) is not None)


@functools.lru_cache(maxsize=8)
def _parsed(document: str) -> Any:
    return msgspec.json.decode(document)


def _at(document: Any, path: str) -> tuple[bool, Any]:
    try:
        value = _parsed(document)
    except (TypeError, ValueError, RecursionError):
        return False, None
    for key in json.loads(path):
        if not isinstance(value, Mapping) or key not in value:
            return False, None
        value = value[key]
    return True, value


def _type(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "real"
    return "text" if isinstance(value, str) else "array" if isinstance(value, list) else "object"


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return list(left) == list(right) and all(_same(left[key], right[key]) for key in left)
    return (type(left) is type(right) and left == right) or (_number(left) and _number(right) and left == right)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
