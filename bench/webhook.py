"""Admission reviews answered over TLS on kept connections: our webhook beside kopf's own admission server.

    python bench/webhook.py [--seconds 10] [--connections 8] [--rounds 3]

The reviews (bench/reviews.jsonl) are what an API server 1.36 sent for pods of Jobs and bare pods, second calls and pods
that do not ask among them. Both servers decide with the same function; kopf's applies it in an `on.mutate` handler, as
one writes it there. They take turns, so that a busy machine is busy for both. Because the load generator takes a share
of the same cores, requests per second of the server's own CPU time are given too: that is what a core can do.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
INJECTION = {"trackerUrl": "https://outrider-tracker.outrider.svc:8443", "image": "outrider-sidecar:0.1.0"}
GOAL_RATIO = 5.0
GOAL_P99 = 0.010  # seconds, at
OFFERED = 500  # reviews a second


def kopf_server(folder: Path) -> None:
    """Serve with kopf's own admission server and its own request handling, on a port that is printed."""
    import functools
    import logging

    import kopf
    from kopf._cogs.structs import ephemera, references
    from kopf._core.engines import admission
    from kopf._core.reactor import inventory

    from outrider_operator.core.injection import inject
    from outrider_operator.core.injection_config import from_json

    logging.getLogger("kopf").setLevel(logging.WARNING)
    config = from_json({**INJECTION, "ca": (folder / "ca.crt").read_text()})
    registry = kopf.OperatorRegistry()

    @kopf.on.mutate("", "v1", "pods", id="inject", registry=registry)
    def handler(body: kopf.Body, patch: kopf.Patch, **_: object) -> None:
        result = inject(dict(body), config)
        if not result.patch:
            return
        pod = result.pod  # type: ignore[union-attr]
        for part in ("metadata", "spec"):
            for key, value in pod[part].items():
                if value != body[part].get(key):
                    patch.setdefault(part, {})[key] = value

    pods = references.Resource("", "v1", "pods", kind="Pod", namespaced=True, preferred=True)
    answer = functools.partial(
        admission.serve_admission_request,
        settings=kopf.OperatorSettings(),
        memories=inventory.ResourceMemories(),
        memobase=ephemera.Memo(),  # type: ignore[arg-type]
        registry=registry,
        insights=references.Insights(webhook_resources={pods}),
        indices={},
    )

    async def serve() -> None:
        server = kopf.WebhookServer(
            addr="localhost",
            host="localhost",
            certfile=folder / "webhook.crt",
            pkeyfile=folder / "webhook.key",
            cafile=folder / "ca.crt",
        )
        async for given in server(answer):
            port = str(given["url"]).rpartition(":")[2].rstrip("/")
            print(f"admission on port {port},", file=sys.stderr, flush=True)

    asyncio.run(serve())


class Server:
    """A server process, the port it serves on, and its CPU time."""

    def __init__(self, command: list[str], environment: dict[str, str], path: str) -> None:
        self.path = path
        self.process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if "admission on port" in line:
                self.port = int(line.split("admission on port ")[1].split(",")[0])
                break
        else:
            raise SystemExit(f"{command} did not start")

    def cpu(self) -> float:
        """CPU seconds so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """Resident MiB."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.split("VmRSS:")[1].split()[0]) / 1024

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(20)
        assert self.process.stderr is not None
        self.process.stderr.close()


