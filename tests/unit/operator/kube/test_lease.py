"""Leader election: never two leaders by the rules of the clocks, whatever the order of reads, writes and pauses."""

import asyncio
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from outrider_operator.kube.api import LEASES, Unreachable
from outrider_operator.kube.lease import (
    DURATION,
    GIVE_UP,
    RETRY,
    Action,
    Elector,
    LeaseLost,
    Seen,
    decide,
    granted,
    holds,
    observe,
)
from tests.fakeapi.memory import MemoryApi


def lease(holder: str, version: str = "1", duration: int = 10) -> dict[str, Any]:
    return {
        "metadata": {"resourceVersion": version},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": duration},
    }


TABLE = {
    "there is none": (Seen(), 0.0, Action.CREATE),
    "it was given back": (observe(Seen(), lease("", duration=1), 0), 0.0, Action.TAKE),
    "another holds it": (observe(Seen(), lease("b"), 0), DURATION - 0.1, Action.WAIT),
    "another has not renewed it": (observe(Seen(), lease("b"), 0), DURATION, Action.TAKE),
    "another asks for a longer time": (observe(Seen(), lease("b", duration=60), 0), 59.0, Action.WAIT),
    "another's short time does not count": (observe(Seen(), lease("b", duration=1), 0), 5.0, Action.WAIT),
    "we hold it": (granted(Seen(), lease("a"), 0), 1.0, Action.RENEW),
    "we could not renew it in time": (granted(Seen(), lease("a"), 0), GIVE_UP, Action.LOST),
    "we held it and another does now": (observe(granted(Seen(), lease("a"), 0), lease("b", "2"), 1), 1.0, Action.LOST),
}


@pytest.mark.parametrize(("seen", "now", "want"), TABLE.values(), ids=TABLE.keys())
def test_what_a_candidate_does(seen: Seen, now: float, want: Action) -> None:
    """The table of decisions of candidate a."""
    assert decide(seen, "a", now) is want


class Election(RuleBasedStateMachine):
    """Three candidates whose reads, writes and answers interleave in any order, with clocks that differ by offsets.

    A write is a compare-and-swap on the version that was read; its answer may arrive late, or never.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.version = 0
        self.stored: dict[str, Any] | None = None
        self.seen = {name: Seen() for name in "abc"}
        self.read: dict[str, dict[str, Any] | None] = dict.fromkeys("abc")
        self.offset = {"a": 0.0, "b": 1000.0, "c": -77.0}

    def clock(self, name: str) -> float:
        return self.now + self.offset[name]

    @rule(seconds=st.sampled_from([0.1, 1.0, 3.0, 6.9, 7.0, 10.0, 30.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(name=st.sampled_from("abc"))
    def look(self, name: str) -> None:
        self.read[name] = self.stored
        self.seen[name] = observe(self.seen[name], self.stored, self.clock(name))

    @rule(name=st.sampled_from("abc"), late=st.sampled_from([0.0, 0.5, 2.9, 8.0]), answered=st.booleans())
    def write(self, name: str, late: float, answered: bool) -> None:
        seen = self.seen[name]
        action = decide(seen, name, self.clock(name))
        if action is Action.LOST:
            self.seen[name] = Seen()  # the process ends; the next one knows nothing
            return
        if action is Action.WAIT:
            return
        asked_at = self.clock(name)
        expected = None if action is Action.CREATE else self.read[name]
        self.now += late
        current = None if self.stored is None else self.stored["metadata"]["resourceVersion"]
        if (None if expected is None else expected["metadata"]["resourceVersion"]) != current:
            return  # conflict
        self.version += 1
        self.stored = lease(name, str(self.version))
        if answered:
            self.read[name] = self.stored
            self.seen[name] = granted(seen, self.stored, asked_at)

    @precondition(lambda self: self.stored is not None)
    @rule(name=st.sampled_from("abc"))
    def give_back(self, name: str) -> None:
        mine = self.read[name]
        if self.seen[name].renewed is None or mine is None or self.stored is None:
            return
        self.seen[name] = Seen()
        if mine["metadata"]["resourceVersion"] == self.stored["metadata"]["resourceVersion"]:
            self.version += 1
            self.stored = lease("", str(self.version), 1)

    @rule(name=st.sampled_from("abc"))
    def crash(self, name: str) -> None:
        self.seen[name], self.read[name] = Seen(), None

    @invariant()
    def never_two_leaders(self) -> None:
        leaders = [name for name in "abc" if holds(self.seen[name], self.clock(name))]
        assert len(leaders) <= 1, leaders


Election.TestCase.settings = settings(max_examples=200, stateful_step_count=40)
test_there_are_never_two_leaders = Election.TestCase


class Clock:
    """Time that passes only in sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


