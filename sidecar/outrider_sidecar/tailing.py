"""One stream's files: where each stands, when a file is another one, and the bytes to send next.

A stream's file is a `Segment`: one generation. A file that shrinks, is rewritten or is replaced under its name ends its
segment and begins the next; the older one is drained through the descriptor that is still open. Offsets:

    0 ........ acked ........ shed ............ size
      durable at  given up,     waits to be
      the tracker still to be   sent
                  told
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from outrider_sidecar import layout

CHECK: Final = 64  # bytes kept in mind before the next offset: tells a file that was rewritten from one that grew
REPLACED_GRACE: Final = 2.0  # a rotated file's writer may still write to it so long
VANISHED_GRACE: Final = 30.0  # so long an unlinked file is kept open after its last growth
MISSING_GRACE: Final = 60.0  # so long a file of an earlier process of ours may stay out of sight
BLOCK: Final = 4096
OVERLAP: Final = 64 << 10  # sent again, once, of a file whose cursor is lost

TRUNCATED: Final = "truncated"
VANISHED: Final = "vanished"
FREED: Final = "freed"


@dataclass(slots=True)
class Segment:
    """One generation of a stream."""

    generation: int
    device: int
    inode: int
    fd: int | None = None
    acked: int = 0
    shed: int = 0
    size: int = 0
    freed: int = 0  # below this the bytes may be holes by now
    claimed: int = 0  # requests so far said that what is below and was not acknowledged is lost
    reason: str = ""  # why bytes below `shed` were given up
    check: bytes = b""  # the bytes just before `position`, where known
    grown: float = 0.0
    replaced: float | None = None
    vanished: float | None = None
    closed: bool = False  # nothing more will be read from it

    @property
    def position(self) -> int:
        """Offset of the next byte to send."""
        return max(self.acked, self.shed)

    @property
    def unsent(self) -> int:
        """Bytes written, neither durable nor given up."""
        return max(0, self.size - self.position)

    @property
    def pending_lost(self) -> int:
        """Bytes given up that the tracker has not been told of."""
        return max(0, self.shed - self.acked)

    def give_up(self, to: int, reason: str) -> None:
        """Count everything below `to` that is not durable as lost."""
        if to > self.position:
            self.shed, self.reason = to, reason
            self.remember()

    def remember(self) -> None:
        """Keep the bytes before the next offset, to know the file again."""
        self.check = b""
        if self.fd is not None and self.position > self.freed:
            length = min(CHECK, self.position - self.freed)
            self.check = read_at(self.fd, self.position - length, length)

    def is_same(self) -> bool:
        """Whether the bytes before the next offset are still what they were."""
        if self.fd is None or not self.check:
            return True
        return read_at(self.fd, self.position - len(self.check), len(self.check)) == self.check

    def close(self) -> None:
        """Let go of the file; nothing more is read."""
        if self.fd is not None:
            os.close(self.fd)
        self.fd, self.closed = None, True


@dataclass(slots=True)
class Tail:
    """A stream: its segments, oldest first, and what the tracker was told about it."""

    name: str
    kind: str
    labels: layout.Labels
    path: tuple[str, ...]
    next_generation: int = 0
    segments: deque[Segment] = field(default_factory=deque)
    fresh: bool = True  # no cursor, nothing sent: what the tracker has of it decides where it begins
    announced: bool = False  # this process has sent its stream frame
    served: int = 0
    restored: float | None = None  # when its cursors were loaded, until its file was seen again
    muted: float = 0.0  # not sent before: the tracker refused it
    strikes: int = 0  # how often it did, one after the other
    unsaved: bool = False  # segments that cursors.json does not know: nothing of it may be sent before

    @property
    def unsent(self) -> int:
        """Bytes written, neither durable nor given up, over all generations."""
        return sum(segment.unsent for segment in self.segments)

    @property
    def pending_lost(self) -> int:
        """Bytes given up that the tracker has not been told of."""
        return sum(segment.pending_lost for segment in self.segments)

    def begin(self, fd: int, now: float) -> Segment:
        """The next generation, read from `fd`."""
        status = os.fstat(fd)
        segment = Segment(self.next_generation, status.st_dev, status.st_ino, fd, size=status.st_size, grown=now)
        self.next_generation += 1
        self.segments.append(segment)
        self.unsaved = True
        return segment

    def offer(self, device: int, inode: int, opener: Callable[[], int], now: float) -> bool:
        """The stream's name leads to this file now. Opens it unless it is the one being read; says whether it did."""
        newest = self.segments[-1] if self.segments else None
        if newest and newest.fd is not None and (newest.device, newest.inode) == (device, inode):
            return False
        fd = opener()
        status = os.fstat(fd)
        if newest and newest.fd is None and (newest.device, newest.inode) == (status.st_dev, status.st_ino):
            known = not newest.closed
        else:
            known = False
        self._give_up_missing(but=newest if known else None)
        if newest and known:
            newest.fd = fd
            self._look(newest, status.st_size, now)
            return True
        if newest and newest.replaced is None:
            newest.replaced = now
        self.begin(fd, now)
        return True

    def poll(self, now: float) -> bool:
        """Look how far each file has grown. True where any did."""
        grew = False
        for segment in list(self.segments):
            if segment.fd is None:
                continue
            status = os.fstat(segment.fd)
            if not status.st_nlink and segment.vanished is None:
                segment.vanished = now
            if status.st_size != segment.size:
                grew = True
                self._look(segment, status.st_size, now)
        if self.restored is not None and now - self.restored >= MISSING_GRACE:
            self._give_up_missing(but=None)
        return grew

    def _look(self, segment: Segment, size: int, now: float) -> None:
        if size >= segment.size and segment.is_same():
            segment.size, segment.grown = size, now
        else:
            self.cut(segment, now)

    def cut(self, segment: Segment, now: float) -> None:
        """The file behind the segment is no longer the one that was read: end it; the same file begins the next."""
        fd, segment.fd = segment.fd, None
        segment.closed = True
        segment.give_up(segment.size, TRUNCATED)
        if fd is None:
            return
        if segment is self.segments[-1]:
            self.begin(fd, now)
        else:
            os.close(fd)

    def _give_up_missing(self, *, but: Segment | None) -> None:
        """Files of an earlier process of ours that are not there any more: what was not sent of them is lost."""
        self.restored = None
        for segment in self.segments:
            if segment.fd is None and not segment.closed and segment is not but:
                segment.close()
                segment.give_up(segment.size, VANISHED)

    def settle(self, now: float, *, ending: bool = False) -> None:
        """Forget generations that are done: all of it durable or told as lost, and nothing more to come."""
        while self.segments and _done(self.segments[0], now, ending=ending):
            segment = self.segments.popleft()
            segment.close()
            self.unsaved = True
            if not segment.acked:  # the tracker never heard of this generation: its number goes to the next
                self._renumber(segment.generation - 1)

    def claim(self) -> None:
        """The next request will say what is lost: to be saved before, or a collector after us could count it twice."""
        segment = self.segments[0]
        if segment.pending_lost and segment.claimed != segment.position:
            segment.claimed = segment.position
            self.unsaved = True

    def read(self, offset: int, limit: int) -> bytes:
        """Bytes of the oldest generation, as far as its size was last seen."""
        segment = self.segments[0]
        return b"" if segment.fd is None else read_at(segment.fd, offset, min(limit, segment.size - offset))

    def resume(self, generation: int, end: int) -> int:
        """Go on from what the tracker has: its newest generation and that one's durable end.

        The tracker's word wins over any cursor. What it lacks is sent again from the files as far as the bytes are
        there, and counted as lost where they are not. Returns bytes that are lost and need not be told any more:
        because it was told, or because it takes nothing of their generation any more.
        """
        lost = 0
        unknown = self.fresh
        self.fresh = False
        while not unknown and self.segments and self.segments[0].generation < generation:
            segment = self.segments.popleft()  # the tracker closed it: it takes nothing of it any more
            lost += segment.unsent + segment.pending_lost
            segment.close()
        if self.segments:
            first = self.segments[0]
            if unknown:
                first.generation = generation
            if first.generation != generation:
                lost += self._move(first, 0)
            elif first.fd is not None and end > first.size:
                self.start_over(generation)
                return lost
            elif first.fd is not None and unknown:
                # Without cursors: an overlap with what the tracker has proves that it is the same file.
                first.freed = end
                first.acked = first_byte(first.fd, max(0, end - OVERLAP), end)
                first.remember()
            else:
                first.size = max(first.size, end)
                lost += self._move(first, end)
        self._renumber(generation)
        return lost

    def start_over(self, generation: int) -> None:
        """What the tracker has up to `generation` is not this file's: send it from its start as the next one.

        `generation` -1: it has nothing at all.
        """
        self.fresh = False
        if self.segments:
            self._move(self.segments[0], 0)
            self.segments[0].generation = -1
        self._renumber(generation)

    def _renumber(self, newest: int) -> None:
        """Generations follow on the tracker's without gap; only what it does not have yet is renumbered."""
        following = newest + 1
        for segment in self.segments:
            if segment.generation != newest or newest < 0:
                self.unsaved |= segment.generation != following
                segment.generation = following
                following += 1
        self.next_generation = following

    def acknowledge(self, segment: Segment, end: int) -> int:
        """Everything below `end` of this generation is durable, or known there as lost; says how many are lost."""
        return self._move(segment, end)

    def _move(self, segment: Segment, acked: int) -> int:
        before = segment.position
        lost = max(0, min(acked, segment.claimed) - segment.acked)
        if acked < segment.acked and not segment.pending_lost:
            # What was given up long ago is found again as holes, or is still there after all.
            segment.shed = segment.claimed = 0
        segment.acked = acked
        if acked < segment.freed:
            # A rewind below what was freed. Without the file all of that is gone.
            there = segment.freed if segment.fd is None else first_byte(segment.fd, acked, segment.freed)
            segment.give_up(there, FREED)
        if segment.position != before:
            segment.remember()
        return lost


