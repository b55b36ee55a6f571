"""How fast the tracker takes logs and points with durable acknowledgements, and what they cost on disk and in memory.

Beside it, in the same run and on the same disk, a peer: plain SQLite with a row for each line (or point) and the same
durability (synchronous=FULL, one commit for each request's worth). The peer has no HTTP, checks no CRC and unpacks
nothing: it is given the lines. Figures are printed as one JSON object; ratios are tracker / peer.

    python bench/tracker_ingest.py [--seconds 8] [--senders 2] [--data FOLDER]
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import secrets
import shutil
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

LINES_A_BODY = 12_000
STEPS_A_BODY = 100
KEYS = 10


def log_lines(count: int, seed: int) -> bytes:
    """Lines as training code writes them: times, steps, losses, a warning now and then."""
    rng = random.Random(seed)
    lines = []
    for number in range(count):
        stamp = f"2026-01-31 12:{number // 3600 % 60:02}:{number // 60 % 60:02},{rng.randrange(1000):03}"
        if number % 97 == 0:
            lines.append(
                f"{stamp} WARNING train.py:{rng.randrange(400)} gradient norm {rng.uniform(1, 90):.4f} clipped to 1.0"
            )
        else:
            lines.append(
                f"{stamp} INFO rank={seed} step={number} loss={rng.random():.6f} lr={rng.uniform(1e-5, 1e-3):.2e} "
                f"tokens/s={rng.randrange(90_000, 120_000)} mem={rng.uniform(30, 70):.2f}GiB"
            )
    return "\n".join(lines).encode() + b"\n"


def point_lines(start: int, seed: int) -> bytes:
    """STEPS_A_BODY user lines with KEYS numbers each."""
    rng = random.Random(seed * 1_000_003 + start)
    lines = [
        json.dumps(
            {
                "type": "log",
                "rank": seed,
                "step": step,
                "ts": 1.7e9 + step,
                "data": {f"key/{key}": rng.random() for key in range(KEYS)},
            }
        )
        for step in range(start, start + STEPS_A_BODY)
    ]
    return "\n".join(lines).encode() + b"\n"


def frame(header: dict[str, Any], payload: bytes = b"") -> bytes:
    """One frame of docs/protocol.md section 5."""
    text = json.dumps(header).encode()
    return struct.pack("<I", len(text)) + text + payload


def data_frames(name: str, offset: int, raw: bytes) -> bytes:
    """Data frames of at most 256 KiB raw, packed as the sidecar packs them."""
    made = []
    for start in range(0, len(raw), 256 << 10):
        part = raw[start : start + (256 << 10)]
        packed = zlib.compress(part, 6)
        header = {
            "t": "data",
            "s": name,
            "g": 0,
            "o": offset + start,
            "n": len(part),
            "z": "zlib",
            "c": len(packed),
            "crc": zlib.crc32(part),
        }
        made.append(frame(header, packed))
    return b"".join(made)


class Tracker:
    """The real process."""

    def __init__(self, data: Path) -> None:
        self.key = secrets.token_hex(20)
        key_file = data.with_suffix(".key")
        key_file.parent.mkdir(parents=True, exist_ok=True)
        key_file.write_text(self.key)
        command = [sys.executable, "-m", "outrider_tracker", "serve", "--data", str(data), "--listen", "127.0.0.1:0"]
        command += ["--admin-key-file", str(key_file)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(json.loads(self.process.stdout.readline())["http"].rpartition(":")[2])

    def memory(self) -> dict[str, float]:
        """RSS and PSS in MiB, of all its processes."""
        found = [process.memory_full_info() for process in self._family()]
        return {"Rss": sum(item.rss for item in found) / 2**20, "Pss": sum(item.pss for item in found) / 2**20}

    def cpu(self) -> float:
        """CPU seconds of all its processes so far: on a busy machine these say more than the clock."""
        return sum(sum(process.cpu_times()[:4]) for process in self._family())  # those of ended children included

    def _family(self) -> list[psutil.Process]:
        leader = psutil.Process(self.process.pid)
        return [leader, *leader.children()]

    def stop(self) -> None:
        """Ends it."""
        self.process.terminate()
        self.process.wait()


class Sender:
    """One source over one connection."""

    def __init__(self, tracker: Tracker, source: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", tracker.port)
        self.headers = {"Authorization": f"Bearer {tracker.key}"}
        self.source = source
        declared = self.call(
            "PUT",
            "",
            json.dumps(
                {"protocol": 1, "agent": "bench", "instance": "1", "pod": {"namespace": "bench", "name": source}}
            ).encode(),
        )
        self.headers |= {
            "Content-Type": "application/x-outrider-frames",
            "Outrider-Epoch": str(declared["epoch"]),
            "Outrider-Incarnation": declared["incarnation"],
        }

    def call(self, method: str, door: str, body: bytes) -> Any:
        """One request; the answer."""
        self.connection.request(method, f"/ingest/v1/sources/{self.source}{door}", body, self.headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {text[:300]!r}")
        return json.loads(text)


def load(tracker: Tracker, senders: int, seconds: float, kind: str) -> dict[str, float]:
    """Sends prepared bodies for a while; raw bytes and requests a second, and the latency of acknowledgements."""
    times: list[float] = []
    totals = [0] * senders
    barrier = threading.Barrier(senders + 1)

    def work(number: int) -> None:
        sender = Sender(tracker, f"{kind}-{number}")
        name = "train/0/stdout" if kind == "logs" else f"user/rank{number}"
        raws = prepared(kind, number)
        sender.call(
            "POST",
            "/append",
            b"ORF1" + frame({"t": "stream", "s": name, "labels": {"kind": "stdout" if kind == "logs" else "user"}}),
        )
        offset = 0
        queue: list[tuple[bytes, int]] = []
        for raw in raws:
            queue.append((b"ORF1" + data_frames(name, offset, raw), len(raw)))
            offset += len(raw)
        barrier.wait(120)
        end = time.monotonic() + seconds
        for body, size in queue:
            begun = time.monotonic()
            if begun > end:
                break
            sender.call("POST", "/append", body)
            times.append(time.monotonic() - begun)
            totals[number] += size

    threads = [threading.Thread(target=work, args=(number,)) for number in range(senders)]
    for thread in threads:
        thread.start()
    barrier.wait(120)
    begun = time.monotonic()
    for thread in threads:
        thread.join()
    spent = time.monotonic() - begun
    times.sort()
    return {
        "seconds": spent,
        "raw": sum(totals),
        "requests": len(times),
        "rawMBps": sum(totals) / spent / 1e6,
        "ackMillisP50": times[len(times) // 2] * 1e3,
        "ackMillisP99": times[int(len(times) * 0.99)] * 1e3,
    }


def prepared(kind: str, number: int) -> Iterator[bytes]:
    """Raw contents of one sender's requests, made before the clock starts."""
    for turn in range(80 if kind == "logs" else 600):
        yield (
            log_lines(LINES_A_BODY, number * 1000 + turn)
            if kind == "logs"
            else point_lines(turn * STEPS_A_BODY, number)
        )


