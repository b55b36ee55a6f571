"""Threads that callers share."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextvars import copy_context
from functools import partial
from typing import Any

import pytest

from outrider_tracker.pool import WAITING, FairPool, caller, waiting
from tests.integration.tracker.process import until

SECONDS = 30


@pytest.fixture
def pool() -> Iterator[FairPool]:
    """Four threads, two of them at most for one caller."""
    made = FairPool(4, "test", 2)
    yield made
    made.shutdown()


def submit(pool: FairPool, who: str, work: Callable[[], Any]) -> Future[Any]:
    """As that caller."""

    def go() -> Future[Any]:
        caller.set(who)
        return pool.submit(work)

    return copy_context().run(go)


def test_results_and_errors_come_to_who_asked(pool: FairPool) -> None:
    assert submit(pool, "a", lambda: 5).result(SECONDS) == 5
    with pytest.raises(ZeroDivisionError):
        submit(pool, "a", lambda: 1 // 0).result(SECONDS)
    assert pool.submit(divmod, 7, 2).result(SECONDS) == (3, 1)


def test_one_caller_never_holds_all_threads(pool: FairPool) -> None:
    """A hundred jobs that wait, and another caller's is done all the same; then theirs are, too, in their order."""
    gate, lock = threading.Event(), threading.Lock()
    running = most = 0
    begun: dict[int, list[int]] = {}  # by thread

    def slow(number: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            begun.setdefault(threading.get_ident(), []).append(number)
        gate.wait(SECONDS)
        with lock:
            running -= 1

    heavy = [submit(pool, "heavy", partial(slow, number)) for number in range(100)]
    for _ in range(20):
        assert submit(pool, "light", lambda: "done").result(SECONDS) == "done"
    assert not any(job.done() for job in heavy)
    until(lambda: running == 2, "its two threads are busy", SECONDS)
    gate.set()
    wait(heavy, SECONDS)
    assert all(job.done() for job in heavy)
    assert most == 2
    assert sorted(number for numbers in begun.values() for number in numbers) == list(range(100))
    # A thread that has taken a job may be held up before it begins with it, while the other one goes on.
    assert all(numbers == sorted(numbers) for numbers in begun.values())


def test_while_it_is_crowded_each_caller_has_one_thread() -> None:
    """And more again afterwards, without having to ask anew."""
    crowd = [True]
    pool = FairPool(4, "test", 2, lambda _: crowd[0])
    gates = [threading.Event() for _ in range(4)]
    begun: list[int] = []

    def slow(number: int) -> None:
        begun.append(number)
        gates[number].wait(SECONDS)

    jobs = [submit(pool, "a", partial(slow, number)) for number in range(4)]
    until(lambda: begun == [0], "the first begins", SECONDS)
    assert submit(pool, "b", lambda: "done").result(SECONDS) == "done"
    gates[0].set()
    until(lambda: begun == [0, 1], "one follows", SECONDS)
    assert submit(pool, "b", lambda: "done").result(SECONDS) == "done"
    assert begun == [0, 1]
    crowd[0] = False
    gates[1].set()
    until(lambda: sorted(begun) == [0, 1, 2, 3], "two follow", SECONDS)
    for gate in gates:
        gate.set()
    wait(jobs, SECONDS)
    pool.shutdown()
    assert not pool._held


def test_who_waits_lets_the_next_one_begin() -> None:
    """So that commits of one caller's jobs are made together; but it does not get hold of all threads this way."""
    pool = FairPool(8, "test", 1)
    gate, moment, lock = threading.Event(), threading.Event(), threading.Lock()
    begun = computing = most = 0

    def job() -> None:
        nonlocal begun, computing, most
        with lock:
            begun += 1
            computing += 1
            most = max(most, computing)
        moment.wait(0.005)  # in which another one of this caller's would begin, if it might
        with lock:
            computing -= 1
        with waiting():
            gate.wait(SECONDS)

    jobs = [submit(pool, "a", job) for _ in range(20)]
    until(lambda: begun == WAITING + 1, "those begin that may wait, and one that holds its thread", SECONDS)
    assert submit(pool, "b", lambda: "done").result(SECONDS) == "done"
    assert begun == WAITING + 1
    gate.set()
    wait(jobs, SECONDS)
    pool.shutdown()
    assert (begun, most) == (20, 1)
    assert not pool._held
    assert not pool._waiting
    assert not pool._parked


def test_waiting_outside_of_a_pool_is_nothing() -> None:
    with waiting():
        pass


def test_who_comes_anew_is_served_before_a_long_queue() -> None:
    """Also where every thread is taken."""
    pool = FairPool(1, "test", 1)
    gate = threading.Event()
    order: list[str] = []
    first = submit(pool, "heavy", lambda: gate.wait(SECONDS))
    rest = [submit(pool, "heavy", lambda: order.append("heavy")) for _ in range(50)]
    light = submit(pool, "light", lambda: order.append("light"))
    gate.set()
    wait([first, light, *rest], SECONDS)
    assert order.index("light") <= 1
    pool.shutdown()


def test_no_thread_holds_a_result_that_nobody_wants_any_more(pool: FairPool) -> None:
    class Large:
        """Something to be freed."""

    made = [submit(pool, f"caller-{number}", Large).result(SECONDS) for number in range(20)]
    known = [weakref.ref(large) for large in made]
    del made
    until(lambda: not any(ref() for ref in known), "all are freed", SECONDS)


def test_nobody_is_remembered_without_jobs(pool: FairPool) -> None:
    wait([submit(pool, f"caller-{number}", lambda: None) for number in range(1000)], SECONDS)
    pool.shutdown()
    assert not pool._held
    assert not pool._parked


def test_shutdown_does_what_was_submitted_and_takes_nothing_more() -> None:
    pool = FairPool(2, "test", 1)
    jobs = [submit(pool, "a", lambda: "done") for _ in range(50)]
    pool.shutdown()
    assert [job.result(0) for job in jobs] == ["done"] * 50
    with pytest.raises(RuntimeError):
        pool.submit(lambda: None)


def test_shutdown_may_cancel_what_has_not_begun() -> None:
    pool = FairPool(1, "test", 1)
    gate, busy = threading.Event(), threading.Event()

    def hold() -> None:
        busy.set()
        gate.wait(SECONDS)

    first = submit(pool, "a", hold)
    assert busy.wait(SECONDS)
    rest = [submit(pool, name, lambda: None) for name in "ab" * 10]
    pool.shutdown(wait=False, cancel_futures=True)
    gate.set()
    pool.shutdown()
    assert first.done()
    assert all(job.cancelled() for job in rest)
