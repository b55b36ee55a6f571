"""The decoding process: it says what the same steps say here, and whatever ends it costs nobody anything."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from outrider_tracker.decode import process
from outrider_tracker.decode.line_decoder import LineDecoder
from outrider_tracker.decode.process import DecodingAwayError, DecodingFailedError, DecodingProcess
from outrider_tracker.decode.steps import Here
from outrider_tracker.decode.stream_step import PENDING, PendingStream
from outrider_tracker.store import lines, undecoded
from outrider_tracker.store.found import DIRECT
from outrider_tracker.store.line_blocks import LineFile
from outrider_tracker.store.lines import LineBatch
from outrider_tracker.store.store import Store
from tests.integration.tracker.process import until
from tests.unit.tracker.decode.test_decoding import named, stream
from tests.unit.tracker.store.test_conformance import append
from tests.unit.tracker.store.test_conformance import store as store  # noqa: PLC0414  the fixture

NOW, MOST = 1_700_000_000.0, 1e9


@pytest.fixture
def decoding(store: Store) -> Iterator[DecodingProcess]:
    """Of the store; it starts when it is asked."""
    made = DecodingProcess(store.folder.database, store.folder.objects)
    yield made
    made.close()
    assert made.pid is None


def log(store: Store, run: int, *rows: str) -> None:
    """A run with these rows of history."""

    def begin(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT OR IGNORE INTO project (id, entity, name, created) VALUES (1, 'e', 'p', 0)")
        connection.execute(
            "INSERT INTO sdk_run (id, project, name, display_name, created, updated, heartbeat) "
            "VALUES (?, 1, ?, '', 0, 0, 0)",
            (run, f"r{run}"),
        )

    store.writer.run(begin)
    batch = LineBatch(LineFile.HISTORY, "", 0, rows)
    store.writer.run(lambda connection: lines.append_lines(connection, run, 0, batch, assign_steps=False, now=NOW))


def places(store: Store) -> list[undecoded.Pending]:
    """Lines that wait."""
    return store.readers.read(undecoded.pending)


def streams(store: Store) -> list[PendingStream]:
    """Streams that wait."""
    return store.readers.read(lambda c: [PendingStream(*row) for row in c.execute(PENDING)])


def test_lines_mean_there_what_they_mean_here(store: Store, decoding: DecodingProcess) -> None:
    """Whatever a row holds; a wide one comes in portions."""
    log(
        store,
        1,
        '{"_step":0,"_timestamp":1.5,"loss":0.5,"a":{"b":NaN},"t":"é\\u0000","big":123456789012345678901234567890}',
        '{"_step":1,"loss":Infinity,"pic":{"_type":"image-file","path":"p"},"none":null,"flag":true,"list":[1]}',
        "no JSON",
        '{"_step":-9223372036854775809,"loss":1e999,"pic":{"_type":"x","n":18446744073709551616}}',
    )
    log(store, 2, json.dumps({f"key{number}": number for number in range(DIRECT + 1)}))
    here = Here(store.readers, store.objects)
    for place in places(store):
        step = decoding.of_lines(place, NOW, MOST)
        assert step == here.of_lines(place, NOW, MOST)
        assert bool(step.prepared.kept) == (place.run == 2)
        assert step.prepared.kept or {batch.key.key for batch in step.prepared.whole.series} >= {"loss", "a.b", "big"}
    assert decoding.starts == 1


def test_streams_mean_there_what_they_mean_here(store: Store, decoding: DecodingProcess) -> None:
    """Events, metrics and user data, read from objects and from the tail."""
    sent: dict[str, list[dict[str, Any]]] = {
        "events": [
            {"type": "rank.exit", "ts": 2.5, "container": "c", "start": 0, "pid": 7, "rank": 3, "code": 1},
            {"type": "container.exit", "ts": float("nan"), "container": "c", "start": 0, "code": 9},
            {"type": "rank.start"},
            {"type": "unheard of"},
        ],
        "metrics": [{"ts": 1, "scope": "rank", "rank": 1, "m": {"cpu": 0.5, "gpu": "NaN", "bad": []}}] * 3,
        "user": [
            {"type": "log", "step": 1, "data": {"loss": 0.5, "nan": float("nan")}},
            {"type": "config", "data": {"lr": 1e-3, "x": float("inf")}},
            {"type": "alert", "data": {"title": "é"}},
        ],
    }
    for kind, records in sent.items():
        raw = b"".join(json.dumps(record).encode() + b"\n" for record in records)
        append(store, stream(kind, kind), named(kind, 0, raw))
    here = Here(store.readers, store.objects)
    found = {pending.kind: decoding.of_stream(pending, NOW, MOST) for pending in streams(store)}
    assert found == {pending.kind: here.of_stream(pending, NOW, MOST) for pending in streams(store)}
    assert [(step.malformed, step.unknown) for step in found.values()] == [(1, 1), (3, 0), (0, 0)]
    assert [len(found[kind].events) for kind in sent] == [2, 0, 0]
    assert len(found["user"].values) == 2


def test_it_is_started_again_when_something_ends_it(store: Store, decoding: DecodingProcess) -> None:
    log(store, 1, '{"x":1}')
    (place,) = places(store)
    first = decoding.of_lines(place, NOW, MOST)
    assert decoding.pid is not None
    os.kill(decoding.pid, signal.SIGKILL)
    assert decoding.of_lines(place, NOW, MOST) == first
    assert decoding.starts == 2


def test_what_ends_it_twice_is_given_up(
    store: Store, decoding: DecodingProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One space stands still, the next one is decoded."""
    log(store, 1, '{"x":1}')
    monkeypatch.setattr(process, "__name__", "tests.unit.tracker.decode.dying")
    decoder = LineDecoder(store, lambda _: None, decoding)
    decoder.drain()
    assert (len(decoder.stuck), decoding.starts) == (1, 2)
    with pytest.raises(DecodingFailedError, match=r"ended the process twice \(exit code 7\)"):
        decoding.of_lines(places(store)[0], NOW, MOST)
    log(store, 2, '{"x":1}')
    decoder.drain()
    assert [place.run for place in places(store)] == [1]


