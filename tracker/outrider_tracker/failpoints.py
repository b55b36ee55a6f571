"""Named places where a test may kill the process: `OUTRIDER_FAILPOINT=<name>:<nth>` ends it at the nth passing.

The process dies by SIGKILL, as a crash of the machine would end it: no handler runs, nothing is flushed.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import Final

VARIABLE: Final = "OUTRIDER_FAILPOINT"
# Every name is passed somewhere; tests go through them all.
BEFORE_COMMIT: Final = "before-commit"
AFTER_COMMIT: Final = "after-commit"
BEFORE_ANSWER: Final = "before-answer"
SEAL_BEFORE_BLOB: Final = "seal-before-blob"
SEAL_AFTER_BLOB: Final = "seal-after-blob"
SEAL_BEFORE_COMMIT: Final = "seal-before-commit"
SEAL_AFTER_COMMIT: Final = "seal-after-commit"
DECODE_BEFORE_COMMIT: Final = "decode-before-commit"
FILE_AFTER_RENAME: Final = "file-after-rename"
LINES_BEFORE_COMMIT: Final = "lines-before-commit"
LINE_DECODE_BEFORE_COMMIT: Final = "line-decode-before-commit"
COMPACT_BEFORE_COMMIT: Final = "compact-before-commit"
COMPACT_AFTER_COMMIT: Final = "compact-after-commit"
STREAM_NAMES: Final = (
    BEFORE_COMMIT,
    AFTER_COMMIT,
    BEFORE_ANSWER,
    SEAL_BEFORE_BLOB,
    SEAL_AFTER_BLOB,
    SEAL_BEFORE_COMMIT,
    SEAL_AFTER_COMMIT,
    DECODE_BEFORE_COMMIT,
    FILE_AFTER_RENAME,
)
# Those that the W&B door leads to.
LINE_NAMES: Final = (
    BEFORE_COMMIT,
    AFTER_COMMIT,
    BEFORE_ANSWER,
    LINES_BEFORE_COMMIT,
    LINE_DECODE_BEFORE_COMMIT,
    COMPACT_BEFORE_COMMIT,
    COMPACT_AFTER_COMMIT,
    FILE_AFTER_RENAME,
)
NAMES: Final = tuple(dict.fromkeys(STREAM_NAMES + LINE_NAMES))

_lock = threading.Lock()
_chosen = ""
_left = 0


def arm(value: str) -> None:
    """Takes the choice `<name>:<nth>`; an empty text chooses nothing. ValueError: there is no such place."""
    global _chosen, _left
    name, _, nth = value.partition(":")
    if name and name not in NAMES:
        raise ValueError(f"{VARIABLE}={value}: there is no such place; there are {', '.join(NAMES)}")
    _chosen, _left = name, int(nth or "1")


def passing(name: str) -> None:
    """Marks the place; does nothing unless it was chosen."""
    global _left  # noqa: PLW0603  one process, one chosen place
    if name != _chosen:
        return
    with _lock:
        _left -= 1
        if _left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
