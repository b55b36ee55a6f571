"""The append state machine against a model that is nothing but bytes: whatever comes, in whatever order."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from outrider_sidecar import contract
from outrider_tracker.core.errors import RefusedError
from outrider_tracker.ingest.appender import Appender
from outrider_tracker.ingest.watermarks import Disk, DiskGauge, Watermarks
from outrider_tracker.store import sealing
from outrider_tracker.store.appending import Writing
from outrider_tracker.store.sources import Declaration, Owner, declare, get_source
from outrider_tracker.store.store import Store
from tests.unit.tracker import wire

NAMES = ("train/0/stdout", "train/0/stderr")
CLOCK = 1_700_000_000.0


class Model:
    """A stream: its generations, each a list of bytes; None stands for a lost byte."""

    def __init__(self) -> None:
        self.generations: dict[int, list[int | None]] = {0: []}

    @property
    def newest(self) -> int:
        """The newest generation."""
        return max(self.generations)

    def end(self) -> int:
        """Its end."""
        return len(self.generations[self.newest])


def byte_at(name: str, generation: int, offset: int) -> int:
    """The byte that the file holds there: a fixed function, so that any overlap can be made at will."""
    return (offset * 7 + generation * 31 + len(name) * 13 + (offset >> 5)) % 251


def content(name: str, generation: int, start: int, stop: int) -> bytes:
    """The file's bytes."""
    return bytes(byte_at(name, generation, at) for at in range(start, stop))


