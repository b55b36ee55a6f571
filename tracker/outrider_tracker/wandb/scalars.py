"""W&B's scalars: what goes out, and what comes in as variables."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from graphql import GraphQLError

from outrider_tracker.core import jsontext

MAX_INT64: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Scalar:
    """`serialize`: from a resolver's value; `parse_value`: from a variable or a literal."""

    serialize: Callable[[Any], Any]
    parse_value: Callable[[Any], Any]


def iso(moment: float) -> str:
    """Unix seconds as W&B writes times: whole seconds, UTC."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _same(value: Any) -> Any:
    return value


def _json_text(value: Any) -> str:
    """Texts are JSON already; whatever else is there is written as JSON."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise GraphQLError("A JSONString is a text that holds JSON.")
    return value


def _integer(value: Any) -> int:
    """W&B's Int64 may come as a text."""
    if isinstance(value, str) and len(value) < 20 and value.lstrip("-").isdigit():
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > MAX_INT64:
        raise GraphQLError("An Int64 is an integer of 64 bits.")
    return value


def _moment(value: Any) -> Any:
    return iso(value) if isinstance(value, int | float) else value


SCALARS: Final = {
    # Numbers that JSON lacks become texts, as W&B does it.
    "JSON": Scalar(jsontext.portion, _same),
    "JSONString": Scalar(_json_text, _text),
    "Int64": Scalar(_integer, _integer),
    "DateTime": Scalar(_moment, _same),
    "Duration": Scalar(_integer, _integer),
}
