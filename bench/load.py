"""A load generator that costs little: raw HTTP/1.1 over kept connections, bodies put together from prepared pieces.

`drive` runs closed loops in processes of their own: a connection sends its next request when the last one was answered.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

Requests = Iterator[bytes]
"""Whole requests of one connection, head and body."""


@dataclass
class Tally:
    """What connections did: requests that were answered with 200 of each, seconds of each request, other answers."""

    done: dict[int, int] = field(default_factory=dict)
    times: list[float] = field(default_factory=list)
    refused: dict[int, int] = field(default_factory=dict)
    first_refusal: str = ""
    seconds: float = 0.0

    def add(self, other: Tally) -> None:
        """Joins another process' tally."""
        self.done |= other.done
        self.times += other.times
        for status, count in other.refused.items():
            self.refused[status] = self.refused.get(status, 0) + count
        self.first_refusal = self.first_refusal or other.first_refusal
        self.seconds = max(self.seconds, other.seconds)

    def millis(self, share: float) -> float:
        """A quantile of the requests' milliseconds."""
        ordered = sorted(self.times)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1e3 if ordered else float("nan")


def request(method: str, path: str, headers: dict[str, str], parts: list[bytes]) -> bytes:
    """One request as it is on the wire."""
    length = sum(map(len, parts))
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"
    return b"".join((head.encode(), *parts))


async def _loop(port: int, number: int, requests: Requests, until: float, tally: Tally) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
    try:
        for wire in requests:
            begun = time.monotonic()
            if begun > until:
                return
            status = 0
            while status != 200:
                writer.write(wire)
                await writer.drain()
                head = await reader.readuntil(b"\r\n\r\n")
                status = int(head[9:12])
                low = head.lower()
                at = low.find(b"content-length:")
                body = await reader.readexactly(int(low[at + 15 : low.index(b"\r", at)])) if at >= 0 else b""
                if status != 200:  # to be sent again, so that what is read back is what was sent
                    tally.refused[status] = tally.refused.get(status, 0) + 1
                    tally.first_refusal = tally.first_refusal or body[:300].decode(errors="replace")
                    if status not in {429, 503} or time.monotonic() > until:
                        return
                    await asyncio.sleep(0.2)
            tally.times.append(time.monotonic() - begun)
            tally.done[number] = tally.done.get(number, 0) + 1
    finally:
        writer.close()


def _process(
    port: int, mine: list[int], make: Callable[[int], Requests], seconds: float, *, ready: Any, answer: Any
) -> None:
    async def run() -> Tally:
        tally = Tally()
        prepared = [(number, make(number)) for number in mine]
        ready.wait()
        begun = time.monotonic()
        await asyncio.gather(*(_loop(port, number, made, begun + seconds, tally) for number, made in prepared))
        tally.seconds = time.monotonic() - begun
        return tally

    answer.send(asyncio.run(run()))
    answer.close()


def drive(port: int, connections: int, make: Callable[[int], Requests], seconds: float, processes: int = 1) -> Tally:
    """Runs closed loops for a while; `make(number)` gives the requests of one. RuntimeError: all failed."""
    forks = multiprocessing.get_context("fork")
    processes = min(processes, connections)
    ready = forks.Barrier(processes)
    children = []
    for part in range(processes):
        ours, theirs = forks.Pipe(duplex=False)
        mine = list(range(part, connections, processes))
        child = forks.Process(
            target=_process, args=(port, mine, make, seconds), kwargs={"ready": ready, "answer": theirs}
        )
        child.start()
        theirs.close()
        children.append((child, ours))
    whole = Tally()
    for child, ours in children:
        whole.add(ours.recv())
        child.join()
    if not whole.times:
        raise RuntimeError(f"nothing was answered with 200: {whole.refused} {whole.first_refusal}")
    return whole
