"""Starts and stops the cluster's daemons and finds them again later, by process id and start time together."""

import json
import os
import select
import signal
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from tools.cluster import cgroups
from tools.cluster.layout import Layout
from tools.cluster.system import put

# It enters its cgroup before anything else, so that no child escapes; its process id stays through exec.
_LAUNCH = 'if [ -n "$1" ]; then echo 0 > "$1"; fi; cd /; shift; exec "$@"'


@dataclass(frozen=True, slots=True)
class Daemon:
    """A program to keep running. What its `configs` hold is part of what it is: a change restarts it."""

    name: str
    argv: tuple[str, ...]
    configs: tuple[Path, ...] = ()
    netns: str = ""

    @property
    def identity(self) -> str:
        """A hash of everything that the running process was made from."""
        parts = [*self.argv, self.netns, *(path.read_text() for path in self.configs)]
        return sha256("\0".join(parts).encode()).hexdigest()


def start_time(pid: int) -> str | None:
    """When a process began, in the kernel's ticks; None where it is gone or only waits to be reaped."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else fields[19]


@dataclass(slots=True)
class Supervisor:
    """The daemons of one cluster. `tagged`: each gets a cgroup of its own, to find its children by (needs root)."""

    layout: Layout
    tagged: bool
    _children: dict[str, int] = field(default_factory=dict)
    _reaping: threading.Lock = field(default_factory=threading.Lock)

    def pid(self, name: str) -> int | None:
        """The process id of a running daemon."""
        known = self._record(name)
        # a daemon that ended before its record was written has no start time, and neither has a process that is gone
        there = known and known["start"] and start_time(known["pid"]) == known["start"]
        return known["pid"] if known and there else None

    def names(self) -> list[str]:
        """Every daemon that was started and not stopped."""
        return sorted(file.stem for file in self.layout.run.glob("*.json"))

    def start(self, daemon: Daemon) -> bool:
        """Start a daemon unless it runs already; one that runs from other arguments or settings is replaced.

        Gives back whether it was started.
        """
        identity = daemon.identity
        if self.pid(daemon.name):
            if (self._record(daemon.name) or {}).get("identity") == identity:
                return False
            self.stop([daemon.name])
        procs = ""
        if self.tagged:
            procs = str(cgroups.tag(self.layout.daemon_cgroup(daemon.name)) / "cgroup.procs")
        argv = daemon.argv
        if daemon.netns:  # not `ip netns exec`: that mounts /sys anew and so hides the cgroups
            argv = ("nsenter", f"--net=/run/netns/{daemon.netns}", "--", *argv)
        log = str(self.log(daemon.name))
        pid = os.posix_spawn(
            "/bin/sh",
            ["sh", "-c", _LAUNCH, "launch", procs, *argv],
            # not this process' environment: a proxy set in it would stand between API server, webhooks and nodes
            {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.layout.root)},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
        )
        self._children[daemon.name] = pid
        put(self._file(daemon.name), json.dumps({"pid": pid, "start": start_time(pid), "identity": identity}))
        return True

    def ended(self) -> str | None:
        """What is to be said of a daemon that this supervisor started and that has ended; None while all run."""
        with self._reaping:
            for name, pid in list(self._children.items()):
                done, status = os.waitpid(pid, os.WNOHANG)
                if done:
                    del self._children[name]
                    code = os.waitstatus_to_exitcode(status)
                    return f"{name} ended with exit code {code}; its last words ({self.log(name)}):\n{self.tail(name)}"
        return None

    def stop(self, names: Iterable[str], grace: float = 5) -> None:
        """End daemons: SIGTERM to all, and SIGKILL to what is left after `grace` seconds (at once where that is 0)."""
        names = list(names)
        handles: dict[str, int] = {}
        try:
            for name in names:
                if pid := self.pid(name):
                    with suppress(ProcessLookupError):  # it has just ended
                        handles[name] = os.pidfd_open(pid)
            first = signal.SIGTERM if grace else signal.SIGKILL
            for name, handle in handles.items():
                if self.pid(name):  # still the same one, and the handle holds it
                    _send(handle, first)
            left = _wait(set(handles.values()), grace)
            for handle in left:
                _send(handle, signal.SIGKILL)
            _wait(left, 10)
        finally:
            for handle in handles.values():
                os.close(handle)
        for name in names:
            if child := self._children.pop(name, None):
                os.waitpid(child, 0)
            self._file(name).unlink(missing_ok=True)

    def log(self, name: str) -> Path:
        """A daemon's log."""
        return self.layout.logs / f"{name}.log"

    def tail(self, name: str, lines: int = 20) -> str:
        """The end of a daemon's log."""
        try:
            return "\n".join(self.log(name).read_text(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return "(it wrote nothing)"

    def _file(self, name: str) -> Path:
        return self.layout.run / f"{name}.json"

    def _record(self, name: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads(self._file(name).read_text())
        except FileNotFoundError:
            return None
        return found


def _send(handle: int, what: signal.Signals) -> None:
    """Signal the process behind a handle, if it is still there."""
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(handle, what)


def _wait(handles: set[int], seconds: float) -> set[int]:
    """Wait until the processes behind some handles have ended; gives back those that have not."""
    left, end = set(handles), time.monotonic() + seconds
    while left and (rest := end - time.monotonic()) > 0:
        left -= set(select.select(left, [], [], rest)[0])
    return left
