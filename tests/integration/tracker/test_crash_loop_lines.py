"""kill -9 under the load of W&B clients: what was acknowledged is there, as it was sent, and was decoded once.

An outside ledger notes each acknowledged line and file. OUTRIDER_CRASH_KILLS sets how many times the tracker dies;
the default is once at each named place, and as often at a random moment.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from outrider_tracker import failpoints
from outrider_tracker.decode.line_decoder import LineDecoder
from outrider_tracker.store.decoded import decoding_of
from outrider_tracker.store.line_blocks import LineFile
from outrider_tracker.store.lines import read_lines
from outrider_tracker.store.store import Store
from tests.integration.tracker.process import KilledAtStartError, TrackerProcess
from tests.integration.tracker.wandb.client import Wire

KILLS = int(os.environ.get("OUTRIDER_CRASH_KILLS", 2 * len(failpoints.LINE_NAMES)))
FILES = {
    LineFile.HISTORY: "wandb-history.jsonl",
    LineFile.EVENTS: "wandb-events.jsonl",
    LineFile.CONSOLE: "output.log",
}
# Run and client id; two processes share a run.
WRITERS = (("alone", ""), ("shared", "first"), ("shared", "second"))


def line(writer: tuple[str, str], file: LineFile, number: int, version: int) -> str:
    """A line: a fixed function, so that the ledger needs numbers only. `version`: how often it was written anew."""
    if file is LineFile.CONSOLE:
        return f"2026-01-01T00:00:00.{number:06} {'/'.join(writer)} {number} {'#' * version}"
    if file is LineFile.EVENTS:
        return json.dumps({"_wandb": True, "_timestamp": 1.0 * number, "system.cpu": number})
    row: dict[str, object] = {"x": number + version / 1000, "_timestamp": 1.0 * number}
    if not writer[1]:
        row["_step"] = number
    if number % 50 == 0:
        row["image"] = {"_type": "image-file", "path": f"media/{number}-{version}.png"}
    return json.dumps(row)


class Ledger:
    """What one writer's files hold, by our own account: how many lines, and which versions each may have."""

    def __init__(self, writer: tuple[str, str]) -> None:
        self.writer = writer
        self.acknowledged = dict.fromkeys(FILES, 0)
        self.versions: dict[tuple[LineFile, int], set[int]] = {}
        self.newest = 0
        self.files: dict[str, set[str]] = {}
        self.stored: set[str] = set()

    def possible(self, file: LineFile, number: int) -> set[str]:
        """The texts that a line may have."""
        return {line(self.writer, file, number, version) for version in self.versions.get((file, number), {0})}


