"""Following real files through whatever a writer does to them."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from outrider_sidecar import layout
from outrider_sidecar.tailing import REPLACED_GRACE, Tail, first_byte


class Following(RuleBasedStateMachine):
    """A writer, a tail that looks after each thing it does, and a tracker that takes what is sent.

    `truth` holds what each generation was when it was last looked at; the tracker must end up with that, less what was
    told as lost, and with nothing else.
    """

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.root = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        self.file = self.folder / "f.log"
        self.out = self.file.open("wb", buffering=0)
        self.tail = Tail("f", "stdout", {}, ("f.log",))
        self.now = 0.0
        self.truth: list[bytearray] = [bytearray()]
        self.received: list[bytearray] = [bytearray()]
        self.told: list[list[tuple[int, int]]] = [[]]
        self.lost = 0
        self.counter = 0
        self.look()

    def teardown(self) -> None:
        self.out.close()
        for segment in self.tail.segments:
            segment.close()
        os.close(self.root)
        shutil.rmtree(self.folder)

    def look(self) -> None:
        self.now += 1.0
        try:
            status = self.file.stat()
        except FileNotFoundError:
            pass
        else:
            self.tail.offer(status.st_dev, status.st_ino, lambda: layout.open_file(self.root, ("f.log",)), self.now)
        self.tail.poll(self.now)

    def next_generation(self) -> None:
        if self.truth[-1]:  # an empty generation is never heard of: its number goes to the next
            self.truth.append(bytearray())

    def fresh_bytes(self, size: int) -> bytes:
        self.counter += 1
        return random.Random(self.counter).randbytes(size)

    @rule(size=st.integers(1, 3000))
    def append(self, size: int) -> None:
        data = self.fresh_bytes(size)
        self.out.write(data)
        self.truth[-1] += data
        self.look()

    @rule()
    def truncate(self) -> None:
        """As `> file` does for a writer that opened it for appending."""
        self.out.truncate(0)
        self.out.seek(0)
        self.next_generation()
        self.look()

    @rule(size=st.integers(1, 3000))
    def rewrite_longer_between_two_looks(self, size: int) -> None:
        """Only its bytes tell that it is not the file that was read, and only where enough were read to tell by."""
        if not self.tail.segments or len(self.tail.segments[-1].check) < 8:
            return
        length = os.fstat(self.out.fileno()).st_size
        self.out.truncate(0)
        self.out.seek(0)
        data = self.fresh_bytes(length + size)
        self.out.write(data)
        self.next_generation()
        self.truth[-1] += data
        self.look()

    @rule(size=st.integers(0, 3000), late=st.integers(0, 500))
    def replace(self, size: int, late: int) -> None:
        """Rotated by rename; the old file still gets a little."""
        self.file.rename(self.folder / f"old{self.counter}") if self.file.exists() else None
        old = self.out
        self.out = self.file.open("wb", buffering=0)
        self.look()
        if late:
            data = self.fresh_bytes(late)
            old.write(data)
            self.truth[-1] += data
        old.close()
        self.tail.poll(self.now)
        self.next_generation()
        self.append(size + 1)

    @rule(size=st.integers(1, 500))
    def unlink_and_write_on(self, size: int) -> None:
        """rmtree of its folder: the descriptor still leads to the bytes."""
        self.file.unlink(missing_ok=True)
        data = self.fresh_bytes(size)
        self.out.write(data)
        self.truth[-1] += data
        self.look()
        self.out.close()
        self.out = self.file.open("wb", buffering=0)
        self.next_generation()
        self.look()

    @rule(limit=st.integers(1, 4000), lost_answer=st.booleans(), shed_meanwhile=st.sampled_from([0.0, 0.0, 0.5, 1.0]))
    def send(self, limit: int, lost_answer: bool, shed_meanwhile: float) -> None:
        """The tracker takes up to `limit` bytes; where its answer is lost, it is asked where it stands."""
        self.tail.settle(self.now)
        if not self.tail.segments:
            return
        segment, self.tail.fresh = self.tail.segments[0], False
        if not segment.is_same():
            self.tail.cut(segment, self.now)
            return
        data = self.tail.read(segment.position, limit)
        if not data and not segment.pending_lost:
            return
        self.take(segment.generation, segment.acked, segment.position, data)
        self.tail.claim()
        end = segment.position + len(data)
        segment.give_up(segment.position + int(segment.unsent * shed_meanwhile), "shed")
        if lost_answer:
            self.lost += self.tail.resume(len(self.received) - 1, len(self.received[-1]))
        else:
            self.lost += self.tail.acknowledge(segment, end)

    def take(self, generation: int, lost_from: int, offset: int, data: bytes) -> None:
        assert generation in {len(self.received) - 1, len(self.received)}, "generations follow on one another"
        if generation == len(self.received):
            self.received.append(bytearray())
            self.told.append([])
        kept = self.received[generation]
        assert lost_from == len(kept), "nothing twice, nothing left out"
        if offset > lost_from:
            self.told[generation].append((lost_from, offset))
            kept += bytes(offset - lost_from)
        kept += data

    @rule(part=st.floats(0, 1))
    def shed(self, part: float) -> None:
        for segment in self.tail.segments:
            segment.give_up(segment.position + int(segment.unsent * part), "shed")

    @rule()
    def time_passes(self) -> None:
        self.now += REPLACED_GRACE
        self.tail.poll(self.now)
        self.tail.settle(self.now)

    @invariant()
    def what_was_received_is_what_was_written(self) -> None:
        if not hasattr(self, "truth"):
            return
        for got, truth, lost in zip(self.received, self.truth, self.told, strict=False):
            expected = bytearray(truth[: len(got)])
            for start, end in lost:
                expected[start:end] = bytes(end - start)
            assert got == expected

    @invariant()
    def the_arithmetic_is_exact(self) -> None:
        """Written = received or told + given up and to be told + unsent."""
        if not hasattr(self, "truth"):
            return
        written, received = sum(map(len, self.truth)), sum(map(len, self.received))
        assert written == received + self.tail.pending_lost + self.tail.unsent
        assert self.lost == sum(end - start for ranges in self.told for start, end in ranges)


TestFollowing = Following.TestCase
TestFollowing.settings = settings(max_examples=60, stateful_step_count=30)


def test_bytes_are_believed_only_behind_a_hole(tmp_path: Path) -> None:
    """Below what was freed there may be holes; NULs that end one are not taken for data, and written NULs are."""
    file = tmp_path / "f"
    with file.open("w+b") as out:
        out.seek(9000)
        out.write(b"\0" * 100 + b"data" * 1000)
        out.flush()
        assert first_byte(out.fileno(), 0, 12_000) == 9100
        assert first_byte(out.fileno(), 9050, 12_000) == 9050  # what is no hole is as it was written
        assert first_byte(out.fileno(), 0, 8000) == 8000
        assert first_byte(out.fileno(), 20_000, 30_000) == 30_000


def test_nothing_of_a_closed_generation_is_dropped_without_being_counted(tmp_path: Path) -> None:
    """The tracker is ahead of us (its cursor is of another collector): what it takes no more is returned."""
    file = tmp_path / "f"
    file.write_bytes(b"x" * 100)
    tail = Tail("f", "stdout", {}, ("f",), fresh=False)
    tail.begin(os.open(file, os.O_RDONLY), 0.0)
    assert tail.resume(3, 10) == 100
    assert tail.next_generation == 4


@pytest.mark.parametrize("end", [0, 50, 100])
def test_the_trackers_end_wins_over_the_cursor(tmp_path: Path, end: int) -> None:
    """Whether the cursor is behind it (its answer was lost) or before it (its store was restored)."""
    file = tmp_path / "f"
    file.write_bytes(b"x" * 100)
    tail = Tail("f", "stdout", {}, ("f",), fresh=False)
    segment = tail.begin(os.open(file, os.O_RDONLY), 0.0)
    tail.acknowledge(segment, 60)
    assert tail.resume(0, end) == 0
    assert (segment.acked, tail.unsent, tail.pending_lost) == (end, 100 - end, 0)
    segment.close()
