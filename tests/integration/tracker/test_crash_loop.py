"""kill -9 under load: what was acknowledged is there, what is there is right, and what was decoded was decoded once.

An outside ledger notes each acknowledged byte. OUTRIDER_CRASH_KILLS sets how many times the tracker dies; the default
is once at each named place, and as often at a random moment.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import threading
from pathlib import Path

import httpx
import pytest

from outrider_tracker import failpoints
from outrider_tracker.decode.decoder import Decoder
from outrider_tracker.store.store import Store
from tests.integration.tracker.process import KilledAtStartError, Sidecar, TrackerProcess
from tests.unit.tracker import wire

KILLS = int(os.environ.get("OUTRIDER_CRASH_KILLS", 2 * len(failpoints.STREAM_NAMES)))
SOURCES = ("pod-a", "pod-b")
LOG, EVENTS, METRICS = "train/0/stdout", "train/0/events", "train/0/samples"
KINDS = {LOG: "stdout", EVENTS: "events", METRICS: "metrics"}


def line(source: str, name: str, number: int) -> bytes:
    """Line `number` of a stream: a fixed function, so that the ledger needs offsets only."""
    if name == EVENTS:
        event = {"ts": float(number), "type": "warning", "code": "Numbered", "message": f"{source} {number}"}
        return json.dumps(event).encode() + b"\n"
    if name == METRICS:
        return json.dumps({"ts": float(number), "scope": "rank", "rank": 0, "m": {"cpu": number}}).encode() + b"\n"
    digest = hashlib.sha256(f"{source}{number}".encode()).hexdigest()
    return f"step {number} loss {digest[:12]} {digest}\n".encode()


class Ledger:
    """What one source's streams hold, by our own account."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.acknowledged = dict.fromkeys(KINDS, 0)
        self.content = dict.fromkeys(KINDS, b"")
        self.extend()

    def extend(self) -> None:
        """More lines to send."""
        for name in KINDS:
            known = self.content[name].count(b"\n")
            self.content[name] += b"".join(line(self.source, name, number) for number in range(known, known + 6000))

    def body(self, ends: dict[str, int], rng: random.Random) -> tuple[bytes, dict[str, int]]:
        """The next request from these ends, and the ends it leads to. Frames end anywhere in a line."""
        frames: list[bytes] = []
        after: dict[str, int] = {}
        for name, kind in KINDS.items():
            start = max(0, ends[name] - rng.choice((0, 0, 0, 50)))
            size = rng.randrange(1, 24_000 if name == LOG else 700)
            raw = self.content[name][start : start + size]
            frames += [wire.stream(name, kind, container="train", start=0, path=name), wire.data(name, 0, start, raw)]
            after[name] = max(ends[name], start + len(raw))
        return wire.body(*frames), after


class Load(threading.Thread):
    """Appends for one source until the tracker dies; notes what was acknowledged."""

    def __init__(self, base: str, key_headers: httpx.Headers, ledger: Ledger, seed: int, round_number: int) -> None:
        super().__init__(daemon=True)
        self.base, self.headers, self.ledger = base, key_headers, ledger
        self.random = random.Random(seed)
        self.round_number = round_number
        self.first = threading.Event()
        self.failure: str | None = None
        self.broke = False
        self.files: dict[str, str] = {}

    def run(self) -> None:
        """Until a connection breaks."""
        try:
            with httpx.Client(base_url=self.base, headers=self.headers, timeout=20.0, trust_env=False) as client:
                self._work(client)
        except httpx.HTTPError:
            self.broke = True  # the tracker is gone: that is the point
            self.first.set()

    def _work(self, client: httpx.Client) -> None:
        sidecar = Sidecar(client, self.ledger.source, instance=f"round {self.round_number}")
        answer = sidecar.declare()
        known = {item["name"]: item["end"] for item in answer.json()["streams"]}
        ends = {name: known.get(name, 0) for name in KINDS}
        for name, end in ends.items():
            if end < self.ledger.acknowledged[name]:
                self.failure = (
                    f"{name} of {self.ledger.source} ends at {end}, {self.ledger.acknowledged[name]} acknowledged"
                )
        turn = 0
        while True:  # until the tracker dies, however late it comes to the place where it shall
            if min(len(self.ledger.content[name]) - ends[name] for name in KINDS) <= 24_000:
                self.ledger.extend()
            body, after = self.ledger.body(ends, self.random)
            answer = sidecar.append(body)
            if answer.status_code != 200:
                self.failure = f"append answered {answer.status_code}: {answer.text[:300]}"
                break
            ends = after
            self.ledger.acknowledged = dict(ends)
            self.first.set()
            if turn % 5 == 0:
                self._file(sidecar, turn)
            turn += 1
        self.first.set()

    def _file(self, sidecar: Sidecar, turn: int) -> None:
        content = f"{self.ledger.source} {self.round_number} {turn}".encode() * 50
        sha256 = hashlib.sha256(content).hexdigest()
        asked = {
            "path": f"out/{self.round_number}/{turn}.bin",
            "size": len(content),
            "mtime": 1.0,
            "policy": "live",
            "sha256": sha256,
        }
        given = sidecar.client.post(f"/ingest/v1/sources/{sidecar.source}/files", json=asked).json()
        if given["state"] == "stored":
            return
        sidecar.client.put(given["url"], content=content).raise_for_status()
        upload = given["url"].partition("?")[0]
        done = sidecar.client.post(upload + "/commit")
        if done.status_code == 200:
            self.files[done.json()["file"]] = sha256


