"""Another tenant, who asks for little: how long it waits for its answers alone, and beside what others do."""

from __future__ import annotations

import time
from bisect import bisect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from multiprocessing.synchronize import Event, Semaphore
from typing import TypeVar

from tests.fuzz.apart import FORKS, Apart
from tests.fuzz.connecting import ANSWER_SECONDS, connect

PAUSE = 0.05  # seconds between an answer and the next request
FAIR = 2.0
FAIR_FLOOR = 0.010  # seconds: below, a p99 is the scheduler's
T = TypeVar("T")


@dataclass(frozen=True)
class Tenant:
    """Whose rows go to the file stream of a run."""

    port: int
    path: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Light:
    """What it had of the tracker: the p99 of its requests' seconds, alone and beside; how many had another than 200."""

    alone: float
    beside: float
    refused: int

    def __str__(self) -> str:
        return (
            f"light tenant's p99 {self.alone * 1e3:.1f} ms alone, {self.beside * 1e3:.1f} ms beside: "
            f"{self.beside / self.alone:.1f}x"
        )

    def judge(self, *, p99s: bool) -> None:
        """It is served whatever others do; `p99s`: and as fast as before, which takes long to measure."""
        assert self.refused == 0, f"{self.refused} requests of the light tenant were refused"
        if p99s:
            allowed = FAIR * max(self.alone, FAIR_FLOOR)
            assert self.beside <= allowed, f"{self}; allowed are {allowed * 1e3:.1f} ms"


def beside_light(
    tenant: Tenant, baseline: float, turns: Iterable[Callable[[], T]], calm: Callable[[], None]
) -> tuple[list[T], Light]:
    """Does one after the other; before each of them all is `calm` and then the tenant alone for `baseline` seconds.

    So what a shared machine does to the tenant's requests, it does to both kinds. What each gave, and what the tenant
    had.
    """
    stop, answered = FORKS.Event(), FORKS.Semaphore(0)
    treading = Apart(tread, tenant, stop, answered)
    done: list[T] = []
    edges: list[float] = []  # where alone, beside and neither begin, in turns
    try:
        for do in turns:
            calm()
            edges.append(time.monotonic())
            while answered.acquire(block=False):
                pass
            time.sleep(baseline)  # what is measured is time: the tenant's requests while nothing else happens
            # However late its process starts or goes on: of two answers the second one's request began in this time.
            for _ in range(2):
                assert answered.acquire(timeout=ANSWER_SECONDS), "the tenant gets no answers alone"
            edges.append(time.monotonic())
            done.append(do())
            edges.append(time.monotonic())
    finally:
        stop.set()
        times, refused = treading.answer()
    places = [(bisect(edges, moment), seconds) for moment, seconds in times]
    alone = p99([seconds for place, seconds in places if place % 3 == 1])
    beside = p99([seconds for place, seconds in places if place % 3 == 2])
    return done, Light(alone, beside, refused)


def tread(tenant: Tenant, stop: Event, answered: Semaphore) -> tuple[list[tuple[float, float]], int]:
    """A row twenty times a second: moment and seconds of each request, and how many were not answered with 200."""
    connection = connect(tenant.port)
    times: list[tuple[float, float]] = []
    refused = 0
    number = 0
    while not stop.wait(PAUSE):
        body = b'{"files":{"wandb-history.jsonl":{"offset":%d,"content":["{\\"_step\\":%d,\\"loss\\":0.5}"]}}}' % (
            number,
            number,
        )
        begun = time.monotonic()
        connection.request("POST", tenant.path, body, dict(tenant.headers))
        got = connection.getresponse()
        got.read()
        times.append((begun, time.monotonic() - begun))
        refused += got.status != 200
        number += 1
        answered.release()
    connection.close()
    return times, refused


def p99(times: list[float]) -> float:
    """Of at least one."""
    return sorted(times)[min(len(times) - 1, int(len(times) * 0.99))]