def elector(api: MemoryApi, me: str, clock: Clock) -> Elector:
    return Elector(api, namespace="o", name="lease", me=me, clock=clock, sleep=clock.sleep)


async def lead(one: Elector) -> asyncio.Task[None]:
    task = asyncio.create_task(one.run())
    async with asyncio.timeout(5):
        await one.leading.wait()
    return task


async def test_a_lease_that_is_given_back_is_taken_at_the_next_look() -> None:
    """Hand-over within one pause between two looks."""
    api, clock = MemoryApi(), Clock()
    first, second = elector(api, "one", clock), elector(api, "two", clock)
    task = await lead(first)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await first.release()
    before = clock.now
    task = await lead(second)
    assert clock.now - before <= RETRY
    assert not first.holds
    assert api.all(LEASES)[0]["spec"]["holderIdentity"] == "two"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_lease_is_given_back_though_a_renewal_is_under_way() -> None:
    """The renewal ends first, and its new version is what is given back; it is not taken again by the same process."""
    api, clock = MemoryApi(), Clock()
    one = elector(api, "one", clock)
    task = await lead(one)
    slow, entered = asyncio.Event(), asyncio.Event()
    replace = api.replace

    async def slowly(*args: Any) -> Any:
        entered.set()
        await slow.wait()
        return await replace(*args)

    api.replace = slowly  # type: ignore[method-assign, assignment]
    async with asyncio.timeout(5):
        await entered.wait()
    giving = asyncio.create_task(one.release())
    await asyncio.sleep(0)
    slow.set()
    await giving
    assert api.all(LEASES)[0]["spec"]["holderIdentity"] == ""
    for _ in range(20):
        await asyncio.sleep(0)
    assert api.all(LEASES)[0]["spec"]["holderIdentity"] == ""
    assert not one.holds
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_holder_that_crashed_is_followed_within_fifteen_seconds() -> None:
    """It is never released; the follower waits until it has stood unchanged for its time."""
    api, clock = MemoryApi(), Clock()
    task = await lead(elector(api, "one", clock))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    before = clock.now
    task = await lead(elector(api, "two", clock))
    assert DURATION <= clock.now - before <= 15
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_holder_that_cannot_renew_gives_up_before_another_may_take_it() -> None:
    """The API server is away for it alone."""
    api, clock = MemoryApi(), Clock()
    one = elector(api, "one", clock)
    task = await lead(one)
    before = clock.now

    def away(_: str) -> None:
        raise Unreachable("no route")

    api.before = away
    with pytest.raises(LeaseLost):
        await task
    assert clock.now - before < DURATION
    assert not one.holds


async def test_a_lease_that_another_took_ends_the_holder() -> None:
    """Somebody replaced the holder: the next renewal finds out."""
    api, clock = MemoryApi(), Clock()
    one = elector(api, "one", clock)
    task = await lead(one)
    api.change(LEASES, "o", "lease", lambda found: found["spec"].update(holderIdentity="two"))
    with pytest.raises(LeaseLost, match="two"):
        await task
