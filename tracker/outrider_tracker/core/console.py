"""Lines of a run's console, as the client sends them: a text with a time, or a JSON object. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

# `ERROR 2024-01-31T12:00:00.123456 [label] text`: the level is said only for stderr, the label only where one is set.
_TEXT: Final = re.compile(
    r"(?P<level>ERROR )?(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?)(?: \[(?P<label>[^\]]*)\])? (?P<text>.*)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class ConsoleLine:
    """A line of output. `timestamp`: ISO 8601 in UTC, "" if it has none; `level`: "error" for stderr, else ""."""

    text: str
    timestamp: str = ""
    level: str = ""
    label: str = ""


def read_line(line: str) -> ConsoleLine:
    """The parts of a line; what has neither form is all text."""
    if line.startswith("{"):
        found = _structured(line)
        if found is not None:
            return found
    match = _TEXT.fullmatch(line)
    if match is None:
        return ConsoleLine(line)
    return ConsoleLine(match["text"], match["time"], "error" if match["level"] else "", match["label"] or "")


def _structured(line: str) -> ConsoleLine | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not isinstance(value.get("content"), str) or "ts" not in value:
        return None
    return ConsoleLine(value["content"], _text(value["ts"]), _text(value.get("level")), _text(value.get("label")))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
