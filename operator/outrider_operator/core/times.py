"""Times between the wire (RFC 3339) and decisions (Unix seconds)."""

from __future__ import annotations

import math
from datetime import UTC, datetime


def seconds(text: object) -> float | None:
    """Unix seconds of an RFC 3339 time as the API server or the tracker writes it; None where it is none."""
    if not isinstance(text, str) or not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp()


def rfc3339(at: float | None) -> str | None:
    """The time with milliseconds where it has any, in UTC; None for an absent time or one that no calendar has."""
    if at is None or not math.isfinite(at):
        return None
    try:
        moment = datetime.fromtimestamp(round(at, 3), UTC)
    except (OverflowError, OSError, ValueError):
        return None
    fine = "milliseconds" if moment.microsecond else "seconds"
    return moment.isoformat(timespec=fine).replace("+00:00", "Z")
