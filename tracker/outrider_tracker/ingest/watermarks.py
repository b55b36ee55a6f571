"""What the tracker still takes when its disk fills up: exit records outlive logs, logs outlive files."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from outrider_sidecar import contract

RETRY_AFTER: Final = 30  # seconds
FRESH_SECONDS: Final = 1.0
_LOGS_AND_METRICS: Final = frozenset({contract.KIND_STDOUT, contract.KIND_STDERR, contract.KIND_METRICS})
FILES: Final = "files"


@dataclass(frozen=True, slots=True)
class Watermarks:
    """Fractions of the disk in use at which files, then logs and metrics, then all but events are refused."""

    files: float = 0.85
    logs: float = 0.92
    all: float = 0.97


def accepts(used: float, marks: Watermarks) -> tuple[str, ...]:
    """Kinds of streams (and "files") that are taken at this fill, most worth first. Pure."""
    taken: list[str] = []
    for kind in contract.KINDS_BY_WORTH:
        mark = marks.logs if kind in _LOGS_AND_METRICS else marks.all
        if kind == contract.KIND_EVENTS or used < mark:
            taken.append(kind)
    if used < marks.files:
        taken.append(FILES)
    return tuple(taken)


@dataclass(frozen=True, slots=True)
class Disk:
    """Bytes of the file system as an unprivileged writer sees it."""

    total: int
    free: int

    @property
    def used(self) -> float:
        """The fraction in use."""
        return 1.0 - self.free / self.total if self.total else 1.0


def measure(folder: Path) -> Disk:
    """The disk under a folder."""
    found = os.statvfs(folder)
    # Root's reserve (f_bfree - f_bavail) counts as used: the tracker does not run as root.
    total = (found.f_blocks - found.f_bfree + found.f_bavail) * found.f_frsize
    return Disk(total, found.f_bavail * found.f_frsize)


class DiskGauge:
    """The disk's fill, measured at most once a second."""

    def __init__(
        self,
        folder: Path,
        marks: Watermarks,
        *,
        look: Callable[[Path], Disk] = measure,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self.marks = marks
        self._look = look
        self._clock = clock
        self._disk = look(folder)
        self._looked = clock()

    def disk(self) -> Disk:
        """The disk as of a second ago at most."""
        if self._clock() - self._looked >= FRESH_SECONDS:
            self._disk = self._look(self._folder)
            self._looked = self._clock()
        return self._disk

    def accepts(self) -> tuple[str, ...]:
        """What is taken now."""
        return accepts(self.disk().used, self.marks)