def peer(path: Path, table: str, seconds: float, batches: Iterator[list[tuple[Any, ...]]]) -> dict[str, float]:
    """Rows into plain SQLite, a durable commit for each batch."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(table)
    marks = ",".join("?" * (table.count(",") + 1))
    made = list(batches)
    rows = 0
    begun = time.monotonic()
    for batch in made:
        connection.execute("BEGIN")
        connection.executemany(f"INSERT INTO peer VALUES ({marks})", batch)
        connection.execute("COMMIT")
        rows += len(batch)
        if time.monotonic() - begun > seconds:
            break
    spent = time.monotonic() - begun
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return {"rows": rows, "seconds": spent, "rowsPerSecond": rows / spent, "bytes": path.stat().st_size}


def size_of(folder: Path) -> int:
    """Bytes of all files."""
    return sum(item.stat().st_size for item in folder.rglob("*") if item.is_file())


def wait(what: Callable[[], bool], seconds: float) -> None:
    """Waits for it."""
    end = time.monotonic() + seconds
    pause = threading.Event()
    while not what() and time.monotonic() < end:
        pause.wait(0.05)


def points_decoded(data: Path) -> int:
    """Points that are decoded, durable and readable."""
    with sqlite3.connect(f"file:{data}/tracker.db?mode=ro", uri=True) as connection:
        return int(connection.execute("SELECT ifnull(sum(count), 0) FROM series").fetchone()[0])


def main() -> None:
    """Runs everything and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--senders", type=int, default=2)
    parser.add_argument("--data", type=Path, default=None)
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tracker-bench-", dir=chosen.data))
    figures: dict[str, Any] = {"cores": os.cpu_count(), "senders": chosen.senders, "load1": os.getloadavg()[0]}
    try:
        measure(folder, chosen.seconds, chosen.senders, figures)
    finally:
        shutil.rmtree(folder)
    print(json.dumps(figures, indent=1))


