"""Small things of the machine: running a command, finding a program, waiting, locking, writing only what changed."""

import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tools.cluster.errors import ClusterError

T = TypeVar("T")
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


def run(*argv: str | Path, check: bool = True, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and keep what it said; with `check`, failing raises ClusterError with its last words."""
    done: subprocess.CompletedProcess[str] = subprocess.run(  # type: ignore[call-overload]
        [str(arg) for arg in argv], capture_output=True, text=True, check=False, **options
    )
    if check and done.returncode:
        words = (done.stderr or done.stdout).strip()[-2000:]
        raise ClusterError(f"`{' '.join(map(str, argv))}` failed with exit code {done.returncode}: {words}")
    return done


def find(program: str, package: str) -> str:
    """The path of a program of the machine; `package` is what to install where there is none."""
    found = shutil.which(program) or shutil.which(program, path=_SBIN)
    if not found:
        raise ClusterError(f"no {program} on this machine: run tools/install-prerequisites (Debian package {package})")
    return found


def until(
    what: str,
    probe: Callable[[], T | None],
    *,
    timeout: float = 120,
    every: float = 0.1,
    broken: Callable[[], str | None] = lambda: None,
) -> T:
    """Call `probe` until it gives something true, and give that back.

    OSError and LookupError count as "not yet": what is starting refuses connections and lacks fields.
    `broken` says why waiting has become useless; then, and after `timeout` seconds, ClusterError is raised.
    """
    end = time.monotonic() + timeout
    last: Exception | None = None
    while True:
        if reason := broken():
            raise ClusterError(f"while waiting for {what}: {reason}")
        try:
            if found := probe():
                return found
            last = None
        except (OSError, LookupError) as error:
            last = error
        if time.monotonic() > end:
            raise ClusterError(f"{what}: not there after {timeout:.0f} s" + (f" ({last!r})" if last else ""))
        time.sleep(every)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file, which is made where it is missing and stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def put(path: Path, text: str, mode: int = 0o644) -> Path:
    """Write a file whole, and only where it changes: kube-proxy, for one, ends when its configuration is touched."""
    if not path.exists() or path.read_text() != text:
        new = path.with_name(path.name + ".new")
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
            file.write(text)
        new.replace(path)
    return path
