"""From lines to events, points and items: what is understood, what is counted, and that it happens once."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider_tracker.core import jsontext
from outrider_tracker.core.frames import DataFrame, LostFrame, StreamFrame
from outrider_tracker.decode import events, metrics
from outrider_tracker.decode.decoder import Decoder
from outrider_tracker.decode.lines import cut, parse
from outrider_tracker.decode.metrics import Gathered, rank_of_name
from outrider_tracker.store.batches import SeriesKey
from outrider_tracker.store.logs import Data
from outrider_tracker.store.records import LostRange
from outrider_tracker.store.store import Store
from tests.unit.tracker.store.test_conformance import append
from tests.unit.tracker.store.test_conformance import data as frame_of
from tests.unit.tracker.store.test_conformance import store as store  # noqa: PLC0414  the fixture


@given(st.lists(st.sampled_from([b"{}", b'{"a":1}', b"", b"x"]), max_size=9), st.integers(0, 40))
def test_only_whole_lines_are_decoded(lines: list[bytes], stop: int) -> None:
    """Whatever is cut, decoding on from the answered offset gives the same lines."""
    whole = b"".join(line + b"\n" for line in lines)
    stop = min(stop, len(whole))
    first = cut([Data(0, whole[:stop], 1.0)], 0, closed=False)
    rest = [Data(first.decoded, whole[first.decoded :], 1.0)] if first.decoded < len(whole) else []
    second = cut(rest, first.decoded, closed=False)
    assert first.lines + second.lines == [line for line in lines if line]
    assert second.decoded == len(whole)


def test_a_line_over_the_bound_is_dropped_and_counted() -> None:
    """Also while its end is not there yet."""
    found = cut([Data(0, b"x" * 70_000, 1.0)], 0, closed=False)
    assert (found.lines, found.decoded, found.malformed) == ([], 70_000, 1)
    found = cut([Data(0, b"x" * 70_000 + b"\n{}\n", 1.0)], 0, closed=False)
    assert (found.lines, found.malformed) == ([b"{}"], 1)


def test_a_lost_range_ends_a_line() -> None:
    """What was cut off is a line of its own (and no JSON); what follows is decoded."""
    found = cut([Data(0, b'{"a"', 1.0), LostRange(4, 9, "full"), Data(9, b"{}\n", 1.0)], 0, closed=False)
    assert (found.lines, found.decoded) == ([b'{"a"', b"{}"], 12)


def test_the_last_line_of_a_closed_generation_needs_no_newline() -> None:
    """Nothing can follow it."""
    assert cut([Data(0, b"{}", 1.0)], 0, closed=True).lines == [b"{}"]
    assert cut([Data(0, b"{}", 1.0)], 0, closed=False).lines == []


# Among them half a character, escaped and coded, and another coding than UTF-8.
@pytest.mark.parametrize(
    "line",
    [
        *(b"[]", b"{", b"nonsense", b"[" * 50_000, b"\xff", b"1" * 5000),
        *(b'{"a": "\\ud800"}', b'{"a": "\xed\xa0\x80"}', '{"a": 1}'.encode("utf-16")),
    ],
)
def test_what_is_no_object_is_none(line: bytes) -> None:
    """Hostile lines cost nothing but their count."""
    assert parse(line) is None


def test_json_that_cannot_be_stored_is_written_as_text() -> None:
    """NaN and infinities, at any depth."""
    assert json.loads(jsontext.write({"a": [math.nan, {"b": -math.inf}], "c": 1.5})) == {
        "a": ["NaN", {"b": "-Infinity"}],
        "c": 1.5,
    }


METRICS = {
    "rank": (
        {"ts": 5, "scope": "rank", "rank": 3, "container": "train", "m": {"cpu": 50, "odd": "NaN"}},
        {
            SeriesKey("cpu", "system", "rank", 3, "train"): [50.0],
            SeriesKey("odd", "system", "rank", 3, "train"): [math.nan],
        },
        0,
    ),
    "container of the stream": (
        {"ts": 5, "scope": "container", "m": {"container.cpu": 1}},
        {SeriesKey("container.cpu", "system", "container", None, "main"): [1.0]},
        0,
    ),
    "node": (
        {"ts": 5, "scope": "node", "m": {"network.sent": 1}},
        {SeriesKey("network.sent", "system", "node", None, ""): [1.0]},
        0,
    ),
    "rank without its number": ({"ts": 5, "scope": "rank", "m": {"cpu": 1}}, {}, 1),
    "unknown scope": ({"ts": 5, "scope": "galaxy", "m": {"cpu": 1}}, {}, 1),
    "values of no number": ({"ts": 5, "scope": "node", "m": {"a": True, "b": None, "c": "x", "": 1}}, {}, 4),
    "a number too large": (
        {"ts": 5, "scope": "node", "m": {"a": 10**400}},
        {SeriesKey("a", "system", "node", None, ""): [math.inf]},
        0,
    ),
}


@pytest.mark.parametrize(("line", "want", "malformed"), METRICS.values(), ids=METRICS)
def test_metric_lines(line: dict[str, Any], want: dict[SeriesKey, list[float]], malformed: int) -> None:
    """Scope, rank and container make the series; what is no number is counted."""
    gathered = Gathered()
    metrics.read_metrics(line, gathered, 9.0, "main")
    assert {key: str(list(found.values)) for key, found in gathered.series.items()} == {
        key: str(values) for key, values in want.items()
    }
    assert gathered.malformed == malformed
    assert all(list(found.times) == [5.0] for found in gathered.series.values())


def test_user_lines() -> None:
    """log makes points, config and summary the newest value of a key, the rest items; unknown ones are counted."""
    gathered = Gathered()
    lines: list[dict[str, Any]] = [
        {"type": "log", "step": 3, "ts": 1.0, "data": {"loss": 0.5, "bad": []}},
        {"type": "log", "rank": 7, "step": math.inf, "data": {"loss": math.inf}},
        {"type": "config", "data": {"lr": 1}},
        {"type": "config", "data": {"lr": 2}},
        {"type": "alert", "ts": 2.0, "data": {"title": "hot"}},
        {"type": "hologram", "data": {}},
        {"type": "log", "data": 5},
        {"data": {}},
    ]
    for line in lines:
        metrics.read_user(line, gathered, 9.0, 4)
    mine, other = SeriesKey("loss", "user", "user", 4, ""), SeriesKey("loss", "user", "user", 7, "")
    assert (list(gathered.series[mine].times), list(gathered.series[mine].steps)) == ([1.0], [3.0])
    assert list(gathered.series[other].values) == [math.inf]
    assert math.isnan(gathered.series[other].steps[0])
    assert gathered.values == {("config", 4, "lr"): ("2", 9.0)}
    assert [(item.type, item.rank, item.time) for item in gathered.items] == [("alert", 4, 2.0)]
    assert (gathered.unknown, gathered.malformed) == (1, 3)


@pytest.mark.parametrize("x", [1e300, -1e300, math.nan, math.inf, 2**63 + 4096, "Infinity"])
def test_times_and_steps_that_no_chart_can_place_are_none(x: Any) -> None:
    """The point stays, at the time it came and without a step."""
    gathered = Gathered()
    metrics.read_user({"type": "log", "ts": x, "step": x, "data": {"loss": 0.5}}, gathered, 9.0, 0)
    (points,) = gathered.series.values()
    assert (list(points.times), list(points.values)) == ([9.0], [0.5])
    assert math.isnan(points.steps[0])


@pytest.mark.parametrize(
    ("name", "rank"),
    [("user/rank3", 3), ("user/rank12-eval", 12), ("user/deep/rank0.x", 0), ("user/ranking", None), ("user/a", None)],
)
def test_the_rank_of_a_user_file(name: str, rank: int | None) -> None:
    """Only what begins with rank and a number says one."""
    assert rank_of_name(name) == rank


EVENTS = {
    "start needs its container": ({"type": "container.start", "start": 0}, None),
    "rank needs its number": ({"type": "rank.start", "container": "c", "start": 0, "pid": 1}, None),
    "no type": ({"ts": 1}, None),
    "unknown type": ({"type": "later"}, (False, False)),
    "warning": ({"type": "warning", "code": "X", "message": "y"}, (True, True)),
    "info is not for the feed": ({"type": "container.info"}, (True, False)),
}


@pytest.mark.parametrize(("record", "want"), EVENTS.values(), ids=EVENTS)
def test_events(record: dict[str, Any], want: tuple[bool, bool] | None) -> None:
    """(known, feeds), or malformed."""
    found = events.read(record)
    assert (None if found is None else (found.known, found.feeds)) == want


def stream(name: str, kind: str) -> StreamFrame:
    """A stream of container train, start 0."""
    return StreamFrame(name, {"kind": kind, "container": "train", "start": 0, "path": name})


def named(name: str, offset: int, raw: bytes, generation: int = 0) -> DataFrame:
    """A data frame of any stream."""
    made = frame_of(offset, raw, generation)
    return DataFrame(name, generation, offset, made.length, made.coding, made.crc, made.payload)


@pytest.fixture
def decoder(store: Store) -> Iterator[Decoder]:
    """Not started: the tests drain it."""
    made = Decoder(store, lambda _: None)
    yield made
    made.close()


def told(store: Store) -> list[str]:
    """Messages of the warnings in the feed."""
    query = "SELECT json_extract(event_json, '$.message') FROM feed WHERE type = 'warning' ORDER BY seq"
    return [row[0] for row in store.readers.read(lambda connection: connection.execute(query).fetchall())]


def warning(message: str) -> bytes:
    """A line."""
    return json.dumps({"type": "warning", "ts": 1, "code": "X", "message": message}).encode() + b"\n"


def test_lines_are_decoded_once_however_they_come(store: Store, decoder: Decoder) -> None:
    """Byte by byte, with drains in between, through a new generation and a lost range."""
    raw = b"".join(warning(f"m{number}") for number in range(5))
    append(store, stream("e", "events"))
    for at in range(0, len(raw), 37):
        append(store, named("e", at, raw[at : at + 37]))
        decoder.drain()
    append(store, named("e", 0, warning("second")[:-1], 1))
    decoder.drain()
    append(store, LostFrame("e", 3, 0, 10, "shed"), named("e", 10, warning("fourth"), 3))
    decoder.drain()
    decoder.drain()
    assert told(store) == ["m0", "m1", "m2", "m3", "m4", "second", "fourth"]


def test_malformed_and_unknown_lines_are_counted_and_kept(store: Store, decoder: Decoder) -> None:
    """The raw stream holds them; others go on."""
    append(store, stream("e", "events"), named("e", 0, b'garbage\n{"type":"later"}\n' + warning("good")))
    assert decoder.backlog() == 1
    decoder.drain()
    assert decoder.backlog() == 0
    row = store.readers.read(lambda connection: connection.execute("SELECT malformed, unknown FROM stream").fetchone())
    assert (row, told(store)) == ((1, 1), ["good"])
    assert store.reader.read_bytes(1, 0, 0, 7).data == b"garbage"


def test_series_over_the_bound_are_refused_and_counted(
    store: Store, decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One source cannot fill the store with keys."""
    monkeypatch.setattr(store, "max_series", lambda _: 3)
    line = json.dumps({"type": "log", "data": {f"k{number}": 1 for number in range(10)}}).encode() + b"\n"
    append(store, stream("user/a", "user"), named("user/a", 0, line))
    decoder.drain()
    query = "SELECT (SELECT count(*) FROM series), refused_series FROM source"
    assert store.readers.read(lambda connection: connection.execute(query).fetchone()) == (3, 7)


