"""The real collector as a process beside a tracker double, on a volume of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.sidecar.double import Double


class Pod:
    """A volume, a token and a collector that can be started, killed and started again."""

    def __init__(self, folder: Path, url: str, source: str = "pod-1") -> None:
        self.volume = folder / "volume"
        self.volume.mkdir()
        self.token = folder / "token"
        self.token.write_text("secret\n")
        self.last_words = folder / "termination-log"
        self.log = folder / "collector.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.starts = 0
        self.env = {
            "PATH": os.environ["PATH"],
            "OUTRIDER_DIR": str(self.volume),
            "OUTRIDER_TRACKER_URL": url,
            "OUTRIDER_TOKEN_FILE": str(self.token),
            "OUTRIDER_POD_UID": source,
            "OUTRIDER_TERMINATION_LOG": str(self.last_words),
            "OUTRIDER_METRICS_INTERVAL": "3600",
            "OUTRIDER_LINGER": "20",  # what must arrive at the end does so on a busy machine, too
        }

    def start(self, **env: str) -> None:
        self.env |= env
        with self.log.open("ab") as log:
            command = [sys.executable, "-W", "error", "-m", "outrider_sidecar", "run"]
            self.process = subprocess.Popen(command, env=self.env, stdout=log, stderr=log)
        self.starts += 1
        until(lambda: self.log.read_text().count("outrider: following") == self.starts)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def terminate(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)

    def end(self, timeout: float = 30.0) -> dict[str, Any]:
        """SIGTERM; its last words."""
        self.terminate()
        return self.ended(timeout)

    def ended(self, timeout: float = 30.0) -> dict[str, Any]:
        assert self.process is not None
        status = self.process.wait(timeout)
        assert status == 0, self.log.read_text()
        words: dict[str, Any] = json.loads(self.last_words.read_bytes())
        assert self.last_words.stat().st_size <= 4096
        return words

    def folder(self, container: str = "train", start: int = 0) -> Path:
        """A container start's folder, as the rider makes it."""
        folder = self.volume / "containers" / container / str(start)
        folder.mkdir(parents=True, exist_ok=True)
        return folder


@pytest.fixture
def double() -> Iterator[Double]:
    double = Double()
    yield double
    double.close()


@pytest.fixture
def make_pod(tmp_path: Path) -> Iterator[Callable[..., Pod]]:
    pods: list[Pod] = []

    def make(url: str, source: str = "pod-1") -> Pod:
        folder = tmp_path / f"pod{len(pods)}"
        folder.mkdir()
        pods.append(Pod(folder, url, source))
        return pods[-1]

    yield make
    for pod in pods:
        if pod.process is not None and pod.process.poll() is None:
            pod.kill()


@pytest.fixture
def pod(make_pod: Callable[..., Pod], double: Double) -> Pod:
    return make_pod(double.url)


def until(condition: Callable[[], bool], timeout: float = 30.0) -> None:
    """Wait for the thing itself."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)
