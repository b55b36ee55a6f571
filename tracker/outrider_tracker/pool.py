"""Threads that callers share: nobody has more than a few of them, and who has used least goes next.

Who somebody is, is known by `caller`, a context variable: the doors set it once they know, and a job belongs to whom it
says where it is submitted. So one caller's hundred slow questions are not another one's queue.

Threads that compute wait for each other, as there is one interpreter, and so does everybody else's: while others are at
work, too, each caller computes with one thread. A job that only waits says so (`waiting`).
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, ParamSpec, TypeVar

from outrider_tracker.core.fairness import FairQueue

P = ParamSpec("P")
T = TypeVar("T")

caller: ContextVar[str] = ContextVar("caller", default="")
"""An entity or a person's name; before that is known, something that only the same credentials give; "": nobody."""


_home: ContextVar[str] = ContextVar("home", default="")


def call_as(name: str, entity: str) -> None:
    """Whose work it is: somebody's, who is at home in that entity."""
    caller.set(name)
    _home.set(entity)


def call_by_secret(secret: str) -> None:
    """Whose work it is while only the credentials are known: nobody else has the same, and nobody can tell them."""
    caller.set(hashlib.sha256(secret.encode(errors="replace")).hexdigest())


def waiting() -> AbstractContextManager[None]:
    """While a pool's job waits for something (a commit, say), its caller may have another one; elsewhere nothing."""
    job = getattr(_here, "job", None)
    return nullcontext() if job is None else job[0].waits(job[1])


WAITING: Final = 3  # jobs of one caller that wait, and do not count: each of them has a thread all the same
_NO_LIMIT: Final = 1 << 62
_here = threading.local()


@dataclass(slots=True)
class _Job:
    future: Future[Any]
    run: Callable[[], Any]
    home: str


class FairPool(Executor):
    """An executor whose `threads` one caller may have `share` of at a time, one while it is `crowded` for its entity.

    Jobs of one caller begin in their order.
    """

    def __init__(self, threads: int, name: str, share: int, crowded: Callable[[str], bool] = lambda _: False) -> None:
        self._most = share
        self._crowded = crowded
        self._gate = threading.Condition()
        self._ready: FairQueue[_Job] = FairQueue(_NO_LIMIT)
        self._held: Counter[str] = Counter()  # jobs of each caller that run or are ready, but do not wait
        self._waiting: Counter[str] = Counter()
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
        job = _Job(future, lambda: fn(*args, **kwargs), _home.get())
        with self._gate:
            if self._closed:
                raise RuntimeError("the pool is shut down")
            if self._held[who] < self._share(job):
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
                    self._ended(who)
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
            _here.job = self, who
            if job.future.set_running_or_notify_cancel():
                try:
                    # No name for the result: this thread would hold it, however large, until its next job.
                    job.future.set_result(job.run())
                except BaseException as error:  # noqa: BLE001  whoever waits for the result gets it
                    job.future.set_exception(error)
            del job
            with self._gate:
                self._ready.charge(who, time.monotonic() - begun)
                self._ended(who)

    @contextmanager
    def waits(self, who: str) -> Iterator[None]:
        """A job of the caller waits."""
        with self._gate:
            counts = self._waiting[who] >= WAITING
            if not counts:
                self._waiting[who] += 1
                self._ended(who)
        try:
            yield
        finally:
            if not counts:
                with self._gate:
                    self._held[who] += 1
                    self._waiting[who] -= 1
                    if not self._waiting[who]:
                        del self._waiting[who]

    def _share(self, job: _Job) -> int:
        return 1 if self._crowded(job.home) else self._most

    def _ended(self, who: str) -> None:
        """A job of the caller is over, or waits: as many of the parked ones are ready as it may have."""
        self._held[who] -= 1
        parked = self._parked.get(who, ())
        while parked and self._held[who] < self._share(parked[0]):
            self._held[who] += 1
            self._ready.push(who, parked.popleft())
            self._gate.notify()
        if not parked:
            self._parked.pop(who, None)
        if not self._held[who]:
            del self._held[who]
