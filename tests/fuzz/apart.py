"""Work in a process of its own, so that it shares no interpreter with who measures."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar, TypeVarTuple

FORKS = multiprocessing.get_context("forkserver")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Apart(Generic[T]):
    """Begins at once; `answer` waits for what the function gives back."""

    def __init__(self, work: Callable[[*Ts], T], *arguments: *Ts) -> None:
        self._ours, theirs = FORKS.Pipe(duplex=False)
        self._process = FORKS.Process(target=_send, args=(theirs, work, arguments), daemon=True)
        self._process.start()
        theirs.close()

    def answer(self) -> T:
        """Once; EOFError where the function failed: stderr has its traceback."""
        found: T = self._ours.recv()
        self._process.join()
        self._process.close()
        self._ours.close()
        return found


def _send(theirs: Connection, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    theirs.send(work(*arguments))
    theirs.close()
