"""What the controller sends, read strictly into values. Pure. RefusedError (frame) names the field that is wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from outrider_sidecar import contract
from outrider_tracker.core import jsontext
from outrider_tracker.core.errors import RefusedError
from outrider_tracker.core.run_record import Attempt, Condition, Failure, RankCounts, Workload

RUN_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
DEFAULT_PROJECT: Final = "uncategorized"
MAX_RECORD: Final = 1 << 20
MAX_NESTING: Final = 64  # pydantic writes answers, and goes no deeper than some 250
PARTS: Final[Mapping[str, TypeAdapter[Any]]] = {
    "workload": TypeAdapter(Workload),
    "failure": TypeAdapter(Failure | None),
    "attempts": TypeAdapter(list[Attempt]),
    "conditions": TypeAdapter(list[Condition]),
    "ranks": TypeAdapter(RankCounts),
}


def text(body: Mapping[str, Any], key: str, default: str = "") -> str:
    """A text, absent or null = default."""
    value = body.get(key)
    if value is None:
        return default
    if not isinstance(value, str):
        raise wrong(key, "a text")
    return value


def required(body: Mapping[str, Any], key: str) -> str:
    """A text that is not empty."""
    value = text(body, key)
    if not value:
        raise wrong(key, "a text that is not empty")
    return value


def integer(body: Mapping[str, Any], key: str) -> int | None:
    """An integer from 0, absent or null = None."""
    value = body.get(key)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 62:
        raise wrong(key, "an integer from 0")
    return value


def complete(body: Mapping[str, Any]) -> dict[str, Any]:
    """The record with all of its fields, so that no reader meets half of one; further fields are kept as they are."""
    for key, value in body.items():
        if jsontext.nested_deeper(value, MAX_NESTING):
            raise wrong(key, f"nested at most {MAX_NESTING} levels deep")
    record: dict[str, Any] = dict(body)
    record["namespace"] = required(body, "namespace")
    for key in ("name", "project", "displayName", "group", "jobType", "notes", "state", "reason"):
        record[key] = text(body, key)
    for key in ("createdAt", "startedAt", "endedAt"):
        record[key] = text(body, key) or None
    record["project"] = record["project"] or DEFAULT_PROJECT
    record["attempt"] = integer(body, "attempt") or 1
    for key in ("config", "workload"):
        record[key] = _object(body, key) or {}
    record["failure"] = _object(body, "failure")
    record["tags"] = _list(body, "tags", str, "texts")
    record["attempts"] = _list(body, "attempts", dict, "objects")
    record["conditions"] = _list(body, "conditions", dict, "objects")
    counts = _object(body, "ranks") or {}
    record["ranks"] = {**counts, **{key: integer(counts, key) or 0 for key in RankCounts.model_fields}}
    for attempt in record["attempts"]:
        if integer(attempt, "number") is None:
            raise wrong("attempts[].number", "an integer from 0")
    for condition in record["conditions"]:
        required(condition, "type")
        required(condition, "status")
    for key, part in PARTS.items():
        _readable(record, key, part)
    return record


def _readable(record: Mapping[str, Any], key: str, part: TypeAdapter[Any]) -> None:
    """Whoever reads it reads it so: one record that cannot be would take a whole list with it."""
    try:
        part.validate_python(record[key])
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = "".join("[]" if isinstance(step, int) else f".{step}" for step in first["loc"])
        raise RefusedError(contract.ERROR_FRAME, f"{key}{where}: {first['msg']}") from None


def _object(body: Mapping[str, Any], key: str) -> dict[str, Any] | None:
    value = body.get(key)
    if value is not None and not isinstance(value, dict):
        raise wrong(key, "an object")
    return value


def _list(body: Mapping[str, Any], key: str, kind: type, named: str) -> list[Any]:
    value = body.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, kind) for item in value):
        raise wrong(key, f"a list of {named}")
    return value


def created(body: Mapping[str, Any], now: float) -> float:
    """`createdAt` (RFC 3339) as Unix seconds; `now` where there is none."""
    value = text(body, "createdAt")
    if not value:
        return now
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise wrong("createdAt", "a time as 2026-01-31T12:00:00Z") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def run_id(value: str) -> str:
    """A Run's id as it may stand in addresses."""
    if RUN_ID.fullmatch(value) is None:
        raise wrong("the run id", "at most 253 letters, digits and . _ -, beginning with a letter or digit")
    return value


def wrong(key: str, expected: str) -> RefusedError:
    """400 for one field."""
    return RefusedError(contract.ERROR_FRAME, f"{key} must be {expected}")