class Load(threading.Thread):
    """Posts for one writer until the tracker dies; notes what was acknowledged."""

    def __init__(self, tracker: TrackerProcess, ledger: Ledger, seed: int) -> None:
        super().__init__(daemon=True)
        self.tracker, self.ledger = tracker, ledger
        self.random = random.Random(seed)
        self.first = threading.Event()
        self.failure: str | None = None
        self.broke = False

    def run(self) -> None:
        """Until a connection breaks."""
        try:
            with (
                Wire(self.tracker, client=self.ledger.writer[1]) as wire,
                httpx.Client(trust_env=False, timeout=30.0) as bare,
            ):
                wire.upsert(self.ledger.writer[0])
                self.first.set()
                for turn in range(2000):
                    if not self._post(wire):
                        return
                    if turn % 4 == 0:
                        self._upload(wire, bare)
        except httpx.HTTPError:
            self.broke = True  # the tracker is gone: that is the point
        except AssertionError as error:
            self.failure = str(error)
        finally:
            self.first.set()

    def _post(self, wire: Wire) -> bool:
        ledger, body, after = self.ledger, {}, dict(self.ledger.acknowledged)
        renewed: list[tuple[LineFile, int]] = []
        for file, name in FILES.items():
            end = ledger.acknowledged[file]
            start = max(0, end - self.random.choice((0, 0, 0, 7)))
            stop = max(end, start + self.random.randrange(1, 30))
            if file is LineFile.CONSOLE and end and self.random.random() < 0.5:
                start = end - 1  # a progress bar
                renewed.append((file, start))
            body[name] = (file, start, stop)
            after[file] = stop
        if not ledger.writer[1] and ledger.acknowledged[LineFile.HISTORY] > 60 and self.random.random() < 0.02:
            # A client that writes over rows that were decoded: the run starts over.
            at = ledger.acknowledged[LineFile.HISTORY] - 50
            body[FILES[LineFile.HISTORY]] = (LineFile.HISTORY, at, at + 1)
            after[LineFile.HISTORY] = ledger.acknowledged[LineFile.HISTORY]
            renewed.append((LineFile.HISTORY, at))
        for key in renewed:
            ledger.newest += 1
            ledger.versions.setdefault(key, {0}).add(ledger.newest)
        files = {
            name: {"offset": start, "content": [self._text(file, number) for number in range(start, stop)]}
            for name, (file, start, stop) in body.items()
        }
        answer = wire.post(ledger.writer[0], {"files": files})
        if answer.status_code != 200:
            self.failure = f"a post was answered {answer.status_code}: {answer.text[:300]}"
            return False
        ledger.acknowledged = after
        for file, start, stop in body.values():
            for number in range(start, stop):
                if (file, number) in ledger.versions:
                    ledger.versions[file, number] = {max(ledger.versions[file, number])}
        return True

    def _text(self, file: LineFile, number: int) -> str:
        version = max(self.ledger.versions.get((file, number), {0}))
        return line(self.ledger.writer, file, number, version)

    def _upload(self, wire: Wire, bare: httpx.Client) -> None:
        name = f"{'-'.join(self.ledger.writer)}/{self.random.randrange(8)}.bin"
        content = self.random.randbytes(3000)
        (url,) = wire.upload_urls(self.ledger.writer[0], name)
        assert url is not None
        held = self.ledger.files.setdefault(name, set())
        held.add(hashlib.sha256(content).hexdigest())
        answer = bare.put(url, content=content)
        assert answer.status_code == 200, answer.text
        self.ledger.files[name] = {hashlib.sha256(content).hexdigest()}
        self.ledger.stored.add(name)


def check(data: Path, ledgers: Sequence[Ledger]) -> None:
    """Opens the dead tracker's folder and compares it with the ledgers: nothing missing, wrong or twice."""
    store = Store(data)
    try:
        decoder = LineDecoder(store, lambda _: None)
        decoder.drain()
        assert decoder.backlog() == 0
        runs = dict(
            store.readers.read(lambda connection: connection.execute("SELECT name, id FROM sdk_run").fetchall())
        )
        rows: dict[str, list[dict[str, object]]] = {}
        for ledger in ledgers:
            rows.setdefault(ledger.writer[0], []).extend(_check_lines(store, runs[ledger.writer[0]], ledger))
            _check_files(store, runs[ledger.writer[0]], ledger)
        for name, held in rows.items():
            _check_decoded(store, runs[name], held)
            steps = [row["_step"] for row in held]
            assert len(set(steps)) == len(steps), "a step was given twice"
        assert store.readers.read(lambda connection: connection.execute("PRAGMA quick_check").fetchone()) == ("ok",)
    finally:
        store.close()


def _check_lines(store: Store, run: int, ledger: Ledger) -> list[dict[str, object]]:
    """The rows of history of one writer."""
    rows: list[dict[str, object]] = []
    client = ledger.writer[1]
    for file, acknowledged in ledger.acknowledged.items():
        with store.readers.snapshot() as connection:
            held = read_lines(connection, run, file, 0, 1 << 40, client)
        assert [number for number, _ in held] == list(range(len(held)))
        assert len(held) >= acknowledged, f"{file} of {ledger.writer}: {len(held)} lines, {acknowledged} acknowledged"
        for number, text in held:
            found = text
            if file is LineFile.HISTORY:
                row = json.loads(text)
                rows.append(dict(row))
                if client:
                    del row["_step"]
                found = json.dumps(row)
            assert found in ledger.possible(file, number)
    return rows


