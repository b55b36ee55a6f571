"""The work queue: once waiting, once worked on, back-off by key."""

import asyncio

import pytest

from outrider_operator.controller.queue import FIRST, LONGEST, WorkQueue


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_a_key_that_is_added_twice_is_worked_on_once() -> None:
    """In the order of the first asking."""
    queue: WorkQueue[str] = WorkQueue()
    for key in ("a", "b", "a"):
        queue.add(key)
    assert [await queue.get(), await queue.get()] == ["a", "b"]
    assert len(queue) == 0


async def test_a_key_that_is_added_while_worked_on_comes_again_afterwards() -> None:
    """Never two workers on one key, and never a change that nobody looks at."""
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    await queue.get()
    queue.add("a")
    assert len(queue) == 0
    queue.done("a")
    assert await queue.get() == "a"


async def test_failures_of_a_key_wait_longer_each_time_and_no_other_key_waits() -> None:
    """0.2, 0.4, 0.8 … 60 s, and from the start again after a success."""
    clock = Clock()
    queue: WorkQueue[str] = WorkQueue(clock)
    waits = []
    for _ in range(12):
        waits.append(queue.failed("a"))
        clock.now += waits[-1]
        assert await queue.get() == "a"
        queue.done("a")
    assert waits[:3] == [FIRST, 2 * FIRST, 4 * FIRST]
    assert waits[-1] == LONGEST
    assert queue.failed("b") == FIRST
    queue.succeeded("a")
    assert queue.failed("a") == FIRST


async def test_the_earliest_due_time_of_a_key_counts() -> None:
    """Asked for in 60 s and in 1 s: worked on in 1 s, once."""
    clock = Clock()
    queue: WorkQueue[str] = WorkQueue(clock)
    queue.add_after("a", 60)
    queue.add_after("a", 1)
    clock.now = 1
    assert await queue.get() == "a"
    queue.done("a")
    clock.now = 100
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await queue.get()


async def test_a_waiting_worker_is_woken_by_a_key() -> None:
    """Also while it waits for one that is due later."""
    queue: WorkQueue[str] = WorkQueue()
    queue.add_after("late", 100)
    worker = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("now")
    async with asyncio.timeout(20):
        assert await worker == "now"
