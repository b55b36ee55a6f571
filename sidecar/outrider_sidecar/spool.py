"""All streams of the volume together: found, followed, given up where there are too many bytes, remembered.

The files are the spool. What this holds about them is in cursors.json before anything depends on it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from outrider_sidecar import contract, cursors, freed, layout, shedding
from outrider_sidecar.batching import Waiting
from outrider_sidecar.journal import Journal
from outrider_sidecar.tailing import Tail

MAX_STREAMS: Final = 4000
RESERVE: Final = "reserve"  # a file that is removed where the volume is full
RESERVED: Final = 512 << 10


class Spool:
    """The streams of one volume. For one thread."""

    def __init__(self, directory: str, limit: int) -> None:
        """Open the volume and make the folders that are missing. Raises OSError."""
        self.root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for folder, mode in ((contract.DIR_CONTAINERS, 0o1777), (contract.DIR_USER, 0o1777)):
            _make(self.root, folder, mode)
        # 0711 and not 0700: the rider, of another UID, goes through it to freed/. All files in it are 0600.
        _make(self.root, contract.DIR_SIDECAR, 0o711)
        self.folder = layout.open_folder(self.root, contract.DIR_SIDECAR)
        freed_name = contract.DIR_FREED.rpartition("/")[2]
        _make(self.folder, freed_name, 0o755)
        self._freed = freed.Publisher(layout.open_folder(self.folder, freed_name))
        self._reserve()
        self.journal = Journal(self.folder)
        self.limit = limit
        self.tails: dict[str, Tail] = {}
        self._kept_lost = 0
        self._punched: dict[str, int] = {}
        self._saved = b""
        self._refused: set[str] = set()

    def restore(self, now: float) -> None:
        """Take up what an earlier collector of this pod left."""
        try:
            kept = cursors.load(self.folder)
        except cursors.CursorsError as error:
            text = f"{error}; streams are taken up from what the tracker has, bytes shed so far are no longer counted"
            self.journal.warn("CursorsBroken", text)
            return
        self._kept_lost = kept.lost
        self.tails = kept.streams
        for tail in self.tails.values():
            tail.restored = now

    @property
    def unsent(self) -> int:
        """Bytes written, neither durable nor given up."""
        return sum(tail.unsent for tail in self.tails.values())

    @property
    def lost(self) -> int:
        """Bytes given up, told or not."""
        return self._kept_lost + sum(tail.pending_lost for tail in self.tails.values())

    def count_lost(self, n: int) -> None:
        """The tracker was told of so many lost bytes, or can never be."""
        self._kept_lost += n

    def scan(self, now: float) -> None:
        """Look for new files, and for names that lead to other files by now."""
        for found in layout.discover(self.root):
            tail = self.tails.get(found.name)
            if tail is None:
                if len(self.tails) >= MAX_STREAMS:
                    text = f"more than {MAX_STREAMS} files of output; {found.name} and later ones are not collected"
                    self.journal.warn("TooManyStreams", text)
                    continue
                tail = Tail(found.name, found.kind, found.labels, found.path)
            elif not tail.path:  # known by its cursor alone until now
                tail.kind, tail.labels, tail.path, tail.announced = found.kind, found.labels, found.path, False
            try:
                tail.offer(found.device, found.inode, self._opener(found.path), now)
            except FileNotFoundError:
                continue
            except OSError as error:
                if found.name not in self._refused and len(self._refused) < MAX_STREAMS:
                    self._refused.add(found.name)
                    text = f"{'/'.join(map(layout.text, found.path))} cannot be read: {error.strerror or error}"
                    self.journal.warn("StreamUnreadable", text, path=found.name)
                continue
            self._refused.discard(found.name)
            self.tails[found.name] = tail

    def _opener(self, path: tuple[str, ...]) -> Callable[[], int]:
        return lambda: layout.open_file(self.root, path)

    def poll(self, now: float, *, ending: bool = False) -> set[str]:
        """How far has each file grown? The kinds of those that have."""
        grew = set()
        for tail in self.tails.values():
            if tail.segments:
                if tail.poll(now):
                    grew.add(tail.kind)
                tail.settle(now, ending=ending)
        return grew

    def shed(self) -> int:
        """Give up what is over the limit; says how many bytes."""
        holdings = [shedding.Holding(tail.name, tail.kind, tail.unsent) for tail in self.tails.values()]
        given = shedding.shed(holdings, self.limit)
        for name, n in given.items():
            left = n
            for segment in self.tails[name].segments:
                part = min(left, segment.unsent)
                segment.give_up(segment.position + part, "shed: the spool limit is reached")
                left -= part
        return sum(given.values())

    def waiting(self, now: float, kinds: frozenset[str] | None) -> list[Waiting]:
        """Streams that have something to say now, of these kinds only."""
        found = []
        for tail in self.tails.values():
            if not tail.segments or now < tail.muted or (kinds is not None and tail.kind not in kinds):
                continue
            first = tail.segments[0]
            available = first.unsent if first.fd is not None else 0
            if available or first.pending_lost:
                found.append(Waiting(tail.name, tail.kind, available, tail.served))
        return found

    def save(self) -> None:
        """Bring cursors.json, freed/ and the own files' holes up to date.

        Space is given back only after the cursors that no longer need it are saved. A full volume is no reason to stop:
        the tracker's word wins over cursors in any case.
        """
        freed.mark(self.tails.values())
        data = cursors.encode(self._kept_lost, self.tails.values())
        if data != self._saved:
            if not self._save(data):
                return
            self._saved = data
            for tail in self.tails.values():
                tail.unsaved = False
        try:
            self._freed.publish(freed.listing(self.tails.values()))
            for tail in self.tails.values():
                self._punched[tail.name] = freed.punch_own(tail, self._punched.get(tail.name, 0))
        except OSError as error:
            self.journal.warn("CannotFree", f"space on the volume cannot be given back: {error.strerror or error}")

    def _save(self, data: bytes) -> bool:
        try:
            try:
                cursors.save(self.folder, data)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                # Nothing could ever be freed on a full volume if there were no room to say what may go.
                os.unlink(RESERVE, dir_fd=self.folder)
                cursors.save(self.folder, data)
        except OSError as error:
            self.journal.warn("CursorsNotSaved", f"{cursors.FILE} cannot be written: {error.strerror or error}")
            return False
        self._reserve()
        return True

    def _reserve(self) -> None:
        with suppress(FileExistsError, OSError):
            fd = os.open(RESERVE, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=self.folder)
            try:
                os.posix_fallocate(fd, 0, RESERVED)
            except OSError:
                os.unlink(RESERVE, dir_fd=self.folder)
            finally:
                os.close(fd)


def _make(at: int, name: str, mode: int) -> None:
    with suppress(FileExistsError):
        os.mkdir(name, mode, dir_fd=at)
        os.chmod(name, mode, dir_fd=at)  # mkdir's mode is less the umask
