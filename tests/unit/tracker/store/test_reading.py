"""Lines, ranks, series and collection as readers get them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider_tracker.core.frames import LostFrame
from outrider_tracker.core.principals import Person, Role
from outrider_tracker.store.batches import SeriesKey, columns
from outrider_tracker.store.logs import Data
from outrider_tracker.store.read_lines import render, split
from outrider_tracker.store.records import Line, LostLine, LostRange, Run, RunFilter
from outrider_tracker.store.runs import Now, RunKey, SourceCounts, collected, put_run
from outrider_tracker.store.sources import Join, Owner, join
from outrider_tracker.store.store import Store
from tests.unit.tracker.store.test_conformance import NOW, STREAM, append, data
from tests.unit.tracker.store.test_conformance import store as store  # noqa: PLC0414  the fixture


def texts(found: object) -> list[str]:
    """The lines of an answer."""
    return [line.text if isinstance(line, Line) else f"lost {line.lost}" for line in found.lines]  # type: ignore[attr-defined]


RENDERED = {
    b"plain\n": "plain",
    b"dos\r\n": "dos",
    b" 10%\r 50%\r100%\n": "100%",
    b"\x1b[31mred\x1b[0m\n": "\x1b[31mred\x1b[0m",
    b"caf\xc3\xa9 \xff\n": "café \ufffd",
    b"unfinished": "unfinished",
}


@pytest.mark.parametrize(("raw", "text"), RENDERED.items())
def test_a_line_is_shown_as_a_terminal_leaves_it(raw: bytes, text: str) -> None:
    """Carriage returns collapse, ANSI stays, damage is marked."""
    assert render(raw) == text


@given(st.lists(st.sampled_from([b"a", b"\n", b"bc\n", b"long line "]), max_size=30), st.data())
def test_lines_do_not_depend_on_how_storage_cut_them(parts: list[bytes], drawn: st.DataObject) -> None:
    """The same lines for one piece as for many."""
    whole = b"".join(parts)
    cuts = sorted(drawn.draw(st.sets(st.integers(0, len(whole)), max_size=5)) | {0, len(whole)})
    pieces = [Data(low, whole[low:high], 1.0) for low, high in pairwise(cuts)]
    expected, at = [], 0
    for line in whole.splitlines(keepends=True):
        expected.append((at, line.decode().rstrip("\n")))
        at += len(line)
    assert [(line.offset, line.text) for _, line in split(pieces) if isinstance(line, Line)] == expected


def test_a_lost_range_stands_between_lines() -> None:
    """It ends the line before it."""
    found = split([Data(0, b"a\nb", 1.0), LostRange(3, 10, "full"), Data(10, b"c\n", 2.0)])
    assert [line for _, line in found] == [
        Line(0, "a", 1.0),
        Line(2, "b", 1.0),
        LostLine(3, 7, "full"),
        Line(10, "c", 2.0),
    ]


class TestLines:
    """Forward and backward over a stream with thousands of lines, in frames of all sizes."""

    @pytest.fixture
    def lined(self, store: Store) -> Store:
        """9000 numbered lines and an unfinished one; the first part is sealed."""
        raw = b"".join(b"line %d %s\n" % (number, b"x" * (number % 90)) for number in range(9000)) + b"unfinished"
        append(store, STREAM)
        for start in range(0, len(raw), 30_000):
            append(store, data(start, raw[start : start + 30_000]), received=NOW + start)
        assert store.logs.seal(1, NOW) == 1
        return store

    def test_the_last_lines(self, lined: Store) -> None:
        """With the unfinished one, marked."""
        found = lined.reader.last_lines(1, 500)
        assert [text.split()[:2] for text in texts(found)[:-1]] == [
            ["line", str(number)] for number in range(8501, 9000)
        ]
        assert texts(found)[-1] == "unfinished"
        assert found.partial

    def test_pages_forward_and_backward_meet(self, lined: Store) -> None:
        """Walking either way gives every line once."""
        forward: list[str] = []
        at = 0
        while page := lined.reader.lines_from(1, at, 777):
            if not page.lines:
                break
            forward += texts(page)
            at = page.end
        backward: list[str] = []
        before = at
        while page := lined.reader.lines_before(1, before, 555):
            if not page.lines:
                break
            backward = texts(page) + backward
            before = page.start
        assert len(forward) == 9001
        assert forward == backward
        assert before == 0

    def test_a_line_knows_when_it_came(self, lined: Store) -> None:
        """Of the inline tail at least to the frame."""
        found = lined.reader.last_lines(1, 1).lines[0]
        assert isinstance(found, Line)
        assert found.ts is not None
        assert found.ts > NOW

    def test_a_stream_of_one_endless_line_is_bounded(self, store: Store) -> None:
        """Its parts are at most 64 KiB."""
        append(store, STREAM)
        for start in range(0, 600_000, 60_000):
            append(store, data(start, b"z" * 60_000))
        found = store.reader.lines_from(1, 0, 5)
        assert [len(text) for text in texts(found)] == [65_536] * 5

    def test_lost_ranges_are_lines_of_their_own(self, store: Store) -> None:
        """From the front and from the back."""
        append(store, STREAM, data(0, b"a\nb\n"), LostFrame("s", 0, 4, 1000, "shed"), data(1000, b"c\n"))
        assert texts(store.reader.lines_from(1, 0, 10)) == ["a", "b", "lost 996", "c"]
        assert texts(store.reader.last_lines(1, 2)) == ["lost 996", "c"]


@pytest.fixture
def joined(store: Store) -> Store:
    """Source 1 joined to run `r`."""
    wanted = Join(
        "pod",
        Owner("e", "", "e"),
        "r",
        1,
        2,
        0,
        "pod-0",
        "n",
        "Running",
        deleted=False,
        final_unsent=None,
        lost_reason=None,
    )
    store.writer.run(lambda connection: join(connection, wanted, NOW))
    return store


@pytest.mark.parametrize("count", [10, 5000, 40_000])
def test_charts_of_any_length_agree_with_the_points(joined: Store, count: int) -> None:
    """Raw points, roll-up or whole chunks: extremes and buckets are right, the work is bounded."""
    key = SeriesKey("loss", "user", "user", 4, "")
    for start in range(0, count, 2500):
        size = min(2500, count - start)
        batch = columns(range(start, start + size), range(start, start + size), map(float, range(start, start + size)))
        joined.points.append(1, {key: batch}, NOW)
    joined.points.seal(NOW + 1000)
    for x in ("time", "step"):
        (line,) = joined.reader.read_series("r", "loss", x=x, points=10)
        assert (line.label, line.rank, line.node_rank, line.attempt) == ("rank 4", 4, 2, 1)
        assert len(line.x) == 10
        assert (line.min[0], line.max[-1]) == (0.0, float(count - 1))
        assert sum(line.mean) / 10 == pytest.approx((count - 1) / 2, rel=0.05)
    (info,) = joined.reader.list_series("r")
    assert (info.key, info.lines, info.points, info.last) == ("loss", 1, count, count - 1)


def counts(**changes: object) -> SourceCounts:
    """A living source that sent all."""
    values: dict[str, object] = {
        "uid": "a",
        "unsent": 0,
        "final_unsent": None,
        "final_total": None,
        "last_contact": 100.0,
        "over": False,
        "lost": 0,
        "total": 1000,
    }
    return SourceCounts(**{**values, **changes})  # type: ignore[arg-type]


COLLECTIONS = {
    "all sent": (counts(), (0, 0, 10.0, [])),
    "backlog": (counts(unsent=7), (7, 0, 10.0, [])),
    "lost before": (counts(lost=5), (0, 5, 10.0, [])),
    "last words lose the backlog": (counts(unsent=7, final_unsent=7, final_total=1000, over=True), (0, 7, 0.0, [])),
    "some came after all": (counts(final_unsent=7, final_total=996, over=True), (0, 3, 0.0, [])),
    "more came than was said": (counts(final_unsent=7, final_total=10, over=True), (0, 0, 0.0, [])),
    "silent": (counts(last_contact=70.0), (0, 0, 40.0, ["a"])),
    "silent only since we are here": (counts(last_contact=1.0), (0, 0, 60.0, ["a"])),
    "never heard": (counts(last_contact=None), (0, 0, 0.0, ["a"])),
    "ended": (counts(last_contact=1.0, over=True), (0, 0, 0.0, [])),
}


@pytest.mark.parametrize(("source", "want"), COLLECTIONS.values(), ids=COLLECTIONS)
def test_collection(source: SourceCounts, want: tuple[int, int, float, list[str]]) -> None:
    """unsent, lost, lag, silent at time 110, served since 50."""
    found = collected([source], Now(110.0, 50.0))
    assert (found.unsent_bytes, found.lost_bytes, found.lag_seconds, list(found.silent)) == want


def test_runs_are_listed_newest_first_in_pages(tmp_path: Path) -> None:
    """Filters, pages and what may be seen."""
    store = Store(tmp_path / "data", clock=lambda: NOW)
    try:
        for number in range(25):
            entity = "a" if number % 2 else "b"
            key = RunKey(f"run-{number}", entity, "p", float(number // 3))
            record = {
                "namespace": entity,
                "name": f"n{number}",
                "state": "Running",
                "notes": "long",
                "config": {"x": 1},
            }
            store.writer.run(lambda connection, key=key, record=record: put_run(connection, key, record, NOW))  # type: ignore[misc]
        seen: list[str] = []
        cursor = None
        while True:
            page = store.reader.list_runs(RunFilter(), 4, cursor)
            seen += [str(run.id) for run in page.items]
            cursor = page.next
            if cursor is None:
                break
        assert sorted(seen) == sorted(f"run-{number}" for number in range(25))
        assert seen[0] == "run-24"
        only = store.reader.list_runs(RunFilter(Person("ada", roles={"a": Role.VIEWER})), 100)
        assert {run.entity for run in only.items} == {"a"}
        first = only.items[0]
        assert isinstance(first, Run)
        assert "config" not in first.record
        assert [run.id for run in store.reader.list_runs(RunFilter(q="N17"), 100).items] == ["run-17"]
        assert store.reader.list_runs(RunFilter(Person("ada")), 100).items == []
        whole = store.reader.get_run("run-3")
        assert whole is not None
        assert whole.record["config"] == {"x": 1}
        with pytest.raises(ValueError, match="cursor"):
            store.reader.list_runs(RunFilter(), 4, "bm9uc2Vuc2U")
    finally:
        store.close()
