"""Decodes stored lines of history and events, exactly once, behind the writer.

A space's `decoded` is the sequence number up to which its own blocks were decoded, `base_decoded` the number of lines
of its base. One step reads from there; one transaction writes what the lines mean together with the new place, if the
place is still where the step began and nothing was laid over these lines meanwhile. A line that a later block covers is
decoded with that block. Lines that were decoded and are overwritten make the run start over (store/lines.py).
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final

from outrider_tracker import failpoints
from outrider_tracker.decode.rows import Decoded, decode
from outrider_tracker.log import say
from outrider_tracker.notifier import sdk_run_topic
from outrider_tracker.store import points
from outrider_tracker.store.errors import StorageFullError, StoreBrokenError, StoreError
from outrider_tracker.store.line_blocks import Segment, segments, texts
from outrider_tracker.store.lines import LineFile
from outrider_tracker.store.store import Store
from outrider_tracker.store.writer import WriterBusyError, WriterClosedError

RETRY_SECONDS: Final = 1.0
POLL_SECONDS: Final = 1.0  # a wake-up is a hint; the tables are looked at this often all the same
STEP_LINES: Final = 5000  # decoded in one step, about …
STEP_BYTES: Final = 2 << 20  # … or this much text
MAX_KEYS: Final = 50_000  # pairs of key and type of one run; more are not counted
_AT_ONCE: Final = 8  # steps on their way to the writer
_PENDING: Final = (
    "SELECT line_space.id, run, line_space.branch, file, client, base_count, base_decoded, decoded, newest, "
    "ifnull(project.entity, '') FROM line_space LEFT JOIN sdk_run ON sdk_run.id = run "
    "LEFT JOIN project ON project.id = sdk_run.project "
    "WHERE file != 'console' AND (decoded < newest OR base_decoded < base_count) ORDER BY line_space.id"
)
_BACKLOG: Final = (
    "SELECT ifnull(sum(base_count - base_decoded), 0) + ifnull(sum((SELECT sum(line_block.count) FROM line_block "
    "WHERE space = line_space.id AND seq > decoded)), 0) FROM line_space "
    "WHERE file != 'console' AND (decoded < newest OR base_decoded < base_count)"
)


@dataclass(frozen=True, slots=True)
class _Pending:
    space: int
    run: int
    branch: int
    file: LineFile
    client: str
    base_count: int
    base_decoded: int
    decoded: int
    newest: int
    entity: str


@dataclass(frozen=True, slots=True)
class _Step:
    """What one step writes. `seen`: the newest block it knew of; `lines`: the ranges that it decoded."""

    seen: int
    base_decoded: int
    decoded: int
    lines: list[tuple[int, int]]
    found: Decoded


class LineDecoder:
    """A thread that decodes whatever is pending. `wake` after each append; it also looks at its start."""

    def __init__(self, store: Store, publish: Callable[[Iterable[Hashable]], None]) -> None:
        self._store = store
        self._publish = publish
        self._wanted = threading.Event()
        self._stop = threading.Event()
        self._wanted.set()
        self.stuck: set[int] = set()
        self._thread = threading.Thread(target=self._run, name="line-decoder", daemon=True)

    def start(self) -> None:
        """Begins; what an earlier process left is decoded first."""
        self._thread.start()

    def wake(self) -> None:
        """Something was appended."""
        self._wanted.set()

    def close(self) -> None:
        """Ends after the steps at hand."""
        self._stop.set()
        self._wanted.set()
        if self._thread.is_alive():
            self._thread.join()

    def drain(self) -> None:
        """Decodes all that is pending now, in the caller's thread."""
        while self._round():
            if self._stop.is_set():
                return

    def backlog(self) -> int:
        """Lines that are durable and not decoded."""
        return int(self._store.readers.read(lambda connection: connection.execute(_BACKLOG).fetchone())[0])

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wanted.wait(POLL_SECONDS)
            self._wanted.clear()
            try:
                self.drain()
            except WriterClosedError:
                return
            except (StorageFullError, WriterBusyError, StoreBrokenError) as error:
                say("line_decoder.waits", reason=str(error))
                self._stop.wait(RETRY_SECONDS)
                self._wanted.set()

    def _round(self) -> bool:
        """One step of every pending space. Whether any of them moved."""
        rows = self._store.readers.read(lambda connection: connection.execute(_PENDING).fetchall())
        moved = False
        waiting: list[tuple[_Pending, Future[bool]]] = []
        for row in rows:
            pending = _Pending(row[0], row[1], row[2], LineFile(row[3]), *row[4:])
            if pending.space in self.stuck:
                continue
            step = self._read(pending)
            if step is not None:
                waiting.append((pending, self._submit(pending, step)))
            if len(waiting) >= _AT_ONCE or self._stop.is_set():
                moved = self._finish(waiting) or moved
            if self._stop.is_set():
                return False
        return self._finish(waiting) or moved

    def _submit(self, pending: _Pending, step: _Step) -> Future[bool]:
        now, most = self._store.clock(), self._store.max_series(pending.entity)
        return self._store.writer.submit(lambda connection: _write(connection, pending, step, now, most))

    def _finish(self, waiting: list[tuple[_Pending, Future[bool]]]) -> bool:
        """Waits for the steps under way. What breaks one of them stops its own space only; a restart tries again."""
        moved = False
        for pending, future in waiting:
            try:
                if future.result():
                    moved = True
                    self._publish([sdk_run_topic(pending.run)])
                else:
                    self._wanted.set()  # somebody changed the lines meanwhile: once more
            except StoreError:
                waiting.clear()
                raise
            except Exception as error:  # noqa: BLE001  whatever hostile rows found: others must go on
                self._give_up(pending, error)
        waiting.clear()
        return moved

    def _give_up(self, pending: _Pending, error: Exception) -> None:
        self.stuck.add(pending.space)
        say("line_decoder.stuck", space=pending.space, block=pending.decoded, error=repr(error))

    def _read(self, pending: _Pending) -> _Step | None:
        """What the next lines of the space come to; None if this release cannot say."""
        try:
            with self._store.readers.snapshot() as connection:
                return _step(connection, pending, self._store.clock())
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001  as above
            self._give_up(pending, error)
            return None


