"""Collector and tracker, both real: killed in turn while ranks write, then every file compared byte for byte."""

from __future__ import annotations

import random
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.sidecar.conftest import Pod
from tests.integration.sidecar.test_faults import Writer, files_of
from tests.integration.tracker.process import KEY, TrackerProcess, until


class Kept:
    """What the tracker has of one source, by its own doors; ids of streams from its database."""

    def __init__(self, data: Path) -> None:
        self._database = f"file:{data / 'tracker.db'}?mode=ro"

    def streams(self) -> dict[str, tuple[int, int, int]]:
        """{name: (id, newest generation, end)}."""
        connection = sqlite3.connect(self._database, uri=True)
        try:
            rows = connection.execute("SELECT name, id, generation, end FROM stream").fetchall()
            return {name: (number, generation, end) for name, number, generation, end in rows}
        finally:
            connection.close()

    def read(self, tracker: TrackerProcess, name: str) -> bytes:
        if name not in self.streams():
            return b""
        number, generation, end = self.streams()[name]
        assert generation == 0, f"{name} has more than one generation"
        answer = tracker.client.get(f"/api/v1/streams/{number}/bytes", params={"generation": 0, "offset": 0})
        assert answer.status_code == 200
        assert "Outrider-Lost" not in answer.headers
        assert len(answer.content) == end
        return answer.content


def start(data: Path, port: str = "0") -> TrackerProcess:
    return TrackerProcess(data, "--listen", f"127.0.0.1:{port}", "--seal-interval", "0.1", "--seal-bytes", "1000")


@pytest.fixture
def port() -> Iterator[str]:
    """Bound and never listening: nobody else gets it while a tracker is between its death and its next start."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        yield str(held.getsockname()[1])


@pytest.mark.parametrize("seed", [11, 12])
def test_killed_in_turn(make_pod: Callable[..., Pod], tmp_path: Path, port: str, seed: int) -> None:
    """SIGKILL of the collector and of the tracker at random moments: nothing lost, nothing twice."""
    chance = random.Random(seed)
    data = tmp_path / "data"
    tracker = start(data, port)
    pod = make_pod(tracker.base)
    pod.token.write_text(KEY)
    kept = Kept(data)
    writer = Writer(files_of(pod), seed, rest=0.02)
    try:
        for _ in range(5):
            pod.start(OUTRIDER_NAMESPACE="ml")
            before = sum(end for _, _, end in kept.streams().values())
            until(lambda before=before: sum(e for _, _, e in kept.streams().values()) > before, "data arrives")  # type: ignore[misc]
            time.sleep(chance.uniform(0, 0.5))  # the moment of death is the point: any will do
            first, second = chance.choice(("collector", "tracker")), chance.random() < 0.5
            if first == "collector":
                pod.kill()
            if first == "tracker" or second:
                tracker.kill()
                tracker = start(data, port)
            if first == "tracker":
                time.sleep(chance.uniform(0, 0.5))
                pod.kill()
    finally:
        writer.stop()
    try:
        pod.start(OUTRIDER_LINGER="30")
        words = pod.end(timeout=40)
        assert (words["unsentBytes"], words["lostBytes"]) == (0, 0)
        for name, written in writer.written.items():
            assert kept.read(tracker, name) == written, name
    finally:
        tracker.kill()


def test_rules_bring_files_to_the_real_tracker(make_pod: Callable[..., Pod], tmp_path: Path) -> None:
    """Asked, put and committed; the stored content is the file's."""
    work = tmp_path / "work"
    (work / "checkpoints").mkdir(parents=True)
    content = random.Random(1).randbytes(3 << 20)
    (work / "checkpoints" / "a.pt").write_bytes(content)
    (work / "empty").touch()
    with start(tmp_path / "data") as tracker:
        pod = make_pod(tracker.base)
        pod.token.write_text(KEY)
        pod.start(
            OUTRIDER_NAMESPACE="ml",
            OUTRIDER_CONTAINERS=f'[{{"name": "t", "workingDir": "/w", "mounts": [{{"path": "/w", "at": "{work}"}}]}}]',
            OUTRIDER_FILES='[{"path": "checkpoints/**", "policy": "live"}, {"path": "empty", "policy": "end"}]',
        )
        until((pod.volume / "sidecar" / "files.json").exists, "the checkpoint is stored")
        assert pod.end(timeout=40)["unsentBytes"] == 0
        connection = sqlite3.connect(f"file:{tmp_path / 'data' / 'tracker.db'}?mode=ro", uri=True)
        rows = dict(connection.execute("SELECT path, id FROM file").fetchall())
        connection.close()
        assert set(rows) == {"checkpoints/a.pt", "empty"}
        answer = tracker.client.get(f"/api/v1/files/{rows['checkpoints/a.pt']}/content")
        assert answer.content == content
