"""A thread that works beside the requests until it is told to end."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod


class Background(ABC):
    """Begins with `start`, ends with `close`. `_run` looks at `_stop`, or waits for it, between two pieces of work."""

    def __init__(self, name: str) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def close(self) -> None:
        """Ends after the work at hand."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    @abstractmethod
    def _run(self) -> None:
        """The thread's work."""
