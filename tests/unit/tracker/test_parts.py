"""The small parts: clock bounds, watermarks, directives, notifier, folder, migrations, writer."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Hashable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider_tracker.ingest import directives
from outrider_tracker.ingest.clock import ClockBounds, Contact, narrow
from outrider_tracker.ingest.directives import DirectiveBoard, pace
from outrider_tracker.ingest.watermarks import Disk, DiskGauge, Watermarks, accepts
from outrider_tracker.maintenance import Maintenance
from outrider_tracker.notifier import Notifier
from outrider_tracker.store.database import connect, migrate, open_database
from outrider_tracker.store.errors import SchemaRefusedError
from outrider_tracker.store.folder import DataFolder, FolderRefusedError, file_system_type, refuse_network
from outrider_tracker.store.store import Store
from outrider_tracker.store.writer import Writer, WriterClosedError

delays = st.floats(0.001, 2.0)


@given(st.floats(-1000, 1000), st.lists(st.tuples(delays, delays), min_size=1, max_size=20))
def test_clock_bounds_always_hold_the_true_offset(offset: float, trips: list[tuple[float, float]]) -> None:
    """Whatever the network's delays: ours - theirs stays between the bounds, and the guess is within its error."""
    bounds: ClockBounds | None = None
    ours, answered = 10_000.0, None
    for pause, delay in trips:
        sent = ours + pause
        received = sent + delay
        theirs = sent - offset
        since = 0.0 if answered is None else received - answered
        bounds = narrow(bounds, Contact(answered, received, theirs, theirs - 77.0), since)
        if bounds is not None:
            assert bounds.low - 1e-6 <= offset <= bounds.high + 1e-6
            assert abs(bounds.offset - offset) <= bounds.error + 1e-6
        ours = answered = received
    assert (bounds is None) == (len(trips) == 1)


def test_a_stepped_clock_begins_anew() -> None:
    """NTP moved the source's wall clock by an hour: old bounds say nothing any more."""
    bounds = ClockBounds(-1.0, 1.0, 500.0)
    found = narrow(bounds, Contact(100.0, 101.0, 4100.5, 0.5), 1.0)
    assert found == ClockBounds(100.0 - 4100.5, 101.0 - 4100.5, 4100.0)


FILL = {
    0.10: {"events", "user", "stderr", "stdout", "metrics", "files"},
    0.85: {"events", "user", "stderr", "stdout", "metrics"},
    0.92: {"events", "user"},
    0.97: {"events"},
    1.00: {"events"},
}


@pytest.mark.parametrize(("used", "want"), FILL.items())
def test_watermarks(used: float, want: set[str]) -> None:
    """Files first, then logs and metrics, then all but events."""
    assert set(accepts(used, Watermarks())) == want


def test_the_gauge_looks_once_a_second(tmp_path: Path) -> None:
    """And sees the disk empty again."""
    now, used = [0.0], [99]
    gauge = DiskGauge(tmp_path, Watermarks(), look=lambda _: Disk(100, 100 - used[0]), clock=lambda: now[0])
    used[0] = 10
    assert gauge.accepts() == ("events",)
    now[0] = 1.0
    assert "files" in gauge.accepts()


def test_directives_are_numbered_and_bounded() -> None:
    """Each is heard once by who asks for what is new."""
    board = DirectiveBoard(lambda _: None)
    first = board.post("a", {"type": "flush"})
    second = board.post("a", {"type": "pace", "interval": 2})
    assert board.after("a", 0) == (second, [{"type": "flush"}, {"type": "pace", "interval": 2}])
    assert board.after("a", first) == (second, [{"type": "pace", "interval": 2}])
    assert board.after("a", second) == (second, [])
    assert board.after("b", 7) == (7, [])
    for _ in range(100):
        board.post("a", {"type": "flush"})
    assert len(board.after("a", 0)[1]) == 32


def test_answers_carry_a_directive_once() -> None:
    """Whatever others asked for by number; and each source has its own."""
    moved: list[Hashable] = []
    board = DirectiveBoard(moved.extend)
    assert board.take("a") == []
    first = board.post("a", {"type": "flush"})
    assert moved == [directives.topic("a")]
    assert board.after("a", 0) == (first, [{"type": "flush"}]), "reading by number takes nothing"
    assert [board.take("b"), board.take("a"), board.take("a")] == [[], [{"type": "flush"}], []]
    board.post("a", {"type": "pace", "interval": 2})
    board.post("a", {"type": "flush"})
    assert board.take("a") == [{"type": "pace", "interval": 2}, {"type": "flush"}]
    assert len(board.after("a", 0)[1]) == 3, "who keeps a number may ask again"


@pytest.mark.parametrize(
    ("active", "watched", "seconds"), [(1, False, 0.5), (3000, False, 3.0), (99_999, False, 5.0), (99_999, True, 0.5)]
)
def test_pace(active: int, watched: bool, seconds: float) -> None:
    """Slower with thousands of pods, unless somebody looks."""
    assert pace(active, watched=watched) == seconds