def _check_files(store: Store, run: int, ledger: Ledger) -> None:
    for name, possible in ledger.files.items():
        with store.readers.snapshot() as connection:
            row = connection.execute(
                "SELECT sha256, size FROM run_file WHERE run = ? AND name = ?", (run, name)
            ).fetchone()
        if row is None:
            assert name not in ledger.stored, f"file {name} was acknowledged and is gone"
            continue
        assert row[0] in possible
        assert hashlib.sha256(store.blobs.read(row[0], 0, row[1])).hexdigest() == row[0]


def _check_decoded(store: Store, run: int, rows: Sequence[dict[str, object]]) -> None:
    """Each row once: its number, its count, its image."""
    with store.readers.snapshot() as connection:
        decoding = decoding_of(connection, run)
        series = connection.execute("SELECT id FROM series WHERE source = ? AND key = 'x'", (-decoding,)).fetchone()
        counted = connection.execute(
            "SELECT sum(count) FROM history_key WHERE decoding = ? AND key = 'x'", (decoding,)
        ).fetchone()
        media = connection.execute("SELECT data_json FROM media WHERE decoding = ?", (decoding,)).fetchall()
    values = [] if series is None else store.points.read_points(series[0])[2]
    assert Counter(values) == Counter(row["x"] for row in rows)
    assert (counted[0] or 0) == len(rows)
    shown = Counter(json.loads(text)["path"] for (text,) in media)
    assert shown == Counter(row["image"]["path"] for row in rows if "image" in row)  # type: ignore[index]


@pytest.mark.timeout(3600)
def test_nothing_acknowledged_is_lost_by_kills(tmp_path: Path) -> None:
    """Kills at random moments and at every named place, compaction and sealing running all along."""
    seed = int(os.environ.get("OUTRIDER_CRASH_SEED", "11"))
    rng = random.Random(seed)
    data = tmp_path / "data"
    ledgers = [Ledger(writer) for writer in WRITERS]
    reached: set[str] = set()
    for number in range(KILLS):
        name = failpoints.LINE_NAMES[number // 2 % len(failpoints.LINE_NAMES)] if number % 2 else ""
        nth = rng.randrange(1, 5) if name.startswith(("compact", "file")) else rng.randrange(1, 40)
        environment = {failpoints.VARIABLE: f"{name}:{nth}"} if name else {}
        seeds = [rng.randrange(1 << 30) for _ in ledgers]
        try:
            process = TrackerProcess(data, "--seal-interval", "0.02", environment=environment)
        except KilledAtStartError:
            assert name, "nobody was to kill it"
            reached.add(name)
            check(data, ledgers)
            continue
        with process as tracker:
            loads = [Load(tracker, ledger, load_seed) for ledger, load_seed in zip(ledgers, seeds, strict=True)]
            for load in loads:
                load.start()
            if name:
                for load in loads:
                    load.join(60)
                if any(load.broke for load in loads):
                    reached.add(name)
            else:
                for load in loads:
                    load.first.wait(60)
                # The moment of death is what is random here; nothing is waited for.
                threading.Event().wait(rng.random() * 0.4)
            tracker.kill()
            for load in loads:
                load.join(60)
                assert load.failure is None, f"kill {number} at {name or 'random'} (seed {seed}): {load.failure}"
        check(data, ledgers)
    assert sum(sum(ledger.acknowledged.values()) for ledger in ledgers) > KILLS * 100
    if 2 * len(failpoints.LINE_NAMES) <= KILLS:
        assert reached == set(failpoints.LINE_NAMES), "a named place was never passed: it tests nothing"
