"""What the controller sends, read strictly into values. Pure. RefusedError (frame) names the field that is wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from outrider_sidecar import contract
from outrider_tracker.ingest.errors import RefusedError

RUN_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
DEFAULT_PROJECT: Final = "uncategorized"
MAX_RECORD: Final = 1 << 20


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