async def test_a_waiter_is_woken_by_its_topic_only() -> None:
    """Also when it moved between reading and waiting; also when the tracker stops."""
    notifier = Notifier()
    notifier.start(asyncio.get_running_loop())
    version = notifier.version("a")
    waiting = asyncio.create_task(notifier.wait("a", version, 30))
    await asyncio.sleep(0)  # the task runs until it waits
    assert notifier.watched("a")
    for topic in ("b", "a"):
        thread = threading.Thread(target=notifier.publish, args=([topic],))
        thread.start()
        thread.join()  # one that comes late would count as news of "c" below, of which nobody has heard yet
    assert await waiting
    assert await notifier.wait("a", version, 30), "it moved since: no wait at all"
    assert not await notifier.wait("a", notifier.version("a"), 0.01)
    last = asyncio.create_task(notifier.wait("c", notifier.version("c"), 30))
    await asyncio.sleep(0)
    assert notifier.watched("c")
    notifier.close()
    assert not await last
    assert not notifier.watched("c")


def test_network_file_systems_are_refused(tmp_path: Path) -> None:
    """By their magic number; this disk is none."""
    with pytest.raises(FolderRefusedError, match=r"NFS.*local disk"):
        refuse_network(tmp_path, 0x6969)
    refuse_network(tmp_path, file_system_type(tmp_path))


def test_a_folder_has_one_owner(tmp_path: Path) -> None:
    """Until it is closed."""
    first = DataFolder(tmp_path / "data")
    with pytest.raises(FolderRefusedError, match="another tracker holds"):
        DataFolder(tmp_path / "data")
    DataFolder(tmp_path / "data", exclusive=False).close()
    first.close()
    DataFolder(tmp_path / "data").close()


def test_a_folder_is_taken_over_from_one_that_is_about_to_end(tmp_path: Path) -> None:
    """A tracker that was killed while it started a process leaves the lock to that for a moment."""
    first = DataFolder(tmp_path / "data")
    ending = threading.Timer(0.3, first.close)
    ending.start()
    DataFolder(tmp_path / "data").close()
    ending.join()


def test_migrations_run_once_and_keep_the_incarnation(tmp_path: Path) -> None:
    """Opening again changes nothing."""
    seen = []
    for _ in range(2):
        connection = open_database(tmp_path / "x.db", lambda: 5.0)
        seen.append(dict(connection.execute("SELECT key, value FROM meta")))
        connection.close()
    assert seen[0] == seen[1]
    assert len(seen[0]["incarnation"]) == 16
    assert seen[0]["schema_version"] == "1"


def test_a_newer_store_is_read_if_it_allows_it(tmp_path: Path) -> None:
    """Expanded by a newer release: fine, and its version stays. Contracted: refused with a sentence."""
    connection = open_database(tmp_path / "x.db")
    connection.execute("UPDATE meta SET value = '7' WHERE key = 'schema_version'")
    migrate(connection, 1.0)
    assert connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone() == ("7",)
    connection.execute("UPDATE meta SET value = '6' WHERE key = 'min_compatible'")
    with pytest.raises(SchemaRefusedError, match="Install the newer release"):
        migrate(connection, 1.0)
    connection.close()


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    """On a table with one column."""
    connection = connect(tmp_path / "w.db")
    connection.execute("CREATE TABLE t (x INTEGER PRIMARY KEY)")
    return Writer(connection)


def inserting(x: int) -> Callable[[sqlite3.Connection], object]:
    """A job that inserts one row."""
    return lambda connection: connection.execute("INSERT INTO t VALUES (?)", (x,))


def test_jobs_are_grouped_and_a_failed_one_undoes_only_itself(writer: Writer, tmp_path: Path) -> None:
    """Many waiting jobs make few commits; each answer comes after its commit."""
    gate = threading.Event()
    held = writer.submit(lambda _: gate.wait(30))
    jobs = [writer.submit(inserting(x)) for x in range(100)]

    def half(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO t VALUES (1000)")
        connection.execute("INSERT INTO t VALUES (5)")

    bad = writer.submit(half)
    gate.set()
    held.result(30)
    for job in jobs:
        job.result(30)
    with pytest.raises(sqlite3.IntegrityError):
        bad.result(30)
    writer.close()
    connection = connect(tmp_path / "w.db")
    assert connection.execute("SELECT count(*), max(x) FROM t").fetchone() == (100, 99)
    connection.close()
    assert writer.jobs == 101
    assert writer.commits < 100


def test_a_closed_writer_refuses(writer: Writer) -> None:
    """What waits is committed first; later jobs are told to come back."""
    job = writer.submit(lambda connection: connection.execute("INSERT INTO t VALUES (1)").rowcount)
    writer.close()
    assert job.result(1) == 1
    with pytest.raises(WriterClosedError):
        writer.run(lambda _: None)


def test_maintenance_outlives_a_failed_round(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what failed, and the next round is made."""
    store = Store(tmp_path / "data")
    rounds = 0
    again = threading.Event()

    def seal(_: float) -> int:
        nonlocal rounds
        rounds += 1
        if rounds > 1:
            again.set()
            return 0
        raise OverflowError("intermediate overflow")

    monkeypatch.setattr(store.points, "seal", seal)
    maintenance = Maintenance(store, interval=0.01)
    maintenance.start()
    try:
        assert again.wait(30)
    finally:
        maintenance.close()
        store.close()
    assert "OverflowError('intermediate overflow')" in capsys.readouterr().err
