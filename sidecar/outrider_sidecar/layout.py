"""Which files of the shared volume are streams, what they are called, and how they are opened.

The trainer may write anything on the volume, so nothing here follows a symbolic link, in no component of a path, and
only regular files are opened.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from itertools import islice
from typing import Final

from outrider_sidecar import contract

Labels = dict[str, str | int]

MAX_ENTRIES: Final = 10_000  # of one folder: more than any layout of ours needs, and a bound on a hostile one
_PLAIN: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
_OUTPUT: Final = {contract.FILE_STDOUT: contract.KIND_STDOUT, contract.FILE_STDERR: contract.KIND_STDERR}
_OF_CONTAINER: Final = {
    **_OUTPUT,
    contract.FILE_EVENTS: contract.KIND_EVENTS,
    contract.FILE_SAMPLES: contract.KIND_METRICS,
}
_OF_SIDECAR: Final = {"events.jsonl": contract.KIND_EVENTS, "metrics.jsonl": contract.KIND_METRICS}
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,8}")
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Found:
    """One file that is a stream. `path`: components below the volume, as Python decodes file names."""

    name: str
    kind: str
    labels: Labels
    path: tuple[str, ...]
    device: int
    inode: int


def encode_component(component: str) -> str:
    """A file name with every byte outside `[A-Za-z0-9._-]` as %XX: one to one, so two files never share a stream."""
    return "".join(chr(b) if b in _PLAIN else f"%{b:02X}" for b in os.fsencode(component))


@lru_cache(maxsize=2048)
def stream_name(components: tuple[str, ...]) -> str:
    """The stream's name from its path's components; a name over the bound ends in a digest of the whole."""
    name = "/".join(encode_component(component) for component in components)
    if len(name) <= contract.MAX_STREAM_NAME:
        return name
    digest = sha256(name.encode()).hexdigest()[:16]
    return f"{name[: contract.MAX_STREAM_NAME - 17].rstrip('%')}-{digest}"


def stem(file_name: str) -> str:
    """File name without `.log` or `.jsonl`."""
    for suffix in (".jsonl", ".log"):
        if file_name.endswith(suffix):
            return file_name[: -len(suffix)]
    return file_name


@lru_cache(maxsize=2048)
def text(component: str) -> str:
    """A file name as text for people and JSON: bytes that are no UTF-8 are replaced."""
    return os.fsencode(component).decode("utf-8", "replace")


def open_folder(at: int, *components: str) -> int:
    """Open a folder below the folder `at`, component by component, through no link. Raises OSError."""
    here = os.dup(at)
    try:
        for component in components:
            deeper = os.open(component, _DIRECTORY, dir_fd=here)
            os.close(here)
            here = deeper
    except OSError:
        os.close(here)
        raise
    return here


def open_file(at: int, path: tuple[str, ...]) -> int:
    """Open a regular file below the folder `at` for reading, through no link. Raises OSError, also for other kinds."""
    folder = open_folder(at, *path[:-1])
    try:
        # O_NONBLOCK: opening a FIFO that nobody writes would wait for ever.
        fd = os.open(path[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(f"{'/'.join(map(text, path))} is no regular file")
    return fd


def discover(root: int) -> Iterator[Found]:
    """Every stream on the volume whose folder is open as `root`. What cannot be read now is found another time."""
    yield from _containers(root)
    yield from _flat(root, contract.DIR_USER, None)
    yield from _flat(root, contract.DIR_SIDECAR, _OF_SIDECAR)


def _containers(root: int) -> Iterator[Found]:
    for container, container_fd in _folders(root, contract.DIR_CONTAINERS):
        for start, start_fd in _folders(container_fd):
            if not _NUMBER.fullmatch(start):
                continue
            labels: Labels = {"container": text(container), "start": int(start)}
            name = (container, start)
            for entry, status in _files(start_fd):
                if entry in _OF_CONTAINER:
                    yield _found(name, (entry,), _OF_CONTAINER[entry], labels, status)
            yield from _torch(start_fd, name, labels)


def _torch(start_fd: int, name: tuple[str, str], labels: Labels) -> Iterator[Found]:
    for launch, launch_fd in _folders(start_fd, contract.DIR_TORCH):
        for attempt, attempt_fd in _folders(launch_fd):
            prefix, _, restart = attempt.partition("_")
            if prefix != "attempt" or not _NUMBER.fullmatch(restart):
                continue
            for local_rank, rank_fd in _folders(attempt_fd):
                if not _NUMBER.fullmatch(local_rank):
                    continue
                mine = labels | {"launch": text(launch), "restart": int(restart), "localRank": int(local_rank)}
                below = (contract.DIR_TORCH, launch, attempt, local_rank)
                for entry, status in _files(rank_fd):
                    if entry in _OUTPUT:
                        yield _found(name, (*below, entry), _OUTPUT[entry], mine, status)


def _found(name: tuple[str, str], file: tuple[str, ...], kind: str, labels: Labels, status: os.stat_result) -> Found:
    path = "/".join(map(text, file))
    return Found(
        stream_name((*name, *file[:-1], stem(file[-1]))),
        kind,
        labels | {"kind": kind, "path": path},
        (contract.DIR_CONTAINERS, *name, *file),
        status.st_dev,
        status.st_ino,
    )


def _flat(root: int, folder: str, kinds: dict[str, str] | None) -> Iterator[Found]:
    try:
        fd = open_folder(root, folder)
    except OSError:
        return
    try:
        for entry, status in _files(fd):
            kind = kinds.get(entry) if kinds else contract.KIND_USER if entry.endswith(".jsonl") else None
            if kind:
                name = stream_name((folder, stem(entry)))
                yield Found(name, kind, {"kind": kind}, (folder, entry), status.st_dev, status.st_ino)
    finally:
        os.close(fd)


def _names(fd: int) -> list[str]:
    try:
        with os.scandir(fd) as entries:
            return sorted(entry.name for entry in islice(entries, MAX_ENTRIES))
    except OSError:
        return []


def _files(fd: int) -> Iterator[tuple[str, os.stat_result]]:
    for name in _names(fd):
        try:
            status = os.stat(name, dir_fd=fd, follow_symlinks=False)
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode):
            yield name, status


def _folders(at: int, *below: str) -> Iterator[tuple[str, int]]:
    """Each folder in a folder, open while the caller looks at it."""
    try:
        here = open_folder(at, *below)
    except OSError:
        return
    try:
        for name in _names(here):
            try:
                fd = os.open(name, _DIRECTORY, dir_fd=here)
            except OSError:
                continue
            try:
                yield name, fd
            finally:
                os.close(fd)
    finally:
        os.close(here)
