"""A real tracker process, and a sidecar's and a controller's hands on it."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from outrider_sidecar import contract
from outrider_tracker.__main__ import main

KEY = "0123456789abcdef0123456789abcdef01234567"
DEADLINE = 60.0


def until(what: Callable[[], bool], message: str, seconds: float = DEADLINE) -> None:
    """Waits for the thing itself, with a deadline."""
    end = time.monotonic() + seconds
    pause = threading.Event()
    while not what():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {message}")
        pause.wait(0.02)


# Children are forked from a process that has everything imported: a start then costs little, and is real all the same.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["outrider_tracker.__main__", "outrider_tracker.api"])


def _serve(arguments: list[str], environment: dict[str, str], out: Path, log: Path) -> None:
    """The child: its output goes to files, then it is `outrider-tracker serve`."""
    for path, number in ((out, 1), (log, 2)):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(descriptor, number)
    sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), line_buffering=True)
    sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), line_buffering=True)
    os.environ.update(environment)
    os._exit(main(["serve", *arguments]))


class KilledAtStartError(AssertionError):
    """It was killed before it listened: a failpoint may lie in what it does by itself as soon as it starts."""


class TrackerProcess:
    """`outrider-tracker serve` on a free port; `kill` is kill -9."""

    def __init__(self, data: Path, *arguments: str, environment: dict[str, str] | None = None) -> None:
        key_file = data.parent / "admin-key"
        key_file.write_text(KEY)
        self.log, out = data.parent / "tracker.log", data.parent / "tracker.out"
        out.unlink(missing_ok=True)
        whole = ["--data", str(data), "--listen", "127.0.0.1:0", "--admin-key-file", str(key_file), *arguments]
        self.process = FORKS.Process(target=_serve, args=(whole, environment or {}, out, self.log), daemon=True)
        self.process.start()
        until(
            lambda: (out.exists() and out.read_text().endswith("\n")) or not self.process.is_alive(),
            "it listens or ends",
        )
        lines = out.read_text().splitlines() if out.exists() else []
        if not lines:
            self.process.join(DEADLINE)
            code = self.process.exitcode
            self.process.close()
            error = KilledAtStartError if code == -signal.SIGKILL else AssertionError
            raise error(f"the tracker did not start:\n{self.log.read_text()[-4000:]}")
        self.listening: dict[str, str] = json.loads(lines[-1])
        self.base = self.listening["http"]
        self.client = httpx.Client(
            base_url=self.base, headers={"Authorization": f"Bearer {KEY}"}, timeout=30.0, trust_env=False
        )

    def kill(self) -> None:
        """Ends it as a crash would."""
        self.process.kill()
        self._gone()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.terminate()
        return self._gone()

    def _gone(self) -> int:
        self.process.join(DEADLINE)
        self.client.close()
        code = self.process.exitcode
        assert code is not None, "the tracker does not end"
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self.process.close()


class Sidecar:
    """Declares a source and appends to it, as docs/protocol.md section 5 says."""

    def __init__(self, client: httpx.Client, source: str, namespace: str = "ml", instance: str = "one") -> None:
        self.client = client
        self.source = source
        self.namespace = namespace
        self.instance = instance
        self.epoch = 0
        self.incarnation = ""

    def declare(self, **headers: str) -> httpx.Response:
        """PUT; takes epoch and incarnation from the answer."""
        answer = self.client.put(
            f"/ingest/v1/sources/{self.source}",
            json={
                "protocol": 1,
                "agent": "outrider-sidecar/test",
                "instance": self.instance,
                "pod": {"namespace": self.namespace, "name": f"pod-{self.source}", "node": "node-1"},
                "owner": {"kind": "Job", "name": "job", "uid": "u", "labels": {}},
            },
            headers=headers,
        )
        if answer.status_code == 200:
            self.epoch = answer.json()["epoch"]
            self.incarnation = answer.json()["incarnation"]
        return answer

    def headers(self, unsent: int = 0) -> dict[str, str]:
        """Those of an append."""
        return {
            "Content-Type": contract.FRAMES_TYPE,
            "Outrider-Epoch": str(self.epoch),
            "Outrider-Incarnation": self.incarnation,
            "Outrider-Wall": str(time.time_ns()),
            "Outrider-Mono": str(time.monotonic_ns()),
            "Outrider-Unsent": str(unsent),
        }

    def append(self, body: bytes, *, unsent: int = 0, headers: dict[str, str] | None = None) -> httpx.Response:
        """POST of a body."""
        return self.client.post(
            f"/ingest/v1/sources/{self.source}/append",
            content=body,
            headers={**self.headers(unsent), **(headers or {})},
        )


def run_record(**changes: Any) -> dict[str, Any]:
    """A Run as the controller writes it."""
    return {
        "namespace": "ml",
        "name": "run",
        "project": "demo",
        "displayName": "Run",
        "group": "",
        "jobType": "train",
        "tags": [],
        "notes": "",
        "config": {},
        "state": "Running",
        "reason": "",
        "createdAt": "2026-01-01T00:00:00Z",
        "startedAt": "2026-01-01T00:00:01Z",
        "endedAt": None,
        "attempt": 1,
        "attempts": [],
        "ranks": {"expected": 2, "running": 2, "succeeded": 0, "failed": 0, "lost": 0},
        "failure": None,
        "conditions": [],
        "workload": {"apiVersion": "batch/v1", "kind": "Job", "name": "job", "uid": "u"},
        **changes,
    }


def join_record(run: str, **changes: Any) -> dict[str, Any]:
    """A join as the controller writes it."""
    return {
        "run": run,
        "attempt": 1,
        "nodeRank": 0,
        "incarnation": 0,
        "pod": "pod-0",
        "node": "node-1",
        "namespace": "ml",
        "phase": "Running",
        "deleted": False,
        "unsentBytes": None,
        **changes,
    }
