"""Which row an address means, and that somebody may write it: remembered for a moment, so that a post reads nothing."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final

SECONDS: Final = 10.0  # after this long a right that was taken away is noticed
REMEMBERED: Final = 20_000


@dataclass(frozen=True, slots=True)
class KnownRun:
    """A run that its writer was found allowed to write. The writing transaction checks the branch again."""

    id: int
    branch: int
    entity: str


class RunCache:
    """By writer and address. Threads may share it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: OrderedDict[Hashable, tuple[float, KnownRun]] = OrderedDict()
        self._lock = threading.Lock()
        self._changes = 0

    @property
    def changes(self) -> int:
        """To be taken before the rows are read, for `put`."""
        return self._changes

    def get(self, key: Hashable) -> KnownRun | None:
        """What is known and young enough."""
        with self._lock:
            found = self._known.get(key)
            if found is None or self._clock() - found[0] > SECONDS:
                return None
            return found[1]

    def put(self, key: Hashable, run: KnownRun, changes: int) -> None:
        """Remembers what was read, unless a run changed since `changes` was taken: it may be that one."""
        with self._lock:
            if changes != self._changes:
                return
            self._known[key] = (self._clock(), run)
            self._known.move_to_end(key)
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)

    def forget(self, run: int) -> None:
        """The run was rewound, deleted or moved: to be called when that is durable."""
        with self._lock:
            self._changes += 1
            for key in [key for key, (_, known) in self._known.items() if known.id == run]:
                del self._known[key]
