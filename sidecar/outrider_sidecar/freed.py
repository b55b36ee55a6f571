"""Giving space back: telling the rider what is acknowledged, and punching what the collector owns itself."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final

from outrider_sidecar import atomic, contract
from outrider_sidecar.tailing import CHECK, Tail

PUNCH_AT_LEAST: Final = 1 << 20  # bytes that must have become free before it is worth a system call
_LONGEST_NAME: Final = 250  # no container has such a name, but a folder may
_BLOCK: Final = 4096
_KEEP_SIZE: Final = 1
_PUNCH_HOLE: Final = 2


def mark(tails: Iterable[Tail]) -> None:
    """Say on each newest segment that all before its position may go, less the bytes by which the file is known."""
    for tail in tails:
        if tail.segments:
            segment = tail.segments[-1]
            segment.freed = max(segment.freed, segment.position - CHECK)


def listing(tails: Iterable[Tail]) -> dict[str, bytes]:
    """{file name in freed/: its content}, one for each container start. Only newest segments: paths lead to these."""
    lines: dict[str, list[bytes]] = {}
    for tail in tails:
        if tail.path[:1] != (contract.DIR_CONTAINERS,) or not tail.segments:
            continue
        container, start, *below = tail.path[1:]
        segment = tail.segments[-1]
        path = os.fsencode("/".join(below))
        if b"\n" not in path and segment.fd is not None:
            lines.setdefault(f"{container}.{start}", []).append(b"%d %s\n" % (segment.freed, path))
    return {name: b"".join(sorted(content)) for name, content in lines.items()}


class Publisher:
    """Writes the listing into the open folder `freed`, each file only when it changed."""

    def __init__(self, folder: int) -> None:
        self._folder = folder
        self._written: dict[str, bytes] = {}

    def publish(self, files: dict[str, bytes]) -> None:
        """Bring the folder up to date. Raises OSError (volume full): the offsets are then only published later."""
        for name, content in files.items():
            if self._written.get(name) == content or len(os.fsencode(name)) > _LONGEST_NAME:
                continue
            # Readable by all, whatever the umask is: the rider has another UID.
            atomic.replace(self._folder, name, content, mode=0o644, durable=False)
            self._written[name] = content


def punch_own(tail: Tail, punched: int) -> int:
    """Free the space of what is acknowledged in a file that this process owns; says up to where it is freed now.

    Files of a container start are the rider's business: torchrun reads behind itself in them.
    """
    if tail.path[:1] == (contract.DIR_CONTAINERS,) or not tail.segments:
        return punched
    segment = tail.segments[-1]
    end = segment.freed - segment.freed % _BLOCK
    if end < punched:
        punched = 0  # another generation
    if segment.fd is None or end - punched < PUNCH_AT_LEAST or os.fstat(segment.fd).st_uid != os.geteuid():
        return punched
    _punch(segment.fd, end)
    return end


def _punch(fd: int, end: int) -> None:
    import ctypes  # 1 MiB of memory that most pods never need

    writable = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_CLOEXEC)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
        if libc.fallocate(writable, _KEEP_SIZE | _PUNCH_HOLE, 0, end) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    finally:
        os.close(writable)