class Appends(RuleBasedStateMachine):
    """A sidecar with bad habits, and a tracker that is closed and opened in between."""

    def __init__(self) -> None:
        super().__init__()
        # Small bounds, so that small streams are sealed in several blocks.
        self.patches = [patch.object(sealing, "INLINE", 16), patch.object(sealing, "LARGE", 60)]
        self.patches.append(patch.object(sealing, "BLOCK", 100))
        for item in self.patches:
            item.start()
        self.folder = Path(tempfile.mkdtemp(prefix="appends-"))
        self.model: dict[str, Model] = {}
        self.epoch = 0
        self._open()

    @initialize()
    def begin(self) -> None:
        """The source is declared."""
        self.epoch = self._declare("first")

    def _open(self) -> None:
        self.store = Store(self.folder, clock=lambda: CLOCK)
        gauge = DiskGauge(self.folder, Watermarks(), look=lambda _: Disk(100, 100))
        self.appender = Appender(self.store, gauge)

    def _declare(self, instance: str) -> int:
        wanted = Declaration("pod", Owner("e", "", "e"), "pod", "", {}, "test", instance)
        return self.store.writer.run(lambda connection: declare(connection, wanted, CLOCK)).epoch

    def _send(self, *frames: bytes) -> dict[str, tuple[int, int]]:
        row = self.store.readers.read(lambda connection: get_source(connection, "pod"))
        assert row is not None
        sent = self.appender.unpack(wire.body(*frames))
        ready = self.appender.decide(row.id, sent)
        writing = Writing(row.id, self.epoch, CLOCK, 0, None)
        return dict(self.appender.write(writing, ready, "ml").result().ends)

    def _refused(self, code: str, *frames: bytes) -> RefusedError:
        with pytest.raises(RefusedError) as caught:
            self._send(*frames)
        assert caught.value.code == code, caught.value.message
        return caught.value

    @rule(name=st.sampled_from(NAMES))
    def declare_stream(self, name: str) -> None:
        """Once or again."""
        self._send(wire.stream(name, kind="stdout", container="train", start=0))
        self.model.setdefault(name, Model())

    @rule(
        name=st.sampled_from(NAMES),
        back=st.integers(0, 40),
        size=st.integers(0, 80),
        coding=st.sampled_from(["zlib", "none"]),
    )
    def append(self, name: str, back: int, size: int, coding: str) -> None:
        """At the end, or overlapping it, or a mere repeat."""
        if name not in self.model:
            self._refused(contract.ERROR_UNDECLARED, wire.data(name, 0, 0, b"x"))
            return
        stream = self.model[name]
        start = max(0, stream.end() - back)
        raw = content(name, stream.newest, start, start + size)
        ends = self._send(wire.data(name, stream.newest, start, raw, coding=coding))
        stored = stream.generations[stream.newest]
        stored += raw[len(stored) - start :] if start + size > len(stored) else b""
        assert ends[name] == (stream.newest, len(stored))

    @precondition(lambda self: self.model)
    @rule(drawn=st.data(), sizes=st.lists(st.integers(1, 30), min_size=1, max_size=4), gap=st.integers(0, 20))
    def append_several_with_a_loss(self, drawn: st.DataObject, sizes: list[int], gap: int) -> None:
        """Data, a lost range, data: one request."""
        name = drawn.draw(st.sampled_from(sorted(self.model)))
        stream = self.model[name]
        stored = stream.generations[stream.newest]
        at = len(stored)
        frames = []
        for size in sizes:
            raw = content(name, stream.newest, at, at + size)
            frames.append(wire.data(name, stream.newest, at, raw))
            stored += raw
            at += size
        if gap:
            frames.append(wire.lost(name, stream.newest, at, at + gap))
            stored += [None] * gap
            at += gap
            frames.append(wire.data(name, stream.newest, at, content(name, stream.newest, at, at + 5)))
            stored += content(name, stream.newest, at, at + 5)
        assert self._send(*frames)[name] == (stream.newest, len(stored))

    @precondition(lambda self: self.model)
    @rule(drawn=st.data(), gap=st.integers(1, 50))
    def refuse_a_gap_and_apply_nothing(self, drawn: st.DataObject, gap: int) -> None:
        """The good frame before the bad one must not stay either."""
        name = drawn.draw(st.sampled_from(sorted(self.model)))
        stream = self.model[name]
        end = stream.end()
        good = wire.data(name, stream.newest, end, content(name, stream.newest, end, end + 3))
        error = self._refused(contract.ERROR_GAP, good, wire.data(name, stream.newest, end + 3 + gap, b"x"))
        assert error.detail["stream"] == name

    @precondition(lambda self: any(stream.end() for stream in self.model.values()))
    @rule(drawn=st.data())
    def refuse_other_bytes(self, drawn: st.DataObject) -> None:
        """An overlap that differs, unless it falls into what was lost."""
        name = drawn.draw(st.sampled_from([name for name in sorted(self.model) if self.model[name].end()]))
        stream = self.model[name]
        stored = stream.generations[stream.newest]
        known = [at for at, byte in enumerate(stored) if byte is not None]
        at = drawn.draw(st.sampled_from(known)) if known else None
        if at is None:
            return
        wrong = bytes([(byte_at(name, stream.newest, at) + 1) % 256])
        self._refused(contract.ERROR_MISMATCH, wire.data(name, stream.newest, at, wrong))

    @precondition(lambda self: self.model)
    @rule(drawn=st.data(), size=st.integers(0, 30), skip=st.integers(1, 3))
    def open_a_generation(self, drawn: st.DataObject, size: int, skip: int) -> None:
        """The file was replaced."""
        name = drawn.draw(st.sampled_from(sorted(self.model)))
        stream = self.model[name]
        generation = stream.newest + skip
        raw = content(name, generation, 0, size)
        ends = self._send(wire.data(name, generation, 0, raw))
        stream.generations[generation] = list(raw)
        assert ends[name] == (generation, size)

    @precondition(lambda self: any(len(stream.generations) > 1 for stream in self.model.values()))
    @rule(drawn=st.data(), more=st.integers(0, 1))
    def repeat_in_a_closed_generation(self, drawn: st.DataObject, more: int) -> None:
        """Exact repeats are taken, anything beyond is refused."""
        name = drawn.draw(st.sampled_from([n for n in sorted(self.model) if len(self.model[n].generations) > 1]))
        stream = self.model[name]
        generation = drawn.draw(st.sampled_from(sorted(stream.generations)[:-1]))
        size = len(stream.generations[generation])
        frame = wire.data(name, generation, 0, content(name, generation, 0, size + more))
        if more:
            self._refused(contract.ERROR_MISMATCH, frame)
        else:
            assert self._send(frame)[name] == (stream.newest, stream.end())

    @rule()
    def fence(self) -> None:
        """A new instance takes over: the older epoch takes nothing any more."""
        old, self.epoch = self.epoch, self._declare(f"instance {self.epoch}")
        assert self.epoch == old + 1
        new, self.epoch = self.epoch, old
        self._refused(contract.ERROR_FENCED, wire.stream("train/0/stdout"))
        self.epoch = new

    @rule()
    def reopen(self) -> None:
        """The tracker stops and starts."""
        self.store.close()
        self._open()

    @rule()
    def seal(self) -> None:
        """Compaction; the counter that makes a stream worth it is raised, since the test's streams are small."""
        self.store.writer.run(
            lambda connection: connection.execute("UPDATE stream SET inline_bytes = inline_bytes + 65537")
        )
        self.store.logs.seal(1, CLOCK)

    @invariant()
    def what_is_read_is_what_was_acknowledged(self) -> None:
        """All generations of all streams, byte by byte, lost ranges in their places."""
        rows = self.store.readers.read(
            lambda connection: connection.execute("SELECT id, name, generation, end FROM stream").fetchall()
        )
        assert {row[1] for row in rows} == set(self.model)
        for stream, name, newest, end in rows:
            model = self.model[name]
            assert (newest, end) == (model.newest, model.end())
            for generation, stored in model.generations.items():
                if stored or generation == newest:
                    assert self._read(stream, generation) == stored

    def _read(self, stream: int, generation: int) -> list[int | None]:
        found: list[int | None] = []
        while True:
            part = self.store.reader.read_bytes(stream, generation, len(found), 37)
            found += part.data
            if part.lost is not None and len(part.data) + part.offset == part.lost.start:
                found += [None] * (part.lost.stop - part.lost.start)
            elif not part.data:
                return found

    def teardown(self) -> None:
        """Nothing stays."""
        self.store.close()
        shutil.rmtree(self.folder)
        for item in self.patches:
            item.stop()


TestAppends = Appends.TestCase
TestAppends.settings = settings(max_examples=20, stateful_step_count=25)
