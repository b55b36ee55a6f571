"""One line of JSON for each thing worth telling, on stderr. Values are texts and numbers; secrets never come here."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from typing import Final

MAX_VALUE: Final = 512


def say(event: str, **fields: str | float | None) -> None:
    """Writes `{"ts", "event", …}`; texts are cut, control characters escaped by JSON."""
    line = {"ts": round(time.time(), 3), "event": event}
    line |= {key: value[:MAX_VALUE] if isinstance(value, str) else value for key, value in fields.items()}
    # A log that cannot be written (its disk is full, its reader is gone) must not fail the request that it tells of.
    with contextlib.suppress(OSError):
        sys.stderr.write(json.dumps(line) + "\n")
        sys.stderr.flush()
