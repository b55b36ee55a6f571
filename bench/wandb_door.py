"""The W&B door under load: rows taken durably, decoded and compacted, beside `mlflow server` with the same rows.

    python bench/wandb_door.py [--minutes 10] [--clients 1,8,64] [--keys 1,10,50] [--no-peer]

Each client has a run of its own and a kept connection, and posts what the SDK posts after some seconds of logging: 1000
rows (the peer gets the same rows, cut to its bound of 1000 metrics a request). A figure counts user metrics only. Rows
are read back by GraphQL, points from the store, and compared with what was sent. Since the load generator shares the
machine, points for each CPU second of the server are given too, decoding and compaction included: what one core does.
Then: GraphQL operations a second; and what `log()` of the real SDK takes, online beside offline, in turns.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import math
import os
import random
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Self

from load import Requests, Tally, drive, request
from mlflow_peer import Mlflow
from tracker_ingest import Tracker

from outrider_tracker.store import pointcodec
from outrider_tracker.store.batches import join
from tools.sdk_venvs import RELEASES, python_of

ROWS = 1000  # of one post
FIRST_STEP = 1_000_000_000  # ten digits, so that a prepared row can be given its step by its place
VARIANTS = 4  # posts with values of their own; then they repeat
PEER_BOUND = 1000  # metrics of one request
GOALS = {1: 100_000, 10: 300_000}
SETTLED = 30.0  # seconds of a cell from which on its backlog is judged: at first it fills up to what the door lets wait
PROJECT = "bench"


@cache
def column(key: int, variant: int) -> list[float]:
    """What clients log under a key in one post: known again when it is read back."""
    rng = random.Random(key * VARIANTS + variant)
    return [rng.random() for _ in range(ROWS)]


def value(key: int, row: int, post: int) -> float:
    """One of these."""
    return column(key, post % VARIANTS)[row]


def row_texts(keys: int, post: int) -> list[tuple[str, str]]:
    """Rows of one post as texts before and after the step's ten digits."""
    return [
        (
            '{"_step":',
            f',"_timestamp":{1.7e9 + row:.3f},"_runtime":{row / 7:.3f},'
            + ",".join(f'"train/metric_{key}":{value(key, row, post)!r}' for key in range(keys))
            + "}",
        )
        for row in range(ROWS)
    ]


@cache
def pieces(keys: int, variant: int) -> list[bytes]:
    """A post's rows, quoted, as the texts around their steps."""
    quoted = [(json.dumps(before)[:-1], json.dumps(after)[1:]) for before, after in row_texts(keys, variant)]
    # Between two steps stand the end of a row and the beginning of the next one.
    texts = [quoted[0][0], *(f"{quoted[row][1]},{quoted[row + 1][0]}" for row in range(ROWS - 1)), quoted[-1][1]]
    return [text.encode() for text in texts]


def posts(path: str, headers: dict[str, str], keys: int) -> Requests:
    """Filestream posts of one run, one after the other, without an end."""
    prepared = [pieces(keys, variant) for variant in range(VARIANTS)]
    post = 0
    while True:
        first = post * ROWS
        parts = [b'{"files":{"wandb-history.jsonl":{"offset":%d,"content":[' % first]
        for row, piece in enumerate(prepared[post % VARIANTS][:-1], FIRST_STEP + first):
            parts += (piece, b"%d" % row)
        parts += (prepared[post % VARIANTS][-1], b"]}}}")
        yield request("POST", path, headers, parts)
        post += 1


def batches(run: str, keys: int) -> Requests:
    """The same rows as MLflow's log-batch, each with as many as it takes."""
    rows = PEER_BOUND // keys
    headers = {"Content-Type": "application/json"}
    step = 0
    while True:
        metrics = [
            {
                "key": f"train/metric_{key}",
                "value": value(key, number % ROWS, number // ROWS),
                "timestamp": 1_700_000_000_000 + number,
                "step": number,
            }
            for number in range(step, step + rows)
            for key in range(keys)
        ]
        yield request(
            "POST",
            "/api/2.0/mlflow/runs/log-batch",
            headers,
            [json.dumps({"run_id": run, "metrics": metrics}).encode()],
        )
        step += rows


class Door(Tracker):
    """The tracker's process, as a client of W&B sees it."""

    def __init__(self, data: Path) -> None:
        super().__init__(data)
        self.data = data
        self.headers = {
            "Authorization": "Basic " + base64.b64encode(f"api:{self.key}".encode()).decode(),
            "Content-Type": "application/json",
        }

    def graphql(self, text: str, **variables: Any) -> Any:
        """One operation; its data."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        body = json.dumps({"query": text, "variables": variables, "operationName": ""})
        connection.request("POST", "/graphql", body, self.headers)
        answer = json.loads(connection.getresponse().read())
        connection.close()
        if answer.get("errors"):
            raise RuntimeError(f"{text[:60]}: {answer['errors']}")
        return answer["data"]

    def new_run(self, name: str) -> str:
        """Makes a run; the path of its filestream."""
        bucket = self.graphql(UPSERT, name=name, project=PROJECT, entity=None)["upsertBucket"]["bucket"]
        project = bucket["project"]
        return f"/files/{project['entity']['name']}/{project['name']}/{bucket['name']}/file_stream"

    def gauge(self, name: str) -> float:
        """One figure of /metrics."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        return float(
            next(line.split()[1] for line in text.splitlines() if line.startswith(f"outrider_tracker_{name} "))
        )