_STREAMS = "SELECT name, stream.id FROM stream JOIN source ON source.id = source WHERE uid = ?"


def check(data: Path, ledgers: list[Ledger], files: dict[str, str]) -> None:
    """Opens the dead tracker's folder and compares it with the ledger: nothing missing, wrong or twice."""
    store = Store(data)
    try:
        Decoder(store, lambda _: None).drain()
        with store.readers.snapshot() as connection:
            for ledger in ledgers:
                _check_source(store, ledger)
            assert connection.execute("PRAGMA quick_check").fetchone() == ("ok",)
        for file, sha256 in files.items():
            stored = store.reader.get_file(file)
            assert stored is not None, f"file {file} was acknowledged and is gone"
            assert hashlib.sha256(stored.location.read_bytes()).hexdigest() == sha256
    finally:
        store.close()


def _check_source(store: Store, ledger: Ledger) -> None:
    with store.readers.snapshot() as connection:
        streams = dict(connection.execute(_STREAMS, (ledger.source,)))
        for name, stream in streams.items():
            held = b""
            while True:
                part = store.reader.read_bytes(stream, 0, len(held), 1 << 20)
                assert part.lost is None
                if not part.data:
                    break
                held += part.data
            assert len(held) >= ledger.acknowledged[name]
            assert held == ledger.content[name][: len(held)]
            whole = held.count(b"\n")
            if name == METRICS:
                _check_points(store, ledger.source, whole)
            if name == EVENTS:
                told = connection.execute(
                    "SELECT json_extract(event_json, '$.message') FROM feed JOIN source ON source.id = source "
                    "WHERE uid = ? AND type = 'warning' ORDER BY seq",
                    (ledger.source,),
                ).fetchall()
                assert [row[0] for row in told] == [f"{ledger.source} {number}" for number in range(whole)]


def _check_points(store: Store, source: str, whole: int) -> None:
    row = store.readers.read(
        lambda connection: connection.execute(
            "SELECT series.id FROM series JOIN source ON source.id = source WHERE uid = ?", (source,)
        ).fetchone()
    )
    if row is not None:
        _, _, values = store.points.read_points(row[0])
        assert list(values) == [float(number) for number in range(whole)]


@pytest.mark.timeout(3600)
def test_nothing_acknowledged_is_lost_by_kills(tmp_path: Path) -> None:
    """Kills at random moments and at every named place, under the load of two pods, compaction running all along."""
    seed = int(os.environ.get("OUTRIDER_CRASH_SEED", "7"))
    rng = random.Random(seed)
    data = tmp_path / "data"
    ledgers = [Ledger(source) for source in SOURCES]
    files: dict[str, str] = {}
    points_reached: set[str] = set()
    for number in range(KILLS):
        name = failpoints.STREAM_NAMES[number // 2 % len(failpoints.STREAM_NAMES)] if number % 2 else ""
        nth = rng.randrange(1, 4) if name.startswith(("seal", "file")) else rng.randrange(1, 30)
        environment = {failpoints.VARIABLE: f"{name}:{nth}"} if name else {}
        seeds = [rng.randrange(1 << 30) for _ in ledgers]
        arguments = ("--seal-interval", "0.02", "--seal-bytes", "1")
        try:
            process = TrackerProcess(data, *arguments, environment=environment)
        except KilledAtStartError:
            assert name, "nobody was to kill it"
            points_reached.add(name)
            check(data, ledgers, files)
            continue
        with process as tracker:
            loads = [
                Load(tracker.base, tracker.client.headers, ledger, load_seed, number)
                for ledger, load_seed in zip(ledgers, seeds, strict=True)
            ]
            for load in loads:
                load.start()
            if name:
                for load in loads:
                    load.join(60)
                if any(load.broke for load in loads):
                    points_reached.add(name)
            else:
                for load in loads:
                    load.first.wait(60)
                # The moment of death is what is random here; nothing is waited for.
                threading.Event().wait(rng.random() * 0.25)
            tracker.kill()
            for load in loads:
                load.join(60)
                assert load.failure is None, f"kill {number} at {name or 'random'} (seed {seed}): {load.failure}"
                files |= load.files
        check(data, ledgers, files)
    assert sum(sum(ledger.acknowledged.values()) for ledger in ledgers) > KILLS * 1000
    if 2 * len(failpoints.STREAM_NAMES) <= KILLS:
        assert points_reached == set(failpoints.STREAM_NAMES), "a named place was never passed: it tests nothing"