def _done(segment: Segment, now: float, *, ending: bool) -> bool:
    if segment.unsent or segment.pending_lost:
        return False
    if segment.closed:
        return True
    if segment.fd is None:
        return False
    if segment.replaced is not None:
        return ending or now - max(segment.grown, segment.replaced) >= REPLACED_GRACE
    return segment.vanished is not None and now - max(segment.grown, segment.vanished) >= VANISHED_GRACE


def read_at(fd: int, offset: int, length: int) -> bytes:
    """`length` bytes at `offset`, fewer at the file's end."""
    data = os.pread(fd, length, offset)
    while data and len(data) < length:
        more = os.pread(fd, length - len(data), offset + len(data))
        if not more:
            break
        data += more
    return data


def first_byte(fd: int, offset: int, freed: int) -> int:
    """The first offset in [offset, freed] from which the file's bytes are what was written.

    Below `freed` holes may have been punched: they read as NUL. A hole's last block may be partly zeroed without being
    a hole, so NULs at the start of the block after one are not believed either.
    """
    try:
        start = min(os.lseek(fd, offset, os.SEEK_DATA), freed)
    except OSError:  # ENXIO: nothing but a hole up to the end
        return freed
    if start > offset:
        block = read_at(fd, start, min(BLOCK, freed - start))
        start += len(block) - len(block.lstrip(b"\0"))
    return start