def _step(connection: sqlite3.Connection, pending: _Pending, now: float) -> _Step:
    """What the next lines of a space come to, the base's before its own."""
    (seen,) = connection.execute(
        "SELECT ifnull(max(seq), 0) FROM line_block WHERE space = ?", (pending.space,)
    ).fetchone()
    base_decoded, decoded = pending.base_decoded, pending.decoded
    if base_decoded < pending.base_count:
        parts, base_decoded = _of_base(connection, pending)
    else:
        parts, decoded = _of_own(connection, pending)
    lines = [line for _, found in texts(connection, parts) for line in found]
    received = _received(connection, parts[0]) if parts else now
    ranges = [(part.start, part.stop) for part in parts]
    return _Step(seen, base_decoded, decoded, ranges, decode(lines, pending.file, pending.client, received))


def _of_base(connection: sqlite3.Connection, pending: _Pending) -> tuple[list[Segment], int]:
    """The next segments of the base that nothing of the space's own covers, and the line that they go up to."""
    start, width = pending.base_decoded, STEP_LINES
    stop = min(pending.base_count, start + width)
    while not (found := segments(connection, pending.space, start, stop)) and stop < pending.base_count:
        width *= 8  # lines that nobody wrote
        stop = min(pending.base_count, start + width)
    parts = [part for part in found if part.level]
    size = 0
    for at, part in enumerate(parts):
        size += connection.execute("SELECT bytes FROM line_block WHERE seq = ?", (part.seq,)).fetchone()[0]
        if at and size > STEP_BYTES:
            return parts[:at], part.start
    return parts, stop


def _of_own(connection: sqlite3.Connection, pending: _Pending) -> tuple[list[Segment], int]:
    """The next blocks' segments that no newer block covers, and the last one's sequence number."""
    count, size = 0, 0
    chosen: dict[int, tuple[int, int]] = {}
    for seq, first, lines, length in connection.execute(
        "SELECT seq, first, count, bytes FROM line_block WHERE space = ? AND seq > ? ORDER BY seq",
        (pending.space, pending.decoded),
    ):
        count, size = count + lines, size + length
        if chosen and (count > STEP_LINES or size > STEP_BYTES):
            break
        chosen[seq] = first, first + lines
    if not chosen:
        return [], pending.newest
    low, high = min(first for first, _ in chosen.values()), max(stop for _, stop in chosen.values())
    # Blocks that follow each other are resolved together, those that lie far apart one by one.
    together = high - low <= 4 * count
    ranges = [(low, high)] if together else list(chosen.values())
    parts = {
        (part.seq, part.start): part
        for start, stop in ranges
        for part in segments(connection, pending.space, start, stop)
        if part.level == 0 and part.seq in chosen
    }
    return [parts[key] for key in sorted(parts)], max(chosen)


def _received(connection: sqlite3.Connection, part: Segment) -> float:
    """When a segment came: the time of rows that bring none, the same each time they are decoded."""
    return float(connection.execute("SELECT received FROM line_block WHERE seq = ?", (part.seq,)).fetchone()[0])


def _write(connection: sqlite3.Connection, pending: _Pending, step: _Step, now: float, most: float) -> bool:
    """False if the space is not any more what the step was made from."""
    changed = connection.execute(
        "UPDATE line_space SET base_decoded = ?, decoded = ? WHERE id = ? AND run = ? AND branch = ? "
        "AND base_decoded = ? AND decoded = ? AND NOT EXISTS (SELECT 1 FROM line_block WHERE space = ? AND seq > ? "
        "AND first < ? AND first + count > ?)",
        (
            step.base_decoded,
            step.decoded,
            pending.space,
            pending.run,
            pending.branch,
            pending.base_decoded,
            pending.decoded,
            pending.space,
            step.seen,
            max((stop for _, stop in step.lines), default=0),
            min((start for start, _ in step.lines), default=0),
        ),
    )
    if changed.rowcount != 1:
        return False
    found = step.found
    points.append(connection, -pending.run, found.series, now, most)
    _write_keys(connection, pending.run, found)
    connection.executemany(
        "INSERT INTO media (run, key, step, type, data_json) VALUES (?, ?, ?, ?, ?)",
        [(pending.run, item.key, item.step, item.type, item.data) for item in found.media],
    )
    failpoints.passing(failpoints.LINE_DECODE_BEFORE_COMMIT)
    return True


def _write_keys(connection: sqlite3.Connection, run: int, found: Decoded) -> None:
    counted = [(run, *key, item.count, item.last_json()) for key, item in found.keys.items()]
    if not counted:
        return
    (held,) = connection.execute("SELECT count(*) FROM history_key WHERE run = ?", (run,)).fetchone()
    room = max(0, MAX_KEYS - held)
    if len(counted) > room:
        known = set(connection.execute("SELECT key, type FROM history_key WHERE run = ?", (run,)))
        fresh = [item for item in counted if (item[1], item[2]) not in known]
        counted = [item for item in counted if (item[1], item[2]) in known] + fresh[:room]
    connection.executemany(
        "INSERT INTO history_key (run, key, type, count, last_json) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (run, key, type) DO UPDATE SET count = count + excluded.count, last_json = excluded.last_json",
        counted,
    )
