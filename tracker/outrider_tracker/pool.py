"""Threads that callers share: nobody has more than a few of them, and who has used least goes next.

Who somebody is, is known by `caller`, a context variable: the doors set it once they know, and a job belongs to whom it
says where it is submitted. So one caller's hundred slow questions are not another one's queue.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, ParamSpec, TypeVar

from outrider_tracker.core.fairness import FairQueue

P = ParamSpec("P")
T = TypeVar("T")

caller: ContextVar[str] = ContextVar("caller", default="")
"""An entity or a person's name; before that is known, something that only the same credentials give; "": nobody."""


def call_by_secret(secret: str) -> None:
    """Whose work it is while only the credentials are known: nobody else has the same, and nobody can tell them."""
    caller.set(hashlib.sha256(secret.encode(errors="replace")).hexdigest())


_NO_LIMIT: Final = 1 << 62


@dataclass(slots=True)
class _Job:
    future: Future[Any]
    run: Callable[[], Any]


class FairPool(Executor):
    """An executor whose `threads` one caller may have `share` of at a time. Jobs of one caller begin in their order."""

    def __init__(self, threads: int, name: str, share: int) -> None:
        self._share = share
        self._gate = threading.Condition()
        self._ready: FairQueue[_Job] = FairQueue(_NO_LIMIT)
        self._held: Counter[str] = Counter()  # jobs of each caller that run or are ready
        self._parked: dict[str, deque[_Job]] = {}  # beyond the caller's share
        self._closed = False
        self._threads = [
            threading.Thread(target=self._run, name=f"{name}_{number}", daemon=True) for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """See Executor. RuntimeError after `shutdown`."""
        who, future = caller.get(), Future[T]()
        job = _Job(future, lambda: fn(*args, **kwargs))
        with self._gate:
            if self._closed:
                raise RuntimeError("the pool is shut down")
            if self._held[who] < self._share:
                self._held[who] += 1
                self._ready.push(who, job)
                self._gate.notify()
            else:
                self._parked.setdefault(who, deque()).append(job)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """See Executor; what was submitted is done unless `cancel_futures`."""
        with self._gate:
            self._closed = True
            if cancel_futures:
                for job in (job for parked in self._parked.values() for job in parked):
                    job.future.cancel()
                self._parked.clear()
                while len(self._ready):
                    who, job = self._ready.pop()
                    job.future.cancel()
                    self._next_of(who)
            self._gate.notify_all()
        if wait:
            for thread in self._threads:
                thread.join()

    def _run(self) -> None:
        while True:
            with self._gate:
                self._gate.wait_for(lambda: self._closed or len(self._ready))
                if not len(self._ready):
                    return
                who, job = self._ready.pop()
            begun = time.monotonic()
            if job.future.set_running_or_notify_cancel():
                try:
                    # No name for the result: this thread would hold it, however large, until its next job.
                    job.future.set_result(job.run())
                except BaseException as error:  # noqa: BLE001  whoever waits for the result gets it
                    job.future.set_exception(error)
            del job
            with self._gate:
                self._ready.charge(who, time.monotonic() - begun)
                self._next_of(who)

    def _next_of(self, who: str) -> None:
        """A job of the caller is over: the next one that was parked is ready."""
        parked = self._parked.get(who)
        if parked:
            self._ready.push(who, parked.popleft())
            self._gate.notify()
            if not parked:
                del self._parked[who]
            return
        self._held[who] -= 1
        if not self._held[who]:
            del self._held[who]
