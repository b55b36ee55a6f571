"""`mlflow server` in its best setting, as a peer: one worker, no job runner, a pool of 64 connections, SQLite."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools.cluster.layout import cache  # noqa: E402  a script has no package to be found by
from tools.sdk_venvs import environment  # noqa: E402

LOCK = ROOT / "locks/bench-mlflow.txt"
START_SECONDS = 120.0


def python() -> Path:
    """Of its own environment, in the cache folder, made from its lock."""
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    return environment(cache() / "mlflow" / digest[:16], LOCK)


class Mlflow:
    """A running server; `port` is on the loopback. Its data goes with the folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        command = [str(python()), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
        command += ["--artifacts-destination", str(folder / "artifacts")]
        settings = {
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": "64",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "true",
        }
        self._log = (folder / "log").open("wb")
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **settings},
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        end = time.monotonic() + START_SECONDS
        while not self._answers():
            if time.monotonic() > end or self.process.poll() is not None:
                raise RuntimeError(f"mlflow does not start:\n{(folder / 'log').read_text()[-2000:]}")
            time.sleep(0.2)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def call(self, operation: str, body: dict[str, Any]) -> Any:
        """One request of its REST API; the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            path = f"/api/2.0/mlflow/{operation}"
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                raise RuntimeError(f"mlflow {operation}: {answer.status} {text[:300]!r}")
            return json.loads(text or b"{}")
        finally:
            connection.close()

    def new_runs(self, count: int) -> list[str]:
        """Fresh runs; their ids."""
        return [
            self.call("runs/create", {"experiment_id": "0", "start_time": 0})["run"]["info"]["run_id"]
            for _ in range(count)
        ]

    def cpu(self) -> float:
        """CPU seconds of all its processes so far."""
        return sum(cpu_of(pid) for pid in _group(self.process.pid))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pid in _group(self.process.pid):
            try:
                os.kill(pid, 15)
            except ProcessLookupError:
                continue
        self.process.wait(30)
        self._log.close()


def cpu_of(pid: int) -> float:
    """CPU seconds of one process so far; 0 if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _group(leader: int) -> list[int]:
    """Processes of the session that the leader opened."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == leader:
                found.append(int(entry.name))
    return found
