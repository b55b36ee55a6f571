"""The collector's own two streams, JSON lines on the volume: what it noticed (events), what it measured (metrics).

They are tailed like all others, so they survive the collector and reach the tracker in the same way.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from outrider_sidecar import contract

QUIET: Final = 300.0  # seconds in which the same warning is not repeated
MAX_WARNINGS: Final = 256  # different ones that are remembered


class Journal:
    """Appends to `events.jsonl` and `metrics.jsonl` in the open folder. For all threads."""

    def __init__(self, folder: int, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._events = _append_only(folder, "events.jsonl")
        self._metrics = _append_only(folder, "metrics.jsonl")
        self._warned: dict[tuple[str, str], float] = {}
        self.dropped = 0  # lines that could not be written, because the volume is full

    def event(self, kind: str, **fields: Any) -> None:
        """One event, now."""
        self._write(self._events, {"ts": self._clock(), "type": kind, **fields})

    def metrics(self, values: Mapping[str, float]) -> None:
        """One sample of the node's scope, now."""
        self._write(self._metrics, {"ts": self._clock(), "scope": "node", "m": values})

    def warn(self, code: str, message: str, *, container: str | None = None, path: str | None = None) -> None:
        """A warning for the Run and for the sidecar's own log, at most once in five minutes for the same thing."""
        now = time.monotonic()
        with self._lock:
            last = self._warned.pop((code, path or ""), None)
            quiet = last is not None and now - last < QUIET
            self._warned[code, path or ""] = last if quiet and last is not None else now
            if len(self._warned) > MAX_WARNINGS:
                del self._warned[next(iter(self._warned))]
        if quiet:
            return
        say(f"{code}: {message}")
        where = {key: value for key, value in (("container", container), ("path", path)) if value is not None}
        self.event("warning", code=code, message=message[:4096], **where)

    def _write(self, fd: int, value: Mapping[str, Any]) -> None:
        line = json.dumps(value, separators=(",", ":")).encode() + b"\n"
        if len(line) > contract.MAX_LINE:
            self.dropped += 1
            return
        try:
            with self._lock:
                os.write(fd, line)
        except OSError as error:
            self.dropped += 1
            say(f"the volume takes no line of the collector's own ({error.strerror}); {self.dropped} dropped so far")


def say(message: str) -> None:
    """One line in the sidecar's own log."""
    sys.stderr.write(f"outrider: {message}\n")
    sys.stderr.flush()


def _append_only(folder: int, name: str) -> int:
    fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
    size = os.fstat(fd).st_size
    if size and os.pread(fd, 1, size - 1) != b"\n":
        os.write(fd, b"\n")  # a collector was killed in the middle of a line
    return fd
