"""Replacing a small file so that a reader, or a process that starts after a kill, sees the old or the new one whole."""

from __future__ import annotations

import os


def replace(folder: int, name: str, data: bytes, *, mode: int = 0o600, durable: bool = True) -> None:
    """Write `name` in the open folder anew. `durable`: fsynced before anyone can see it. Raises OSError."""
    temporary = name + ".new"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(temporary, flags, mode, dir_fd=folder)
    try:
        os.fchmod(fd, mode)  # open's mode is less the umask
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        if durable:
            os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    if durable:
        os.fsync(folder)
