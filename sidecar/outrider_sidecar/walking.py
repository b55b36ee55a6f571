"""Which files the rules mean, found through the trainer's volumes alone and through no symbolic link."""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from outrider_sidecar.config import FileRule, Mount, TrainerContainer
from outrider_sidecar.globbing import Pattern, States, absolute
from outrider_sidecar.layout import text

MAX_DEPTH: Final = 64
MAX_VISITED: Final = 200_000  # entries of one walk
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

Signature = tuple[int, int, int]  # inode, size, mtime in ns: what makes content another one without reading it


@dataclass(frozen=True, slots=True)
class Match:
    """A file that a rule means. `name`: relative to the container's working directory where it lies below that."""

    container: str
    name: str
    policy: str
    at: str
    below: tuple[str, ...]
    signature: Signature

    @property
    def key(self) -> str:
        """The same file through whichever container."""
        return posixpath.join(self.at, *self.below)

    @property
    def size(self) -> int:
        """In bytes."""
        return self.signature[1]

    def open(self) -> int:
        """Open it for reading, through no link. Raises OSError, also where it is no regular file any more."""
        fd = os.open(self.at, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        for i, component in enumerate(self.below):
            last = i == len(self.below) - 1
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC if last else _DIRECTORY
            try:
                deeper = os.open(component, flags, dir_fd=fd)
            finally:
                os.close(fd)
            fd = deeper
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise OSError(f"{self.key} is no regular file")
        return fd


class TooManyFilesError(Exception):
    """A walk met more than MAX_VISITED entries."""


def signature(status: os.stat_result) -> Signature:
    """What tells this state of the file from another."""
    return status.st_ino, status.st_size, status.st_mtime_ns


def invisible(pattern: Pattern, mounts: Sequence[Mount]) -> bool:
    """Whether nothing that the pattern means can lie on a volume that the collector sees."""
    return not any(_inside(pattern.fixed, mount.path) or pattern.enters(mount.path) for mount in mounts)


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def find(container: TrainerContainer, working_dir: str | None, rules: Sequence[FileRule]) -> Iterator[Match]:
    """All files of one container that the rules mean; `live` wins over `end`. Raises TooManyFilesError."""
    walk = _Walk(container, working_dir, rules)
    for mount in container.mounts:
        for path, below, status, policy in walk.mount(mount):
            name = posixpath.relpath(path, working_dir) if working_dir and _inside(path, working_dir) else path
            yield Match(container.name, text(name), policy, mount.at, below, signature(status))


_At = Mapping[int, States]  # states of each pattern that can still match, by its number
_Visit = tuple[str, tuple[str, ...], os.stat_result, str]


class _Walk:
    def __init__(self, container: TrainerContainer, working_dir: str | None, rules: Sequence[FileRule]) -> None:
        self.patterns = [(rule.policy, p) for rule in rules if (p := absolute(rule.path, working_dir)) is not None]
        self.mounts = {mount.path for mount in container.mounts}
        self.budget = MAX_VISITED

    def mount(self, mount: Mount) -> Iterator[_Visit]:
        """What matches on one volume."""
        at = {i: s for i, (_, pattern) in enumerate(self.patterns) if (s := pattern.enters(mount.path))}
        try:
            fd = os.open(mount.at, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return  # not mounted yet, or gone
        try:
            status = os.fstat(fd)
            if stat.S_ISREG(status.st_mode):
                yield from self._file(mount.path, (), status, at)
            elif stat.S_ISDIR(status.st_mode):
                yield from self._folder(fd, mount.path, (), at)
        finally:
            os.close(fd)

    def _file(self, path: str, below: tuple[str, ...], status: os.stat_result, at: _At) -> Iterator[_Visit]:
        policies = {self.patterns[i][0] for i, states in at.items() if self.patterns[i][1].accepts(states)}
        if policies:
            yield path, below, status, "live" if "live" in policies else "end"

    def _folder(self, fd: int, path: str, below: tuple[str, ...], at: _At) -> Iterator[_Visit]:
        if not at or len(below) >= MAX_DEPTH:
            return
        try:
            with os.scandir(fd) as entries:
                names = sorted(entry.name for entry in entries)
        except OSError:
            return
        self.budget -= len(names)
        if self.budget < 0:
            raise TooManyFilesError
        for name in names:
            deeper = {i: s for i, states in at.items() if (s := self.patterns[i][1].step(states, name))}
            here = posixpath.join(path, name)
            if not deeper or here in self.mounts:  # another volume lies over it
                continue
            try:
                status = os.stat(name, dir_fd=fd, follow_symlinks=False)
                child = os.open(name, _DIRECTORY, dir_fd=fd) if stat.S_ISDIR(status.st_mode) else None
            except OSError:
                continue
            if child is not None:
                try:
                    yield from self._folder(child, here, (*below, name), deeper)
                finally:
                    os.close(child)
            elif stat.S_ISREG(status.st_mode):
                yield from self._file(here, (*below, name), status, deeper)
