"""The end of the pod: how long to go on, and the last words. Decisions are pure; one function writes the file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

# The kubelet leaves a native sidecar 2 s in the worst case; these leave room to write the message and go.
LAST_BATCH: Final = 1.5
LAST_EVENT: Final = 0.4  # of it, for `source.end`
MAX_MESSAGE: Final = 4096
MOST_STREAMS: Final = 20


@dataclass(frozen=True, slots=True)
class Window:
    """The time there is at the end. All in seconds of the monotonic clock."""

    began: float
    linger: float

    @property
    def closes(self) -> float:
        """When the process must be gone."""
        return self.began + max(LAST_BATCH, self.linger)

    def says_goodbye(self, now: float, unsent: int) -> bool:
        """Whether it is time for `source.end`: all is durable, or there is no time for more."""
        return unsent == 0 or now >= self.closes - LAST_EVENT

    def is_over(self, now: float, unsent: int, *, said_goodbye: bool) -> bool:
        """Whether to go: all is durable, `source.end` too, or the time is up."""
        return now >= self.closes or (said_goodbye and unsent == 0)


def message(unsent: Mapping[str, int], lost: int, reason: str) -> bytes:
    """The last words, at most 4 KiB of JSON: the 20 streams with most unsent bytes, fewer if they do not fit."""
    largest = sorted((item for item in unsent.items() if item[1]), key=lambda item: (-item[1], item[0]))[:MOST_STREAMS]
    while True:
        words = {
            "outrider": 1,
            "unsentBytes": sum(unsent.values()),
            "lostBytes": lost,
            "streams": dict(largest),
            "reason": reason[:500],
        }
        data = json.dumps(words, separators=(",", ":"), ensure_ascii=False).encode()
        if len(data) <= MAX_MESSAGE or not largest:
            return data
        largest.pop()


def write_message(path: str, data: bytes) -> None:
    """Replace the content of the termination log. Raises OSError."""
    # In place: the file is a mount of its own, which nothing can be renamed over.
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)