def test_ranks_of_restarts_and_containers(store: Store, decoder: Decoder, tmp_path: Path) -> None:
    """A restarted rank is another record; what never reported its end is unknown once its container is over."""
    place = {"container": "train", "start": 0}

    def line(**fields: Any) -> bytes:
        return json.dumps({"ts": 1.0, **place, **fields}).encode() + b"\n"

    raw = (
        line(type="container.start", pid=1)
        + line(type="rank.start", pid=5, rank=0, localRank=0, restart=0, stderr="a.log")
        + line(type="rank.exit", pid=5, rank=0, localRank=0, restart=0, signal=9, oomKills=2)
        + line(type="rank.start", pid=6, rank=0, localRank=0, restart=1, stderr="b.log")
        + line(type="rank.start", pid=7, rank=1, localRank=1, restart=1)
    )
    append(
        store, stream("e", "events"), named("e", 0, raw), StreamFrame("b", {"kind": "stderr", "path": "b.log", **place})
    )
    decoder.drain()
    store.writer.run(
        lambda connection: connection.execute("UPDATE source SET run_id = 'r', attempt = 1, node_rank = 0")
    )
    found = store.reader.list_ranks("r", last_words=True)
    assert [
        (rank.rank, rank.restart, rank.state, rank.signal, rank.oom_kills, len(rank.streams)) for rank in found
    ] == [
        (0, 0, "exited", 9, 2, 0),
        (0, 1, "running", None, 0, 1),
        (1, 1, "running", None, 0, 0),
    ]
    append(store, named("e", len(raw), line(type="container.exit", code=1)))
    decoder.drain()
    assert [rank.state for rank in store.reader.list_ranks("r")] == ["exited", "unknown", "unknown"]


def test_a_container_without_ranks_is_one_unit(store: Store, decoder: Decoder) -> None:
    """Rank unknown, role rank, with the container's own text."""
    raw = b'{"type":"container.start","ts":1,"container":"train","start":0,"pid":1}\n'
    append(
        store,
        stream("e", "events"),
        named("e", 0, raw),
        StreamFrame("o", {"kind": "stdout", "path": "stdout.log", "container": "train", "start": 0}),
        named("o", 0, b"hi\n"),
    )
    decoder.drain()
    store.writer.run(lambda connection: connection.execute("UPDATE source SET run_id = 'r'"))
    (unit,) = store.reader.list_ranks("r")
    assert (unit.rank, unit.role, unit.state, [(item.kind, item.end) for item in unit.streams]) == (
        None,
        "rank",
        "running",
        [("stdout", 3)],
    )
