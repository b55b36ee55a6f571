"""Leader election over a coordination.k8s.io Lease: pure decisions, then one loop that asks and writes.

Nobody's clock is compared with anybody else's: a follower measures, on its own monotonic clock, how long the Lease has
stood unchanged; the holder gives up, on its own, well before that time can be over. So no two of them hold it by their
own rules, and what a late write of a former holder could still do is fenced by resourceVersions and names that follow
from UIDs.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final

from prometheus_client import Gauge

from outrider_operator.kube.api import LEASES, AlreadyExists, Api, ApiError, Conflict, NotFound, Object, Unreachable

log = logging.getLogger(__name__)

DURATION: Final = 10.0  # seconds that a Lease must stand unchanged before another takes it
GIVE_UP: Final = 7.0  # seconds after its last renewal in which a holder still acts
RETRY: Final = 1.0  # seconds between two looks
CALL: Final = 3.0  # seconds of one request

LEADING = Gauge("outrider_leader", "1 while this process holds the Lease")


class Action(Enum):
    """What to do about the Lease now."""

    CREATE = "create"
    TAKE = "take"
    RENEW = "renew"
    WAIT = "wait"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Seen:
    """The Lease as one candidate knows it; times by its own monotonic clock, seconds."""

    holder: str = ""
    stamp: str = ""
    """Whatever changes with each renewal: the resourceVersion."""
    duration: float = DURATION
    exists: bool = False
    since: float = 0.0
    """When this stamp was first seen."""
    renewed: float | None = None
    """When we asked for our last renewal that was granted; None while we do not hold it."""


def observe(seen: Seen, lease: Object | None, now: float) -> Seen:
    """What is known after reading the Lease (None: there is none)."""
    if lease is None:
        return Seen(since=now, renewed=seen.renewed)
    spec = lease.get("spec") or {}
    stamp = str((lease.get("metadata") or {}).get("resourceVersion") or "")
    return Seen(
        holder=str(spec.get("holderIdentity") or ""),
        stamp=stamp,
        duration=float(spec.get("leaseDurationSeconds") or DURATION),
        exists=True,
        since=seen.since if seen.exists and seen.stamp == stamp else now,
        renewed=seen.renewed,
    )


def decide(seen: Seen, me: str, now: float) -> Action:
    """What this candidate does next."""
    if seen.renewed is not None:
        if now - seen.renewed >= GIVE_UP or (seen.exists and seen.holder != me):
            return Action.LOST
        return Action.RENEW
    if not seen.exists:
        return Action.CREATE
    if not seen.holder or now - seen.since >= max(seen.duration, DURATION if seen.holder else 0.0):
        return Action.TAKE
    return Action.WAIT


def granted(seen: Seen, lease: Object, asked_at: float) -> Seen:
    """What is known after a write of ours was granted that was asked for at a time."""
    return replace(observe(seen, lease, asked_at), renewed=asked_at)


def holds(seen: Seen, now: float) -> bool:
    """Whether this candidate may act as the leader."""
    return seen.renewed is not None and now - seen.renewed < GIVE_UP


def _stamp() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class LeaseLost(Exception):  # noqa: N818
    """Another one leads, or may soon: this process must end without writing."""


class Elector:
    """Asks for the Lease and keeps it."""

    def __init__(
        self,
        api: Api,
        *,
        namespace: str,
        name: str,
        me: str,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        self._api, self._namespace, self._name, self._me = api, namespace, name, me
        self._clock, self._sleep = clock, sleep
        self._seen = Seen()
        self._lease: Object | None = None
        self._turning = asyncio.Lock()
        self._released = False
        self.leading = asyncio.Event()

    @property
    def holds(self) -> bool:
        """Whether we may write now."""
        return holds(self._seen, self._clock())

    async def run(self) -> None:
        """Take part in the election until cancelled. Raises LeaseLost once the Lease was ours and is no more."""
        while True:
            try:
                async with asyncio.timeout(CALL), self._turning:
                    await self._turn()
            except (ApiError, Unreachable, TimeoutError) as error:
                log.warning("lease %s/%s: %s", self._namespace, self._name, error or "no answer in time")
            if decide(self._seen, self._me, self._clock()) is Action.LOST:
                LEADING.set(0)
                raise LeaseLost(
                    f"lease {self._namespace}/{self._name} is held by {self._seen.holder or 'nobody we know'}"
                )
            await self._sleep(RETRY)

    async def _turn(self) -> None:
        if self._released:
            return
        now = self._clock()
        if self._seen.renewed is None:
            try:
                self._lease = await self._api.get(LEASES, self._namespace, self._name)
            except NotFound:
                self._lease = None
            self._seen = observe(self._seen, self._lease, now)
        action = decide(self._seen, self._me, now)
        if action in {Action.WAIT, Action.LOST}:
            return
        asked_at = self._clock()
        try:
            lease = await self._write(action)
        except (Conflict, AlreadyExists, NotFound):
            # Somebody wrote in between: look before the next step.
            try:
                self._lease = await self._api.get(LEASES, self._namespace, self._name)
            except NotFound:
                self._lease = None
            self._seen = observe(self._seen, self._lease, self._clock())
            return
        self._lease, self._seen = lease, granted(self._seen, lease, asked_at)
        if not self.leading.is_set():
            log.info("leading: lease %s/%s is held by %s", self._namespace, self._name, self._me)
            LEADING.set(1)
            self.leading.set()

    async def _write(self, action: Action) -> Object:
        spec: dict[str, Any] = {
            "holderIdentity": self._me,
            "leaseDurationSeconds": int(DURATION),
            "renewTime": _stamp(),
        }
        if action is Action.CREATE or self._lease is None:
            body = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": self._name, "namespace": self._namespace},
                "spec": {**spec, "acquireTime": spec["renewTime"], "leaseTransitions": 0},
            }
            return await self._api.create(LEASES, self._namespace, body)
        old = self._lease.get("spec") or {}
        spec = {**old, **spec}
        if action is Action.TAKE:
            spec |= {"acquireTime": spec["renewTime"], "leaseTransitions": int(old.get("leaseTransitions") or 0) + 1}
        return await self._api.replace(LEASES, self._namespace, self._name, {**self._lease, "spec": spec})

    async def release(self) -> None:
        """Give the Lease back, so that a follower takes it at its next look. Never raises for a server that is away."""
        self._released = True
        try:
            # A renewal that is under way would make ours a conflict: it comes first.
            async with asyncio.timeout(CALL), self._turning:
                if self._seen.renewed is None or self._lease is None:
                    return
                self._seen = replace(self._seen, renewed=None)
                LEADING.set(0)
                given = {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _stamp()}
                spec = {**(self._lease.get("spec") or {}), **given}
                await self._api.replace(LEASES, self._namespace, self._name, {**self._lease, "spec": spec})
        except (ApiError, Unreachable, TimeoutError) as error:
            log.warning("the lease could not be given back, a follower takes it in %.0f s: %s", DURATION, error)
        finally:
            self._seen = replace(self._seen, renewed=None)
