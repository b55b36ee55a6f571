"""A disk that fills up: refused by watermark, refused by the disk itself, and nothing half-applied either way."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from outrider_tracker.store.store import Store
from tests.integration.tracker.process import Sidecar, TrackerProcess, until
from tests.unit.tracker import wire

SIZE = 24 << 20
CHUNK = os.urandom(256 << 10)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    if os.geteuid() != 0:
        pytest.skip("a tmpfs of 24 MiB has to be mounted, which takes root")
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", str(place)], check=False, capture_output=True
    )
    if done.returncode != 0:
        pytest.skip(f"a tmpfs cannot be mounted here: {done.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(sidecar: Sidecar, known: dict[str, int], name: str, kind: str, chunk: bytes = CHUNK) -> int:
    """Appends one chunk; the status. `known` keeps the acknowledged end of each stream."""
    raw = chunk + name.encode()
    frames = wire.body(wire.stream(name, kind), wire.data(name, 0, known.get(name, 0), raw, coding="none"))
    answer = sidecar.append(frames)
    if answer.status_code == 200:
        known[name] = known.get(name, 0) + len(raw)
        assert answer.json()["ends"][name] == [0, known[name]]
    else:
        assert answer.status_code == 507, answer.text
        assert answer.json()["error"]["code"] == "storage_full"
        assert int(answer.headers["Retry-After"]) > 0
    return answer.status_code


def test_logs_are_refused_before_events(disk: Path) -> None:
    """92 %: no logs, events go on; with room again the same request is taken."""
    ballast = disk / "ballast"
    arguments = ("--watermarks", "50,60,90")
    with TrackerProcess(disk / "data", *arguments) as tracker:
        sidecar = Sidecar(tracker.client, "pod-1")
        sidecar.declare()
        known: dict[str, int] = {}
        assert fill(sidecar, known, "log", "stdout") == 200
        ballast.write_bytes(bytes(SIZE * 13 // 20))
        # Little by little: how full the disk is stands in a reading of a second ago, and this must stay below 90 %.
        until(lambda: fill(sidecar, known, "log", "stdout", b"") == 507, "the fill is noticed")
        answer = sidecar.append(wire.body(wire.stream("log", "stdout"), wire.data("log", 0, known["log"], b"x")))
        assert answer.json()["error"]["accepts"] == ["events", "user"]
        mixed = wire.body(
            wire.stream("events", "events"),
            wire.data("events", 0, 0, b"{}\n"),
            wire.stream("other", "stderr"),
            wire.data("other", 0, 0, b"x"),
        )
        assert sidecar.append(mixed).status_code == 507
        assert [item["name"] for item in sidecar.declare().json()["streams"]] == ["log"]
        only = wire.body(wire.stream("events", "events"), wire.data("events", 0, 0, b"{}\n"))
        assert sidecar.append(only).status_code == 200
        asked = {"path": "x", "size": 1, "sha256": "0" * 64, "policy": "end"}
        assert tracker.client.post("/ingest/v1/sources/pod-1/files", json=asked).status_code == 507
        ballast.unlink()
        until(lambda: fill(sidecar, known, "log", "stdout") == 200, "it resumes by itself")
        assert tracker.client.post("/ingest/v1/sources/pod-1/files", json=asked).status_code == 200


def test_a_truly_full_disk_loses_nothing_acknowledged(disk: Path) -> None:
    """No watermark in the way: SQLite itself meets the end of the disk, again and again, with compaction running."""
    arguments = ("--watermarks", "100,100,100", "--seal-interval", "0.1", "--seal-bytes", "1")
    ballast = disk / "ballast"
    known: dict[str, int] = {}
    with TrackerProcess(disk / "data", *arguments) as tracker:
        sidecar = Sidecar(tracker.client, "pod-1")
        sidecar.declare()
        ballast.write_bytes(bytes(SIZE // 3))
        refused = 0
        for turn in range(400):
            refused += fill(sidecar, known, f"log{turn % 3}", "stdout") == 507
            if refused >= 10:
                break
        assert refused >= 10, "the disk never filled"
        assert tracker.client.get("/readyz").status_code == 200
        ballast.unlink()
        until(lambda: fill(sidecar, known, "log0", "stdout") == 200, "it resumes by itself")
        tracker.kill()
    store = Store(disk / "data")
    try:
        streams = dict(
            store.readers.read(lambda connection: connection.execute("SELECT name, id FROM stream").fetchall())
        )
        for name, end in known.items():
            held = b""
            while part := store.reader.read_bytes(streams[name], 0, len(held), 1 << 20).data:
                held += part
            piece = CHUNK + name.encode()
            assert held == piece * (end // len(piece))
    finally:
        store.close()
