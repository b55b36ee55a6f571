"""Named places where a test may kill the process: `OUTRIDER_FAILPOINT=<name>:<nth>` ends it at the nth passing.

The process dies by SIGKILL, as a crash of the machine would end it: no handler runs, nothing is flushed.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import Final

VARIABLE: Final = "OUTRIDER_FAILPOINT"
# Every name that is passed somewhere; a test goes through them all.
BEFORE_COMMIT: Final = "before-commit"
AFTER_COMMIT: Final = "after-commit"
BEFORE_ANSWER: Final = "before-answer"
SEAL_BEFORE_BLOB: Final = "seal-before-blob"
SEAL_AFTER_BLOB: Final = "seal-after-blob"
SEAL_BEFORE_COMMIT: Final = "seal-before-commit"
SEAL_AFTER_COMMIT: Final = "seal-after-commit"
DECODE_BEFORE_COMMIT: Final = "decode-before-commit"
FILE_AFTER_RENAME: Final = "file-after-rename"
NAMES: Final = (
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

_lock = threading.Lock()
_chosen, _, _nth = os.environ.get(VARIABLE, "").partition(":")
_left = int(_nth or "1")


def passing(name: str) -> None:
    """Marks the place; does nothing unless the environment chose it."""
    global _left  # noqa: PLW0603  one process, one chosen place
    if name != _chosen:
        return
    with _lock:
        _left -= 1
        if _left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