UPSERT = """mutation UpsertBucket($name: String, $project: String, $entity: String, $config: JSONString) {
  upsertBucket(input: {name: $name, modelName: $project, entityName: $entity, config: $config}) {
    bucket { id name displayName description config sweepName historyLineCount project { id name entity { id name } } }
    inserted
  }
}"""
VIEWER = "query Viewer { viewer { id entity username email flags teams { edges { node { name } } } } }"
RUN = """query Run($project: String!, $entity: String!, $name: String!) {
  project(name: $project, entityName: $entity) {
    run(name: $name) {
      id tags name displayName sweepName state config group jobType commit readOnly createdAt heartbeatAt description
      notes systemMetrics summaryMetrics historyLineCount user { name username } historyKeys projectId
    }
  }
}"""
PAGE = """query HistoryPage(
  $entity: String!, $project: String!, $run: String!, $low: Int64!, $high: Int64!, $n: Int!
) {
  project(name: $project, entityName: $entity) {
    run(name: $run) { history(minStep: $low, maxStep: $high, samples: $n) }
  }
}"""


class Backlog:
    """Lines that wait to be decoded, looked at once a second while the load runs."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._rows: list[float] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(1.0):
            self._rows.append(self._door.gauge("line_backlog"))

    def rows(self, third: int) -> float:
        """The median of one third of the time."""
        size = max(1, len(self._rows) // 3)
        return statistics.median(self._rows[third * size : (third + 1) * size])


def measure(door: Door, clients: int, keys: int, seconds: float) -> dict[str, Any]:
    """One cell of the table: load, drain, read back."""
    for variant in range(VARIANTS):
        pieces(keys, variant)  # made before the generator's processes are
    paths = [door.new_run(f"k{keys}-c{clients}-{number}") for number in range(clients)]
    before, begun = door.cpu(), time.monotonic()
    with Backlog(door) as backlog:
        tally = drive(door.port, clients, lambda number: posts(paths[number], door.headers, keys), seconds)
    while door.gauge("line_backlog") > 0:
        if time.monotonic() - begun > seconds * 20 + 60:
            raise RuntimeError("the decoder does not catch up")
        time.sleep(0.1)
    spent, cpu = time.monotonic() - begun, door.cpu() - before
    points = sum(tally.done.values()) * ROWS * keys
    figures = {
        "acked_per_second": points / tally.seconds,
        "decoded_per_second": points / spent,
        "points_per_cpu_second": points / cpu,
        "backlog_rows": [backlog.rows(third) for third in range(3)],
        "p50_ms": tally.millis(0.5),
        "p99_ms": tally.millis(0.99),
        "refused": tally.refused,
    }
    check(door, paths, tally, keys)
    return figures


def grows(rows: list[float]) -> bool:
    """Whether the backlog of the last third is more than that of the middle one, and more than a few posts."""
    return rows[2] > max(rows[1] * 1.25, 5 * ROWS)


def check(door: Door, paths: list[str], tally: Tally, keys: int) -> None:
    """Everything acknowledged is there: rows by GraphQL, points by the store. RuntimeError: it is not."""
    for number, path in enumerate(paths):
        posted = tally.done.get(number, 0)
        _, _, entity, project, run, _ = path.split("/")
        for post in {0, posted // 2, posted - 1} if posted else set():
            low = FIRST_STEP + post * ROWS
            found = door.graphql(PAGE, entity=entity, project=project, run=run, low=low, high=low + ROWS, n=ROWS)
            sent = [
                json.loads(f"{before}{low + row}{after}") for row, (before, after) in enumerate(row_texts(keys, post))
            ]
            if [json.loads(text) for text in found["project"]["run"]["history"]] != sent:
                raise RuntimeError(f"{run}: the rows from step {low} on are not those that were sent")
        compare_points(door.data, run, keys, posted)


def compare_points(data: Path, run: str, keys: int, posted: int) -> None:
    """Every point of one key, and the number of all keys'."""
    last = f"train/metric_{keys - 1}"
    with sqlite3.connect(f"file:{data}/tracker.db?mode=ro", uri=True) as connection:
        owner = "SELECT -decoding.id FROM decoding JOIN sdk_run ON sdk_run.id = run WHERE name = ?"
        series = f"SELECT key, count, id FROM series WHERE key LIKE 'train/%' AND source = ({owner})"
        found = {key: (count, number) for key, count, number in connection.execute(series, (run,))}
        counts = {key: count for key, (count, _) in found.items()}
        if counts != {f"train/metric_{key}": posted * ROWS for key in range(keys)} and posted:
            raise RuntimeError(f"{run}: of {posted * ROWS} points of each key there are {counts}")
        kept = connection.execute(
            "SELECT first, points FROM point_chunk WHERE series = :series UNION ALL "
            "SELECT first, points FROM point_tail WHERE series = :series ORDER BY first",
            {"series": found[last][1] if posted else None},
        )
        points = join(pointcodec.decode(text) for _, text in kept)
    connection.close()
    for index, (step, number) in enumerate(zip(points.steps, points.values, strict=True)):
        if step != FIRST_STEP + index or number != value(keys - 1, index % ROWS, index // ROWS):
            raise RuntimeError(f"{run}: point {index} is {number} at step {step}")
    if len(points) != posted * ROWS:
        raise RuntimeError(f"{run}: {len(points)} points of {posted * ROWS} can be read")


def measure_peer(server: Mlflow, clients: int, keys: int, seconds: float) -> dict[str, Any]:
    """The same rows to MLflow."""
    runs = server.new_runs(clients)
    before = server.cpu()
    tally = drive(server.port, clients, lambda number: batches(runs[number], keys), seconds)
    points = sum(tally.done.values()) * (PEER_BOUND // keys) * keys
    return {
        "acked_per_second": points / tally.seconds,
        "points_per_cpu_second": points / (server.cpu() - before),
        "p50_ms": tally.millis(0.5),
        "p99_ms": tally.millis(0.99),
        "refused": tally.refused,
    }


def operations(door: Door, seconds: float) -> dict[str, Any]:
    """GraphQL operations a second over 8 connections."""
    path = door.new_run("operations")
    _, _, entity, project, run, _ = path.split("/")
    config = json.dumps({"lr": {"value": 0.1}, "_wandb": {"value": {"t": {"1": [1, 2]}}}})

    def same(text: str, **variables: Any) -> Callable[[int], Requests]:
        body = json.dumps({"query": text, "variables": variables, "operationName": ""}).encode()
        wire = request("POST", "/graphql", door.headers, [body])

        def forever(_: int) -> Iterator[bytes]:
            while True:
                yield wire

        return forever

    found = {}
    for name, make in {
        "viewer": same(VIEWER),
        "UpsertBucket": same(UPSERT, name=run, project=project, entity=entity, config=config),
        "run": same(RUN, name=run, project=project, entity=entity),
    }.items():
        before = door.cpu()
        tally = drive(door.port, 8, make, seconds)
        count = len(tally.times)
        found[name] = {
            "per_second": count / tally.seconds,
            "per_cpu_second": count / (door.cpu() - before),
            "p99_ms": tally.millis(0.99),
        }
    return found


SDK_SCRIPT = """
import json, sys, time, wandb
times = []
with wandb.init(project="bench", mode=sys.argv[1], settings=wandb.Settings(console="off")) as run:
    for step in range(int(sys.argv[2])):
        row = {f"metric_{key}": step * 0.5 + key for key in range(10)}
        begun = time.perf_counter()
        run.log(row)
        times.append(time.perf_counter() - begun)
        time.sleep(0.0005)
times.sort()
print(json.dumps({"p50_us": times[len(times) // 2] * 1e6, "p99_us": times[int(len(times) * 0.99)] * 1e6}))
"""


def sdk_log(door: Door, folder: Path, steps: int, rounds: int) -> dict[str, Any]:
    """What log() of the newest SDK takes, online and offline in turns: medians of the rounds."""
    python = python_of(RELEASES[0])
    found: dict[str, list[dict[str, float]]] = {"online": [], "offline": []}
    environment = {
        **os.environ,
        "WANDB_BASE_URL": f"http://127.0.0.1:{door.port}",
        "WANDB_API_KEY": door.key,
        "WANDB_DIR": str(folder),
        "WANDB_SILENT": "true",
        "WANDB_ERROR_REPORTING": "false",
    }
    for number in range(2 * rounds):
        mode = ("online", "offline")[number % 2]
        ended = subprocess.run(
            [str(python), "-c", SDK_SCRIPT, mode, str(steps)],
            env=environment, cwd=folder, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        if ended.returncode:
            raise RuntimeError(f"the SDK failed {mode}: {ended.stderr[-2000:]}")
        found[mode].append(json.loads(ended.stdout.splitlines()[-1]))
    middle = rounds // 2
    return {
        mode: {name: sorted(item[name] for item in items)[middle] for name in items[0]} for mode, items in found.items()
    }


def numbers(text: str) -> list[int]:
    """`1,8,64`."""
    return [int(part) for part in text.split(",")]


def main() -> int:
    """Measures, prints, and says by its exit code whether the goals are reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=0.0, help="of load, over all cells of the table")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each cell, without --minutes")
    parser.add_argument("--clients", type=numbers, default=[1, 8, 64])
    parser.add_argument("--keys", type=numbers, default=[1, 10, 50])
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--no-sdk", action="store_true")
    parser.add_argument("--data", type=Path, default=None, help="where to make the data folders")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as ^C does it: what was started is ended
    cells = [(keys, clients) for keys in chosen.keys for clients in chosen.clients]
    seconds = chosen.minutes * 60 / len(cells) if chosen.minutes else chosen.seconds
    figures: dict[str, Any] = {"cores": os.cpu_count(), "load1": os.getloadavg()[0], "seconds": seconds, "cells": []}
    with tempfile.TemporaryDirectory(prefix="wandb-bench-", dir=chosen.data) as name:
        folder = Path(name)
        run(folder, cells, seconds, chosen, figures)
    print(json.dumps(figures))
    best = {
        keys: max(c["outrider"]["points_per_cpu_second"] for c in figures["cells"] if c["keys"] == keys)
        for keys in chosen.keys
    }
    missed = [
        f"{keys} keys: {best[keys]:,.0f}/s, goal {goal:,}"
        for keys, goal in GOALS.items()
        if best.get(keys, math.inf) < goal
    ]
    missed += [
        f"{c['keys']} keys, {c['clients']} clients: the backlog grows: {c['outrider']['backlog_rows']}"
        for c in figures["cells"]
        if seconds >= SETTLED and grows(c["outrider"]["backlog_rows"])
    ]
    for text in missed:
        print(f"missed: {text}")
    return 1 if missed else 0


def run(
    folder: Path, cells: list[tuple[int, int]], seconds: float, chosen: argparse.Namespace, figures: dict[str, Any]
) -> None:
    """All measurements, the table printed as it grows."""
    door = Door(folder / "data")
    peer = None if chosen.no_peer else Mlflow(folder / "mlflow")
    print(f"{'keys':>4} {'clients':>7} | {'acked/s':>9} {'decoded/s':>9} {'/CPU-s':>9} {'p50 ms':>7} {'p99 ms':>7} "
          f"{'backlog, in thirds':>20} | {'MLflow/s':>8} {'/CPU-s':>8} {'p99 ms':>7} | {'ratio':>6}")  # fmt: skip
    try:
        for keys, clients in cells:
            ours = measure(door, clients, keys, seconds)
            theirs = None if peer is None else measure_peer(peer, clients, keys, min(seconds, 20.0))
            figures["cells"].append({"keys": keys, "clients": clients, "outrider": ours, "mlflow": theirs})
            line = (
                f"{keys:>4} {clients:>7} | {ours['acked_per_second']:>9,.0f} {ours['decoded_per_second']:>9,.0f} "
                f"{ours['points_per_cpu_second']:>9,.0f} {ours['p50_ms']:>7.1f} {ours['p99_ms']:>7.1f} "
                f"{' '.join(f'{rows:,.0f}' for rows in ours['backlog_rows']):>20} |"
            )
            if theirs is not None:
                ratio = ours["decoded_per_second"] / theirs["acked_per_second"]
                line += (
                    f" {theirs['acked_per_second']:>8,.0f} {theirs['points_per_cpu_second']:>8,.0f} "
                    f"{theirs['p99_ms']:>7.0f} | {ratio:>6.1f}"
                )
            print(line, flush=True)
        figures["memory_mib"] = door.memory()
        figures["graphql"] = operations(door, min(seconds, 5.0))
        for name, found in figures["graphql"].items():
            print(
                f"GraphQL {name:<13} {found['per_second']:>7,.0f}/s {found['per_cpu_second']:>7,.0f}/CPU-s "
                f"p99 {found['p99_ms']:.1f} ms"
            )
        if not chosen.no_sdk:
            figures["sdk_log"] = sdk_log(door, folder, 2000, 3)
            for mode, found in figures["sdk_log"].items():
                print(f"log() {mode:<8} p50 {found['p50_us']:.0f} us, p99 {found['p99_us']:.0f} us")
    finally:
        if peer is not None:
            peer.__exit__()
        door.stop()


if __name__ == "__main__":
    sys.exit(main())