class Connection:
    """One kept connection; the least client that can read an answer, so that the server is what is measured."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port: int, context: ssl.SSLContext) -> Connection:
        """Connect and shake hands."""
        return cls(*await asyncio.open_connection("localhost", port, ssl=context))

    async def ask(self, request: bytes) -> bytes:
        """Send a request and give the body of its answer."""
        self.writer.write(request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"the server said {head[:200]!r}")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        return await self.reader.readexactly(length)


def requests(path: str) -> list[bytes]:
    """The recorded reviews as HTTP requests."""
    out = []
    for line in (HERE / "reviews.jsonl").read_bytes().splitlines():
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
        out.append(f"{head}{len(line)}\r\n\r\n".encode() + line)
    return out


async def saturate(server: Server, context: ssl.SSLContext, connections: int, seconds: float) -> dict[str, float]:
    """As many reviews as the server answers."""
    sent = requests(server.path)
    opened = [await Connection.open(server.port, context) for _ in range(connections)]
    end = time.perf_counter() + seconds
    count = 0

    async def loop(connection: Connection, number: int) -> None:
        nonlocal count
        while time.perf_counter() < end:
            answer = json.loads(await connection.ask(sent[number % len(sent)]))
            assert answer["response"]["allowed"] is True
            number += 1
            count += 1

    before, begun = server.cpu(), time.perf_counter()
    await asyncio.gather(*(loop(connection, number) for number, connection in enumerate(opened)))
    taken, cpu = time.perf_counter() - begun, server.cpu() - before
    for connection in opened:
        connection.writer.close()
    return {"per_second": count / taken, "per_cpu_second": count / cpu}


async def offer(server: Server, context: ssl.SSLContext, connections: int, seconds: float) -> list[float]:
    """Seconds from when each review was due, at a fixed rate, to its answer: waiting for a busy server counts."""
    sent = requests(server.path)
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(connections):
        free.put_nowait(await Connection.open(server.port, context))
    waits: list[float] = []

    async def one(number: int, due: float) -> None:
        connection = await free.get()
        await connection.ask(sent[number % len(sent)])
        waits.append(time.perf_counter() - due)
        free.put_nowait(connection)

    begun = time.perf_counter()
    tasks = []
    for number in range(int(OFFERED * seconds)):
        due = begun + number / OFFERED
        delay = due - time.perf_counter()
        if delay > 0:
            await asyncio.sleep(delay)
        tasks.append(asyncio.create_task(one(number, due)))
    await asyncio.gather(*tasks)
    while not free.empty():
        free.get_nowait().writer.close()
    return waits


def main() -> int:
    """Measure both and print the table; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kopf", type=Path, help=argparse.SUPPRESS)  # the other server's own process
    args = parser.parse_args()
    if args.kopf:
        kopf_server(args.kopf)
        return 0
    with tempfile.TemporaryDirectory() as name:
        return compare(Path(name), args)


def compare(folder: Path, args: argparse.Namespace) -> int:
    """Start both servers and let them take turns."""
    from outrider_operator.core.certificates import carry_out, decide

    now, names = dt.datetime.now(dt.UTC), {"webhook": ("localhost",)}
    for entry, text in carry_out(decide(None, now, names), None, now, names).items():
        (folder / entry).write_text(text)
    context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    environment = {**os.environ, "OUTRIDER_INJECTION": json.dumps(INJECTION)}
    ours = [sys.executable, "-m", "outrider_operator", "webhook", "--cert-dir", str(folder)]
    ours += ["--listen", "localhost:0", "--health", "localhost:0"]
    theirs = [sys.executable, str(Path(__file__)), "--kopf", str(folder)]
    servers = {"outrider": Server(ours, environment, "/inject/pod"), "kopf": Server(theirs, environment, "/inject")}
    try:
        return asyncio.run(measure(servers, context, args))
    finally:
        for server in servers.values():
            server.stop()


async def measure(servers: dict[str, Server], context: ssl.SSLContext, args: argparse.Namespace) -> int:
    """Rounds of both, their medians, the verdict."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in servers}
    for name, server in servers.items():
        await until_served(server, context)
        await saturate(server, context, args.connections, 1)  # warm
        print(f"{name}: {server.memory():.0f} MiB resident", file=sys.stderr)
    for _ in range(args.rounds):
        for name, server in servers.items():
            found[name].append(await saturate(server, context, args.connections, args.seconds))
    waits = sorted(await offer(servers["outrider"], context, 32, args.seconds))
    table = {
        name: {key: statistics.median(item[key] for item in rounds) for key in rounds[0]}
        for name, rounds in found.items()
    }
    print(f"{'server':<10}{'reviews/s':>12}{'reviews/CPU-s':>16}")
    for name, row in table.items():
        print(f"{name:<10}{row['per_second']:>12.0f}{row['per_cpu_second']:>16.0f}")
    ratio = {key: table["outrider"][key] / table["kopf"][key] for key in ("per_second", "per_cpu_second")}
    print(f"ratio     {ratio['per_second']:>12.1f}{ratio['per_cpu_second']:>16.1f}   (goal {GOAL_RATIO:.0f})")
    p50, p99 = (waits[int(len(waits) * share)] * 1000 for share in (0.5, 0.99))
    print(f"at {OFFERED}/s: p50 {p50:.1f} ms, p99 {p99:.1f} ms (goal p99 {GOAL_P99 * 1000:.0f} ms)")
    result: dict[str, Any] = {"table": table, "ratio": ratio, "p50_ms": p50, "p99_ms": p99}
    print(json.dumps(result))
    return 0 if ratio["per_cpu_second"] >= GOAL_RATIO and p99 <= GOAL_P99 * 1000 else 1


async def until_served(server: Server, context: ssl.SSLContext) -> None:
    """Wait for the first handshake that succeeds."""
    deadline = time.monotonic() + 30
    while True:
        try:
            connection = await Connection.open(server.port, context)
        except (ssl.SSLError, ConnectionError):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)
        else:
            connection.writer.close()
            return


if __name__ == "__main__":
    sys.exit(main())
