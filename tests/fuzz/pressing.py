"""Sends a door's requests to a tracker for a while, from a process of its own, and says what answers were wrong."""

from __future__ import annotations

import http.client
import multiprocessing
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.fuzz.doors import DOORS, ENTITY, PROJECT, RUN, Sent, World
from tests.fuzz.hostile import Hostile

ANSWER_SECONDS = 30.0  # whatever is asked: an answer comes by then
SHOWN = 5  # failures told in full
FORKS = multiprocessing.get_context("forkserver")


@dataclass
class Pressed:
    """What became of the requests: how many had which status; those that were answered wrongly, as text."""

    statuses: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    light: list[float] = field(default_factory=list)  # seconds of each request of the light tenant


def press(port: int, door: str, seed: str, seconds: float, world: World) -> Pressed:
    """Requests one after the other, until the time is over."""
    made = Pressed()
    hostile = Hostile(f"{seed}/{door}", [ENTITY, PROJECT, RUN, "loss", *world.known])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
    end = time.monotonic() + seconds
    for number, sent in enumerate(DOORS[door](hostile, world)):
        if time.monotonic() > end:
            break
        wrong = _send(connection, sent, made)
        if wrong:
            connection.close()
            body = (sent.body or b"")[:3000]
            made.failures.append(
                f"request {number}: {wrong}\n{sent.method} {sent.path[:2000]}\n{dict(sent.headers)}\n{body!r}"
            )
            if len(made.failures) >= SHOWN:
                break
    connection.close()
    return made


def _send(connection: http.client.HTTPConnection, sent: Sent, made: Pressed) -> str | None:
    """Sends one; what is wrong with its answer."""
    try:
        headers = {name: value.encode("utf-8").decode("latin-1") for name, value in sent.headers.items()}
        connection.request(sent.method, sent.path, sent.body, headers)
    except (BrokenPipeError, ConnectionResetError):
        pass  # refused while we sent: the answer is there all the same, or the connection is closed
    except (ValueError, http.client.InvalidURL):
        connection.close()
        return None  # our own client would not send this
    try:
        answer = connection.getresponse()
        text = answer.read()
    except TimeoutError:
        return f"no answer within {ANSWER_SECONDS} s"
    except (http.client.HTTPException, ConnectionError) as error:
        connection.close()
        # A body that is refused before it is read may cost the connection, not the process: the next request tells.
        made.statuses[0] += 1
        return None if isinstance(error, (ConnectionError, http.client.RemoteDisconnected)) else f"{error!r}"
    made.statuses[answer.status] += 1
    if answer.getheader("connection", "").lower() == "close":
        connection.close()
    if answer.status == 200 and sent.learn is not None:
        sent.learn(text)
    if answer.status >= 500 and answer.status not in {503, 507}:
        return f"status {answer.status}: {text[:500]!r}"
    if b"this is its fault" in text[:2000]:
        return f"a resolver failed: {text[:1000]!r}"
    return None


def tread_lightly(port: int, path: str, headers: dict[str, str], stop: Any, answer: Any) -> None:
    """Another tenant: a row twenty times a second. Moments and seconds of its requests go to `answer`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
    times: list[tuple[float, float]] = []
    refused = 0
    number = 0
    while not stop.wait(0.05):
        body = b'{"files":{"wandb-history.jsonl":{"offset":%d,"content":["{\\"_step\\":%d,\\"loss\\":0.5}"]}}}' % (
            number,
            number,
        )
        begun = time.monotonic()
        connection.request("POST", path, body, headers)
        got = connection.getresponse()
        got.read()
        times.append((begun, time.monotonic() - begun))
        refused += got.status != 200
        number += 1
    connection.close()
    answer.send((times, refused))
    answer.close()


class LightTenant:
    """Begins with `with`; `stop` gives (moment, seconds) of each request and how many were not answered with 200."""

    def __init__(self, port: int, path: str, headers: dict[str, str]) -> None:
        self._stop = FORKS.Event()
        self._ours, theirs = FORKS.Pipe(duplex=False)
        self._process = FORKS.Process(target=tread_lightly, args=(port, path, headers, self._stop, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def stop(self) -> tuple[list[tuple[float, float]], int]:
        """Ends it."""
        self._stop.set()
        found: tuple[list[tuple[float, float]], int] = self._ours.recv()
        self._process.join()
        self._process.close()
        self._ours.close()
        return found


def _pressing(answer: Any, *arguments: Any) -> None:
    answer.send(press(*arguments))
    answer.close()


def press_beside(port: int, door: str, seed: str, seconds: float, world: World) -> Pressed:
    """`press` in a process of its own, so that it shares no interpreter with who measures."""
    ours, theirs = FORKS.Pipe(duplex=False)
    process = FORKS.Process(target=_pressing, args=(theirs, port, door, seed, seconds, world), daemon=True)
    process.start()
    theirs.close()
    found: Pressed = ours.recv()
    process.join()
    process.close()
    ours.close()
    return found


def _crowding(answer: Any, port: int, sent: Sent, seconds: float, connections: int) -> None:
    counts: Counter[int] = Counter()
    end = time.monotonic() + seconds

    def ask() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
        while time.monotonic() < end:
            connection.request(sent.method, sent.path, sent.body, dict(sent.headers))
            got = connection.getresponse()
            got.read()
            counts[got.status] += 1
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answer.send(counts)
    answer.close()


def crowd_beside(port: int, sent: Sent, seconds: float, connections: int) -> Counter[int]:
    """The same request over many connections at once, from a process of its own: how many had which status."""
    ours, theirs = FORKS.Pipe(duplex=False)
    process = FORKS.Process(target=_crowding, args=(theirs, port, sent, seconds, connections), daemon=True)
    process.start()
    theirs.close()
    found: Counter[int] = ours.recv()
    process.join()
    process.close()
    ours.close()
    return found
