"""BlobStore on a folder: written aside, fsynced, renamed, and the folder fsynced before anyone may refer to the key."""

from __future__ import annotations

import errno
import os
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from outrider_tracker.store.errors import StorageFullError
from outrider_tracker.store.folder import sync_folder

# Keys are made by us (random hex, SHA-256); the pattern keeps anything else from becoming a path.
KEY: Final = re.compile(r"[0-9a-f]{16,64}")
_UNFINISHED: Final = ".part"


class BlobFolder:
    """Objects lie at `<root>/<first two of key>/<key>`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()  # between who places an object again and who finds it old
        root.mkdir(parents=True, exist_ok=True, mode=0o700)

    def location(self, key: str) -> Path:
        """Where the object lies, or would lie. KeyError if the key has not our form."""
        if KEY.fullmatch(key) is None:
            raise KeyError(key)
        return self._root / key[:2] / key

    def put(self, key: str, data: Sequence[bytes]) -> int:
        """See BlobStore. StorageFullError if the disk has no room (nothing stays behind)."""
        target = self.location(key)
        if target.exists():
            raise FileExistsError(f"object {key} exists already")
        part = target.with_name(key + _UNFINISHED)
        try:
            self._shard(target)
            with open(part, "xb") as file:
                file.writelines(data)
                file.flush()
                os.fsync(file.fileno())
            self._place(part, target)
        except OSError as error:
            part.unlink(missing_ok=True)
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise StorageFullError(f"no room for object {key}: {error.strerror}") from error
            raise
        return target.stat().st_size

    def adopt(self, key: str, staged: Path) -> None:
        """Takes a complete, fsynced file of the same file system as the object `key`; one that exists is replaced by
        its equal, which also makes it young in the eyes of the sweeper.
        """
        target = self.location(key)
        self._shard(target)
        with self._lock:
            self._place(staged, target)

    def remove_old(self, key: str, before: float) -> bool:
        """Removes the object unless it was placed (again) since `before`, in Unix seconds. Whether it was there."""
        target = self.location(key)
        with self._lock:
            try:
                if target.stat().st_mtime >= before:
                    return False
                target.unlink()
            except FileNotFoundError:
                return False
        return True

    def read(self, key: str, position: int, length: int) -> bytes:
        """See BlobStore."""
        try:
            descriptor = os.open(self.location(key), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise KeyError(key) from None
        try:
            parts: list[bytes] = []
            while length > 0:
                part = os.pread(descriptor, length, position)
                if not part:
                    raise EOFError(f"object {key} ends at {position}, {length} bytes short")
                parts.append(part)
                position += len(part)
                length -= len(part)
        finally:
            os.close(descriptor)
        return b"".join(parts)

    def delete(self, key: str) -> None:
        """See BlobStore."""
        self.location(key).unlink(missing_ok=True)

    def listed(self) -> Sequence[tuple[str, float]]:
        """See BlobStore."""
        found: list[tuple[str, float]] = []
        for shard in os.scandir(self._root):
            if not shard.is_dir(follow_symlinks=False):
                continue
            found += [
                (entry.name, entry.stat(follow_symlinks=False).st_mtime)
                for entry in os.scandir(shard.path)
                if KEY.fullmatch(entry.name)
            ]
        return found

    def remove_unfinished(self) -> int:
        """Removes what a crash left half written; to be called before the first `put` of a process. How many."""
        count = 0
        for part in self._root.glob(f"??/*{_UNFINISHED}"):
            part.unlink(missing_ok=True)
            count += 1
        return count

    def _shard(self, target: Path) -> None:
        if not target.parent.is_dir():
            target.parent.mkdir(exist_ok=True, mode=0o700)
            sync_folder(self._root)

    @staticmethod
    def _place(part: Path, target: Path) -> None:
        os.rename(part, target)  # noqa: PTH104  the whole point is rename(2)
        sync_folder(target.parent)
