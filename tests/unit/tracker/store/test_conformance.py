"""What BlobStore, LogStore and PointStore promise; an implementation is one more row in the fixtures here."""

from __future__ import annotations

import math
import os
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider_tracker.core.frames import DataFrame, LostFrame, StreamFrame
from outrider_tracker.core.plan import names, plan
from outrider_tracker.store import appending, pointcodec
from outrider_tracker.store.appending import Sent, Writing
from outrider_tracker.store.batches import Points, SeriesKey, columns, plain
from outrider_tracker.store.blobs import BlobFolder
from outrider_tracker.store.interfaces import BlobStore
from outrider_tracker.store.records import LostRange
from outrider_tracker.store.sources import Declaration, Owner, declare
from outrider_tracker.store.store import Store

NOW = 1_700_000_000.0


@pytest.fixture(params=["folder"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    """Each implementation of BlobStore, empty."""
    return {"folder": BlobFolder}[request.param](tmp_path / "blobs")


@pytest.fixture(params=["sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Each implementation of LogStore and PointStore, with source 1 declared."""
    made = {"sqlite": Store}[request.param](tmp_path / "data", clock=lambda: NOW)
    wanted = Declaration("pod", Owner("e", "", "e"), "pod", "", {}, "test", "one")
    made.writer.run(lambda connection: declare(connection, wanted, NOW))
    yield made
    made.close()


def append(store: Store, *frames: StreamFrame | DataFrame | LostFrame, received: float = NOW) -> None:
    """Appends to source 1."""
    raws = {at: zlib.decompress(item.payload) for at, item in enumerate(frames) if isinstance(item, DataFrame)}
    sent = Sent(frames, raws)
    with store.reader.snapshot() as snapshot:
        decided = plan(appending.heads(snapshot.connection, 1, names(frames), frames), frames)
    writing, prepared = Writing(1, 1, received, None, None), appending.prepare(decided, sent)
    store.writer.run(lambda connection: appending.apply(connection, writing, decided, prepared))


def data(offset: int, raw: bytes, generation: int = 0) -> DataFrame:
    """A frame of stream `s`."""
    return DataFrame("s", generation, offset, len(raw), "zlib", zlib.crc32(raw), zlib.compress(raw))


STREAM = StreamFrame("s", {"kind": "stdout"})
KEY = "ab" * 16


class TestBlobStore:
    """Durable, immutable, by key."""

    def test_pieces_are_read_back_by_range(self, blobs: BlobStore) -> None:
        """Any part of the joined pieces."""
        assert blobs.put(KEY, [b"hello ", b"", b"world"]) == 11
        assert blobs.read(KEY, 4, 3) == b"o w"
        assert blobs.read(KEY, 11, 0) == b""

    def test_keys_are_written_once(self, blobs: BlobStore) -> None:
        """What is there is never replaced."""
        blobs.put(KEY, [b"first"])
        with pytest.raises(FileExistsError):
            blobs.put(KEY, [b"second"])
        assert blobs.read(KEY, 0, 5) == b"first"

    def test_what_is_missing_is_told(self, blobs: BlobStore) -> None:
        """No object, and an object that is too short, differ."""
        with pytest.raises(KeyError):
            blobs.read(KEY, 0, 1)
        blobs.put(KEY, [b"abc"])
        with pytest.raises(EOFError):
            blobs.read(KEY, 1, 3)

    def test_deleted_objects_are_gone(self, blobs: BlobStore) -> None:
        """Twice is no error."""
        blobs.put(KEY, [b"abc"])
        assert [key for key, _ in blobs.listed()] == [KEY]
        blobs.delete(KEY)
        blobs.delete(KEY)
        assert blobs.listed() == []

    @pytest.mark.parametrize("key", ["", "../../etc/passwd", "AB" * 16, "ab/cd", "short"])
    def test_keys_are_never_paths(self, blobs: BlobStore, key: str) -> None:
        """Only our own form of key is taken."""
        with pytest.raises(KeyError):
            blobs.put(key, [b"x"])


class TestLogStore:
    """Bytes by offset, inline or sealed."""

    def test_bytes_are_read_from_any_offset(self, store: Store) -> None:
        """Across frames."""
        append(store, STREAM, data(0, b"hello "), data(6, b"world"))
        assert [store.logs.read_bytes(1, 0, at, 3).data for at in (0, 4, 9, 11, 99)] == [
            b"hel",
            b"o w",
            b"ld",
            b"",
            b"",
        ]

    def test_a_lost_range_ends_an_answer(self, store: Store) -> None:
        """The bytes before it, then it, then what follows."""
        append(store, STREAM, data(0, b"abc"), LostFrame("s", 0, 3, 10, "full"), data(10, b"xyz"))
        assert store.logs.read_bytes(1, 0, 0, 99).data == b"abc"
        for at in (0, 3, 7):
            assert store.logs.read_bytes(1, 0, at, 99).lost == LostRange(3, 10, "full")
        assert store.logs.read_bytes(1, 0, 10, 99).data == b"xyz"

    def test_unknown_streams_and_generations_are_told(self, store: Store) -> None:
        """KeyError for both."""
        append(store, STREAM)
        for key in ((1, 7), (9, 0)):
            with pytest.raises(KeyError):
                store.logs.read_bytes(*key, 0, 1)

    def test_sealing_changes_no_byte_and_leaves_the_tail_inline(self, store: Store) -> None:
        """All but the last 64 KiB leave for one object; small frames are joined, large ones kept as they were sent."""
        parts = [bytes([65 + number % 26]) * (1000 if number % 7 else 70_000) for number in range(200)]
        whole = b"".join(parts)
        at = 0
        append(store, STREAM)
        for part in parts:
            append(store, data(at, part))
            at += len(part)
        assert store.logs.seal(1, NOW) == 1
        assert store.logs.seal(len(whole), NOW) == 0
        rows = store.readers.read(lambda connection: connection.execute("SELECT start FROM frame").fetchall())
        inline = len(whole) - min(row[0] for row in rows)
        assert 64 << 10 <= inline < (64 << 10) + 71_000
        assert len(store.objects.listed()) == 1
        held = b""
        while part := store.logs.read_bytes(1, 0, len(held), 77_777).data:
            held += part
        assert held == whole

    def test_orphans_are_swept_and_others_stay(self, store: Store) -> None:
        """An object that a crash left is removed when it is an hour old."""
        append(store, STREAM, data(0, b"x" * 300_000), data(300_000, b"y" * 70_000))
        assert store.logs.seal(1, NOW) == 1
        store.objects.put("cd" * 16, [b"orphan"])
        assert store.sweep() == 0
        (kept,) = store.readers.read(lambda connection: connection.execute("SELECT key FROM object").fetchone())
        for key, written in store.objects.listed():
            os.utime(store.objects.location(key), (NOW - 4000, NOW - 4000))
            assert written > 0
        assert store.sweep() == 1
        assert [key for key, _ in store.objects.listed()] == [kept]


points = st.lists(
    st.tuples(
        st.floats(0, 1e9),
        st.floats(0, 1e6) | st.just(math.nan),
        st.floats(allow_nan=True, allow_infinity=True, width=64),
    ),
    min_size=1,
    max_size=50,
)


class TestPointStore:
    """Points in the order they came, whatever is sealed."""

    def test_sealing_changes_no_point(self, store: Store) -> None:
        """Batches of odd sizes, sealed in between: all are there, once, in order."""
        key = SeriesKey("loss", "user", "user", 0, "")
        total = 0
        for turn, size in enumerate((1, 999, 3, 2500, 10, 1)):
            batch = columns(
                range(total, total + size),
                range(total, total + size),
                (value * 0.5 for value in range(total, total + size)),
            )
            assert store.points.append(1, {key: batch}, NOW + turn) == 0
            total += size
            if turn % 2:
                store.points.seal(NOW + 1000 * turn)
        times, steps, values = store.points.read_points(1)
        assert list(times) == list(steps) == list(range(total))
        assert list(values) == [value * 0.5 for value in range(total)]
        counts = store.readers.read(
            lambda connection: connection.execute("SELECT count FROM point_chunk ORDER BY first").fetchall()
        )
        assert [row[0] for row in counts] == [1000, 1000, 1000, 514]

    def test_a_young_short_tail_is_not_sealed(self, store: Store) -> None:
        """Only 1000 points or five minutes make a chunk."""
        key = SeriesKey("cpu", "system", "rank", 1, "train")
        store.points.append(1, {key: columns([1.0], [math.nan], [2.0])}, NOW)
        assert store.points.seal(NOW + 299) == 0
        assert store.points.seal(NOW + 300) == 1


@settings(max_examples=60)
@given(points, st.sampled_from([plain, pointcodec.pack]))
def test_points_survive_their_coding(drawn: list[tuple[float, float, float]], code: Callable[[Points], bytes]) -> None:
    """Bit by bit, NaN and infinities too."""
    made = columns(*zip(*drawn, strict=True))
    assert plain(pointcodec.decode(code(made))) == plain(made)


HUGE = 1.7e308


@pytest.mark.parametrize(
    ("values", "want"),
    [
        ([0.1] * 10, 1.0),
        ([HUGE, HUGE], sys.float_info.max),
        ([-HUGE, -HUGE, 5.0], -sys.float_info.max),
        ([HUGE, HUGE, -HUGE], HUGE),
        ([], 0.0),
    ],
)
def test_a_sum_is_finite(values: list[float], want: float) -> None:
    """Whatever a job logs: a sum out of range must not end the sealing of everybody's data."""
    assert pointcodec.total(values) == want


def test_huge_values_are_sealed(store: Store) -> None:
    """A thousand values whose sum is beyond what doubles can say make a chunk as others do."""
    key = SeriesKey("loss", "user", "user", 0, "")
    xs = [float(number) for number in range(1000)]
    store.points.append(1, {key: columns(xs, xs, [HUGE] * 1000)}, NOW)
    assert store.points.seal(NOW) == 1