def test_without_a_process_nothing_is_given_up(
    store: Store, decoding: DecodingProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No memory, no process numbers left, a broken installation: there is a next time."""
    log(store, 1, '{"x":1}')
    monkeypatch.setattr(process, "__name__", "this")  # ends as soon as it is run
    with pytest.raises(DecodingAwayError, match="at its start with exit code 1"):
        decoding.of_lines(places(store)[0], NOW, MOST)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(DecodingAwayError, match="cannot be started"):
        decoding.of_lines(places(store)[0], NOW, MOST)
    decoder = LineDecoder(store, lambda _: None, decoding)
    decoder.start()
    try:
        until(lambda: decoding.starts >= 4, "no process was tried")
        monkeypatch.undo()
        until(lambda: not places(store), "lines wait for ever")
    finally:
        decoder.close()
    assert decoder.stuck == set()


def test_a_place_without_a_step_is_told_as_it_is(store: Store, decoding: DecodingProcess) -> None:
    """A damaged block concerns its space; bytes that the store should have concern the store. It lives on."""
    log(store, 1, '{"x":1}')
    store.writer.run(lambda connection: connection.execute("UPDATE line_block SET data = x'00'"))
    with pytest.raises(DecodingFailedError, match="error"):
        decoding.of_lines(places(store)[0], NOW, MOST)
    append(store, stream("m", "metrics"), named("m", 0, b"{}\n{}\n"))
    store.writer.run(lambda connection: connection.execute("UPDATE frame SET start = 3"))
    with pytest.raises(DecodingAwayError, match="lacks the bytes from 0 to 3"):
        decoding.of_stream(streams(store)[0], NOW, MOST)
    assert decoding.starts == 1


def test_it_ends_when_nothing_was_decoded_for_a_while(store: Store) -> None:
    """And comes back with the next step."""
    now = [0.0]
    decoding = DecodingProcess(store.folder.database, store.folder.objects, lambda: now[0])
    log(store, 1, '{"x":1}')
    (place,) = places(store)
    decoding.of_lines(place, NOW, MOST)
    now[0] = process.IDLE_SECONDS - 1
    decoding.end_if_idle()
    pid = decoding.pid
    assert pid is not None
    assert psutil.pid_exists(pid)
    now[0] += 1
    decoding.end_if_idle()
    assert decoding.pid is None
    assert not psutil.pid_exists(pid)
    decoding.of_lines(place, NOW, MOST)
    assert decoding.starts == 2
    decoding.close()


def test_it_loads_nothing_from_where_it_happens_to_run(
    store: Store, decoding: DecodingProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder and its environment are not asked for modules."""
    log(store, 1, '{"x":1}')
    (tmp_path / "contextlib.py").write_text("raise SystemExit('taken from the folder')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert decoding.of_lines(places(store)[0], NOW, MOST).to.parts


def test_it_ends_with_its_tracker(store: Store) -> None:
    """Which was killed, and could say nothing."""
    log(store, 1, '{"x":1}')
    script = f"""
import sqlite3, time
from pathlib import Path
from typing import Any
from outrider_tracker.decode.process import DecodingProcess
from outrider_tracker.store import undecoded
path = Path({str(store.folder.database)!r})
(place,) = undecoded.pending(sqlite3.connect(path))
decoding = DecodingProcess(path, Path({str(store.folder.objects)!r}))
decoding.of_lines(place, 1.0, 1.0)
print(decoding.pid, flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as tracker:
        assert tracker.stdout is not None
        child = psutil.Process(int(tracker.stdout.readline()))
        assert child.is_running()
        tracker.kill()
    psutil.wait_procs([child], timeout=30)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_it_is_small_comes_second_and_is_ended_first(store: Store, decoding: DecodingProcess) -> None:
    """It needs no numpy; requests have the cores, and where memory is short the tracker stays."""
    log(store, 1, '{"x":1}')
    decoding.of_lines(places(store)[0], NOW, MOST)
    assert decoding.pid is not None
    child = psutil.Process(decoding.pid)
    loaded = Path(f"/proc/{decoding.pid}/maps").read_text()
    assert "sqlite" in loaded
    assert "numpy" not in loaded
    assert child.nice() == psutil.Process().nice() + process.NICE
    assert Path(f"/proc/{decoding.pid}/oom_score_adj").read_text().strip() == str(process.OOM_SCORE)
    assert os.getsid(decoding.pid) != os.getsid(0), "a terminal's ^C is for the tracker"
    with pytest.raises(sqlite3.OperationalError), store.readers.snapshot() as connection:
        connection.execute("DELETE FROM line_block")  # as there: it reads only
