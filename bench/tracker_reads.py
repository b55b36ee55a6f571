"""How long charts and tails take while the tracker ingests: warm and cold, and how that grows with the points.

    python bench/tracker_reads.py [--points 1,10,40] [--ranks 1024] [--rounds 15]

For each number of millions of points there are SDK runs with 1, 10 and 1000 keys; beside them a Run of many ranks with
one key each over 24 hours, a console and a stream of a million lines. The data is written by the store's own functions,
the reads go over HTTP to the real process, while a client posts rows all the time. Cold: the process is new and the
file's pages are not in memory. Flatness: the median of the largest number of points over that of the smallest.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import multiprocessing
import os
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from load import Requests
from tracker_ingest import LINES_A_BODY, Sender, data_frames, frame, log_lines
from wandb_door import PROJECT, Door, posts

from outrider_tracker.store import decoded
from outrider_tracker.store.batches import Points, SeriesKey
from outrider_tracker.store.line_blocks import LineFile
from outrider_tracker.store.lines import LineBatch, append_lines
from outrider_tracker.store.points import CHUNK
from outrider_tracker.store.projects import ensure_project
from outrider_tracker.store.runs import RunKey, put_run
from outrider_tracker.store.sdk_runs import RunChange, upsert_run
from outrider_tracker.store.sources import Join, Owner, join
from outrider_tracker.store.store import Store

GOALS = {"warm_ms": 50.0, "cold_ms": 300.0, "tail_ms": 20.0, "flat": 1.5}
KEYS = (1, 10, 1000)
ENTITY = "bench"
DAY = 86_400
EVERY = 10  # seconds between two points of a rank
CONSOLE_LINES = STREAM_LINES = 1_000_000
PART = 100 * CHUNK  # points that are written and sealed at once
BUCKETS = 1000
RECORD = {
    "namespace": ENTITY, "name": "ranks", "project": PROJECT, "displayName": "ranks", "group": "", "jobType": "",
    "tags": [], "notes": "", "config": {}, "state": "Running", "reason": "", "createdAt": "2026-01-01T00:00:00Z",
    "startedAt": None, "endedAt": None, "attempt": 1, "attempts": [], "failure": None, "conditions": [],
    "ranks": {"expected": 1024, "running": 1024, "succeeded": 0, "failed": 0, "lost": 0},
    "workload": {"apiVersion": "batch/v1", "kind": "Job", "name": "ranks", "uid": "u"},
}  # fmt: skip


def walk(rng: random.Random, count: int) -> array[float]:
    """Values of a random walk."""
    value = 0.0
    made = array("d")
    for _ in range(count):
        value += rng.random() - 0.5
        made.append(value)
    return made


class Filler:
    """Writes series as ingest does, and seals them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._values = [walk(random.Random(seed), CHUNK) for seed in range(16)]
        self._batch: dict[int, dict[SeriesKey, Points]] = {}
        self._points = 0

    def series(self, source: int, key: SeriesKey, count: int, *, every: float = 1.0) -> None:
        """A whole series, in parts that are sealed each."""
        values = self._values[random.Random(key.key).randrange(16)]
        for first in range(0, count, PART):
            stop = min(count, first + PART)
            steps = array("d", range(first, stop))
            times = array("d", (1.7e9 + step * every for step in steps))
            cycle = (values * (PART // CHUNK))[: stop - first]
            self._batch.setdefault(source, {})[key] = Points(times, steps, cycle)
            self._points += stop - first
            if self._points >= PART or stop < count:
                self.flush()

    def flush(self) -> None:
        """Writes and seals what is held."""
        for source, batch in self._batch.items():
            self._store.points.append(source, batch, 1.0)
        self._store.points.seal(1e10)
        self._batch, self._points = {}, 0


def fill(data: Path, millions: list[float], ranks: int) -> None:
    """All that is read."""
    store = Store(data)
    filler = Filler(store)
    now = time.time()
    store.writer.run(lambda connection: put_run(connection, RunKey("ranks", ENTITY, PROJECT, now), RECORD, now))
    for size in millions:
        for keys in KEYS:
            run = store.writer.run(lambda connection, size=size, keys=keys: _run(connection, name_of(size, keys), now))
            decoding = store.writer.run(lambda connection, run=run: decoded.begin(connection, run))
            for key in range(keys):
                filler.series(-decoding, SeriesKey(f"key{key}", "user", "user", None, ""), int(size * 1e6 / keys))
    for rank in range(ranks):
        joined = Join(
            uid=f"rank-{rank}", owner=Owner(ENTITY, "", ENTITY), run="ranks", attempt=1, node_rank=rank, incarnation=0,
            pod=f"pod-{rank}", node="node", phase="Running", deleted=False, final_unsent=None, lost_reason=None,
        )  # fmt: skip
        store.writer.run(lambda connection, joined=joined: join(connection, joined, now))
        source = store.readers.read(
            lambda connection, rank=rank: connection.execute(
                "SELECT id FROM source WHERE uid = ?", (f"rank-{rank}",)
            ).fetchone()[0]
        )
        filler.series(source, SeriesKey("loss", "user", "rank", rank, ""), DAY // EVERY, every=EVERY)
    filler.flush()
    console = store.writer.run(lambda connection: _run(connection, "console", now))
    for first in range(0, CONSOLE_LINES, 10_000):
        lines = [f"2026-01-31T12:00:00.000000 step {number} loss 0.123456" for number in range(first, first + 10_000)]
        batch = LineBatch(LineFile.CONSOLE, "", first, lines)
        store.writer.run(
            lambda connection, batch=batch: append_lines(connection, console, 0, batch, assign_steps=False, now=now)
        )
    store.close()


def _run(connection: sqlite3.Connection, name: str, now: float) -> int:
    project = ensure_project(connection, ENTITY, PROJECT, None, now)
    run, _ = upsert_run(connection, project.id, name, RunChange(), user=None, run_id=None, now=now)
    return run.id


def name_of(size: float, keys: int) -> str:
    """A run's."""
    return f"m{size:g}-k{keys}"


class Reader:
    """GETs over one kept connection."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=120)

    def get(self, path: str, **query: Any) -> tuple[float, Any]:
        """Milliseconds, and the answer."""
        target = f"/api/v1/{path}" + (f"?{urlencode(query)}" if query else "")
        begun = time.perf_counter()
        self._connection.request("GET", target, headers={"Authorization": f"Bearer {self._door.key}"})
        answer = self._connection.getresponse()
        body = answer.read()
        spent = (time.perf_counter() - begun) * 1e3
        if answer.status != 200:
            raise RuntimeError(f"{target}: {answer.status} {body[:300]!r}")
        return spent, json.loads(body)


def forget_pages(folder: Path) -> None:
    """Takes the files' pages out of memory."""
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def reads(millions: list[float], stream: int) -> dict[str, tuple[str, dict[str, Any]]]:
    """What is measured, by name: path and query."""
    base = f"runs/{ENTITY}/{PROJECT}"
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for size in millions:
        for keys in KEYS:
            run = f"{base}/{name_of(size, keys)}"
            count = int(size * 1e6 / keys)
            chart = {"key": "key0", "x": "step", "points": BUCKETS}
            part = {"from": count * 0.4, "to": count * 0.45}
            found[f"{size:g} M, {keys} keys: chart"] = (f"{run}/series/data", chart)
            found[f"{size:g} M, {keys} keys: zoomed"] = (f"{run}/series/data", chart | part)
            found[f"{size:g} M, {keys} keys: list of keys"] = (f"{run}/series", {})
    ranks = {"key": "loss", "x": "time"}
    found["ranks: chart of 100 points a rank"] = (f"{base}/ranks/series/data", ranks | {"points": 100})
    found["ranks: ten minutes"] = (
        f"{base}/ranks/series/data", ranks | {"points": 100, "from": 1.7e9 + 40_000, "to": 1.7e9 + 40_600}
    )  # fmt: skip
    found["tail: console"] = (f"{base}/console/console", {"last": 500})
    found["tail: stream"] = (f"streams/{stream}/lines", {"last": 500})
    return found


def fill_stream(door: Door) -> int:
    """A sidecar's stream of a million lines; its id."""
    sender = Sender(door, "tail")
    name, offset = "train/0/stdout", 0
    sender.call("POST", "/append", b"ORF1" + frame({"t": "stream", "s": name, "labels": {"kind": "stdout"}}))
    for turn in range(STREAM_LINES // LINES_A_BODY):
        raw = log_lines(LINES_A_BODY, turn)
        sender.call("POST", "/append", b"ORF1" + data_frames(name, offset, raw))
        offset += len(raw)
    connection = sqlite3.connect(f"file:{door.data}/tracker.db?mode=ro", uri=True)
    found = connection.execute(
        "SELECT stream.id FROM stream JOIN source ON source.id = source WHERE uid = 'tail' AND stream.name = ?", (name,)
    ).fetchone()
    connection.close()
    return int(found[0])


def post_forever(port: int, path: str, headers: dict[str, str]) -> None:
    """A thousand rows of ten keys, some five times a second."""
    asyncio.run(_post(port, posts(path, headers, 10)))


async def _post(port: int, requests: Requests) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for wire in requests:
        writer.write(wire)
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().partition(b"content-length:")[2].partition(b"\r")[0]))
        await asyncio.sleep(0.2)


def main() -> int:
    """Fills, measures, prints, and says by its exit code whether the goals are reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", default="1,10,40", metavar="MILLIONS,...")
    parser.add_argument("--ranks", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--data", type=Path, default=None, help="where to make the data folder")
    chosen = parser.parse_args()
    millions = [float(part) for part in chosen.points.split(",")]
    with tempfile.TemporaryDirectory(prefix="reads-bench-", dir=chosen.data) as name:
        figures = measure(Path(name) / "data", millions, chosen.ranks, chosen.rounds)
    print(json.dumps(figures))
    missed = list(misses(figures, millions))
    for text in missed:
        print(f"below the goal: {text}")
    return 1 if missed else 0


def measure(data: Path, millions: list[float], ranks: int, rounds: int) -> dict[str, Any]:
    """All figures."""
    begun = time.monotonic()
    Door(data).stop()  # makes the store and its administrator
    fill(data, millions, ranks)
    size = sum(path.stat().st_size for path in data.rglob("*") if path.is_file())
    print(f"filled in {time.monotonic() - begun:.0f} s, {size / 1e9:.1f} GB, load {os.getloadavg()[0]:.1f}", flush=True)
    door = Door(data)
    try:
        stream = fill_stream(door)
        wanted = reads(millions, stream)
        figures: dict[str, Any] = {"cores": os.cpu_count(), "load1": os.getloadavg()[0], "reads": {}}
        with Ingesting(door):
            reader = Reader(door)
            for name, (path, query) in wanted.items():
                times = sorted(reader.get(path, **query)[0] for _ in range(rounds))
                figures["reads"][name] = {"warm_ms": statistics.median(times), "warm_worst_ms": times[-1]}
        for name, (path, query) in wanted.items():
            door.stop()
            forget_pages(data)
            door = Door(data)
            reader = Reader(door)
            reader.get("session")  # code is loaded; what is cold is the data
            figures["reads"][name]["cold_ms"] = reader.get(path, **query)[0]
        for name, found in figures["reads"].items():
            print(f"{name:<40} warm {found['warm_ms']:>8.1f} ms (worst {found['warm_worst_ms']:>8.1f})  "
                  f"cold {found['cold_ms']:>8.1f} ms")  # fmt: skip
        return figures
    finally:
        door.stop()


def misses(figures: dict[str, Any], millions: list[float]) -> Iterator[str]:
    """Goals that are not reached, as text."""
    for name, found in figures["reads"].items():
        tail = name.startswith("tail")
        for measure_, goal in (("warm_ms", GOALS["tail_ms" if tail else "warm_ms"]), ("cold_ms", GOALS["cold_ms"])):
            if found[measure_] > goal:
                yield f"{name}: {measure_} {found[measure_]:.0f}, goal {goal:.0f}"
    for what in ("chart", "zoomed"):
        for keys in KEYS:
            small, large = (
                figures["reads"][f"{size:g} M, {keys} keys: {what}"]["warm_ms"]
                for size in (min(millions), max(millions))
            )
            # Below some milliseconds both are the request's own cost.
            if large > GOALS["flat"] * max(small, 5.0):
                more = max(millions) / min(millions)
                yield f"{keys} keys: {what}: {large / small:.1f} times as long for {more:g} times the points"


class Ingesting:
    """A client that posts while this is entered."""

    def __init__(self, door: Door) -> None:
        arguments = (door.port, door.new_run("ingesting"), door.headers)
        self._process = multiprocessing.get_context("fork").Process(target=post_forever, args=arguments, daemon=True)

    def __enter__(self) -> None:
        self._process.start()

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join()


if __name__ == "__main__":
    sys.exit(main())
