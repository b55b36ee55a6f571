"""Keeps a second copy of all that a process prints, byte for byte, for a test to compare with what the tracker has.

Not needed for tracking: a real training script leaves this out.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from pathlib import Path

SIGNALS = {signal.SIGTERM, signal.SIGINT}


class _Both(io.RawIOBase):
    """A raw file: each write goes to the record and then to the real descriptor, with no signal in between."""

    def __init__(self, record: int, real: int) -> None:
        self._record, self._real = record, real

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._real

    def write(self, data) -> int:  # type: ignore[no-untyped-def, override]
        whole = memoryview(data).cast("B")
        held = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            for descriptor in (self._record, self._real):
                rest = whole
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)
        return len(whole)


def record(folder: Path, name: str) -> None:
    """From now on, what Python prints is in folder/name.stdout and folder/name.stderr too."""
    folder.mkdir(parents=True, exist_ok=True)
    for stream, real in (("stdout", 1), ("stderr", 2)):
        getattr(sys, stream).flush()
        copy = os.open(folder / f"{name}.{stream}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        # A line is one write; what is printed without a newline follows with the next one or at exit, to both alike.
        buffered = io.BufferedWriter(_Both(copy, real))
        setattr(
            sys, stream, io.TextIOWrapper(buffered, encoding="utf-8", errors="backslashreplace", line_buffering=True)
        )