def measure(folder: Path, seconds: float, senders: int, figures: dict[str, Any]) -> None:
    """Logs, points, peers, disk, memory."""
    data = folder / "data"
    tracker = Tracker(data)
    figures["idleMiB"] = tracker.memory()
    before = tracker.cpu()
    figures["logs"] = load(tracker, senders, seconds, "logs")
    figures["logs"]["rawMBPerCpuSecond"] = figures["logs"]["raw"] / (tracker.cpu() - before) / 1e6
    figures["afterLogsMiB"] = tracker.memory()
    stable = [0, 0]

    def sealed() -> bool:
        stable[0], stable[1] = stable[1], size_of(data / "objects")
        threading.Event().wait(6)
        return stable[0] == stable[1] > 0

    wait(sealed, 90)
    raw = figures["logs"]["raw"]
    figures["logs"]["objectBytesPerRawByte"] = size_of(data / "objects") / raw
    tracker.stop()
    figures["logs"]["diskBytesPerRawByte"] = size_of(data) / raw
    second = folder / "points"
    tracker = Tracker(second)
    begun, before = time.monotonic(), tracker.cpu()
    figures["points"] = load(tracker, senders, seconds, "points")
    sent = figures["points"]["requests"] * STEPS_A_BODY * KEYS
    wait(lambda: points_decoded(second) >= sent, 120)
    spent = time.monotonic() - begun
    figures["points"]["decodedPerCpuSecond"] = sent / (tracker.cpu() - before)
    figures["points"] |= {
        "points": points_decoded(second),
        "ackedPerSecond": sent / figures["points"]["seconds"],
        "decodedSeconds": spent,
        "decodedPerSecond": sent / spent,
    }
    tracker.stop()
    lines = ([(turn, text) for text in log_lines(LINES_A_BODY, turn).decode().splitlines()] for turn in range(40))
    figures["peerLines"] = peer(folder / "lines.db", "CREATE TABLE peer (stream INTEGER, line TEXT)", seconds, lines)
    peer_raw = sum(
        len(log_lines(LINES_A_BODY, turn)) for turn in range(int(figures["peerLines"]["rows"] / LINES_A_BODY))
    )
    figures["peerLines"] |= {
        "rawMBps": peer_raw / figures["peerLines"]["seconds"] / 1e6,
        "diskBytesPerRawByte": figures["peerLines"]["bytes"] / peer_raw,
    }
    rows = (
        [(turn % 10, turn * 100 + step, float(step), random.random()) for step in range(1000)] for turn in range(3000)
    )
    figures["peerPoints"] = peer(
        folder / "points.db", "CREATE TABLE peer (series INTEGER, step INTEGER, time REAL, value REAL)", seconds, rows
    )
    figures["ratio"] = {
        "logs rawMBps": figures["logs"]["rawMBps"] / figures["peerLines"]["rawMBps"],
        "logs disk bytes": figures["logs"]["diskBytesPerRawByte"] / figures["peerLines"]["diskBytesPerRawByte"],
        "points acked/s": figures["points"]["ackedPerSecond"] / figures["peerPoints"]["rowsPerSecond"],
        "points decoded/s": figures["points"]["decodedPerSecond"] / figures["peerPoints"]["rowsPerSecond"],
    }


if __name__ == "__main__":
    main()
