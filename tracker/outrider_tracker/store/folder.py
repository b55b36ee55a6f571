"""The data folder: one process owns it, and it lies on a local disk.

<data>/lock            held exclusively by the serving process
<data>/tracker.db      SQLite (with -wal and -shm beside it)
<data>/objects/ab/…    packs of sealed frames
<data>/blobs/ab/…      uploaded files by SHA-256
<data>/staging/…       uploads on their way
"""

from __future__ import annotations

import ctypes
import ctypes.util
import fcntl
import os
import stat
import time
from pathlib import Path
from typing import Final

# statfs(2) magic numbers of file systems on which SQLite's locks or fsync cannot be trusted.
NETWORK_FILE_SYSTEMS: Final = {
    0x6969: "NFS",
    0xFF534D42: "CIFS",
    0xFE534D42: "SMB2",
    0x517B: "SMB",
    0x01021997: "9p",
    0x65735546: "FUSE",
    0x00C36400: "Ceph",
    0x5346414F: "AFS",
    0x0BD00BD0: "Lustre",
    0x47504653: "GPFS",
    0x7461636F: "OCFS2",
    0x73757245: "Coda",
}

# What a killed tracker was about to start shares its lock until it runs its own program.
LOCK_SECONDS: Final = 3.0


class FolderRefusedError(Exception):
    """The data folder cannot be used; the message says why and what to do."""


def file_system_type(folder: Path) -> int:
    """The `f_type` that statfs(2) answers for the folder."""
    libc = ctypes.CDLL(ctypes.util.find_library("c") or "libc.so.6", use_errno=True)
    # struct statfs begins with f_type, a machine word; 256 bytes hold the whole of it on every Linux architecture.
    answer = ctypes.create_string_buffer(256)
    if libc.statfs(os.fsencode(folder), answer) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(folder))
    return ctypes.c_ulong.from_buffer(answer).value & 0xFFFFFFFF


def refuse_network(folder: Path, kind: int) -> None:
    """FolderRefusedError if `kind` is a network file system's magic number."""
    name = NETWORK_FILE_SYSTEMS.get(kind)
    if name is not None:
        raise FolderRefusedError(
            f"the data folder {folder} lies on {name}, a network file system: the store's locks and fsync cannot be "
            "trusted there. Use a local disk or a block volume (a PersistentVolumeClaim with ReadWriteOnce)."
        )


class DataFolder:
    """An existing, owned data folder. Close it last."""

    def __init__(self, path: Path, *, exclusive: bool = True) -> None:
        """Makes the folder if needed and takes its lock. FolderRefusedError if it cannot be used.

        `exclusive=False` is for short administrative commands beside a running tracker: SQLite's own locks suffice.
        """
        self.path = path
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not stat.S_ISDIR(path.stat().st_mode):
            raise FolderRefusedError(f"the data folder {path} is not a folder")
        refuse_network(path, file_system_type(path))
        self._lock: int | None = None
        if exclusive:
            self._lock = self._take_lock()
        for name in ("objects", "blobs", "staging"):
            (path / name).mkdir(exist_ok=True, mode=0o700)
        sync_folder(path)

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.path / "tracker.db"

    @property
    def objects(self) -> Path:
        """Packs of sealed frames."""
        return self.path / "objects"

    @property
    def blobs(self) -> Path:
        """Uploaded files by content."""
        return self.path / "blobs"

    @property
    def staging(self) -> Path:
        """Uploads on their way; nothing in it is referred to by anyone but its upload."""
        return self.path / "staging"

    def close(self) -> None:
        """Gives the lock back."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _take_lock(self) -> int:
        lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        last = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > last:
                    os.close(lock)
                    raise FolderRefusedError(
                        f"another tracker holds the data folder {self.path}: "
                        "stop it first, or give this one another --data"
                    ) from None
                time.sleep(0.02)
        os.ftruncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
        return lock


def sync_folder(path: Path) -> None:
    """Makes the folder's entries durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
