"""Drives the rider: starts it, reads what it wrote, waits for things with a deadline."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

DEADLINE = 20.0  # seconds; generous, the machine may be busy

Event = dict[str, Any]
T = TypeVar("T")

# What the machine's owner set must not decide what the rider does.
_OURS = ("PET_", "TORCHELASTIC_", "OUTRIDER_", "RANK", "LOCAL_RANK", "WORLD_SIZE")


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a test process: this one's without anything the rider reacts to, and `extra`."""
    return {k: v for k, v in os.environ.items() if not k.startswith(_OURS)} | dict(extra or {})


def until(ask: Callable[[], T], what: str) -> T:
    """The first true answer. Raises AssertionError after the deadline."""
    end = time.monotonic() + DEADLINE
    while not (answer := ask()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {DEADLINE:.0f} s: {what}")
        select.select([], [], [], 0.01)
    return answer


def settled(ask: Callable[[], int], seconds: float = 0.5) -> int:
    """The first non-zero answer that stays the same for so long. Raises AssertionError after the deadline."""
    last, since, end = 0, time.monotonic(), time.monotonic() + DEADLINE
    while last == 0 or time.monotonic() < since + seconds:
        if (now := ask()) != last:
            last, since = now, time.monotonic()
        assert time.monotonic() < end, f"still changing: {last}"
        select.select([], [], [], 0.01)
    return last


def python(code: str) -> list[str]:
    """A command that runs `code`, without site packages: it starts fast and is no wrapper around itself."""
    return [os.path.realpath(sys.executable), "-I", "-S", "-u", "-c", code]


@dataclass(frozen=True)
class Done:
    """How a wrapped command ended, and what reached the rider's own stdout and stderr."""

    code: int
    out: bytes
    err: bytes


@dataclass(frozen=True)
class Volume:
    """A shared volume of a pod."""

    root: Path
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def close(self) -> None:
        """End what `popen` began and the test did not wait for."""
        for process in self._running:
            if process.poll() is None:
                process.kill()
                process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    stream.close()

    @property
    def rider(self) -> str:
        return str(self.root / "bin" / "rider")

    def start(self, number: int = 0, container: str = "train") -> Path:
        """The folder of a container's start."""
        return self.root / "containers" / container / str(number)

    def wrap(self, command: Sequence[str], container: str = "train") -> list[str]:
        return [self.rider, "wrap", str(self.root / "containers" / container), "--", *command]

    def run(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        cwd: Path | None = None,
    ) -> Done:
        """Wrap a command and wait for its end."""
        done = subprocess.run(
            [*prefix, *self.wrap(command)],
            env=environment(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def popen(
        self, command: Sequence[str], *, env: Mapping[str, str] | None = None, **options: Any
    ) -> subprocess.Popen[bytes]:
        """Wrap a command and go on."""
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        return self.spawn(self.wrap(command), env=environment(env), **streams)

    def spawn(self, command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        """Start any process; it is ended with the test."""
        process: subprocess.Popen[bytes] = subprocess.Popen(command, **options)
        self._running.append(process)
        return process

    def events(self, kind: str | None = None, number: int = 0) -> list[Event]:
        """The events of a start so far, in the order of the file; only whole lines."""
        path = self.start(number) / "events.jsonl"
        if not path.exists():
            return []
        lines = path.read_bytes().split(b"\n")[:-1]
        events: list[Event] = [json.loads(line) for line in lines]
        return [event for event in events if kind is None or event["type"] == kind]

    def event(self, kind: str, number: int = 0) -> Event:
        """The only event of its kind."""
        (event,) = self.events(kind, number)
        return event

    def samples(self, scope: str) -> list[Event]:
        """The samples of the first start so far."""
        path = self.start() / "samples.jsonl"
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        samples: list[Event] = [json.loads(line) for line in lines]
        return [sample for sample in samples if sample["scope"] == scope]

    def free(self, content: bytes, number: int = 0, container: str = "train") -> None:
        """What the collector does to say which bytes it has."""
        path = self.root / "sidecar" / "freed" / f"{container}.{number}"
        fresh = path.with_name(path.name + ".new")
        fresh.write_bytes(content)
        fresh.rename(path)
