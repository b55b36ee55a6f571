"""What was decoded of lines: series, and of SDK runs also key statistics and media.

All that was decoded of an SDK run belongs to its *decoding*: a number that stands for the run until its lines change
under what was decoded. Then the run gets another one, in the same small transaction, and `sweep` removes what the old
one owned, bit by bit. In the PointStore the owner of series is a source, or minus a decoding.

What comes in portions (store/found.py) is `kept` whole together with the decoder's new place, and `spread` one by one.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from outrider_tracker.store import counted, points
from outrider_tracker.store.found import KeyCount, Portion, Prepared, read_portion

SWEEP_SECONDS: Final = 0.003  # of the writer's time, after which one sweep is over
MAX_KEYS: Final = 50_000  # pairs of key and type of one run; more are not counted


def decoding_of(connection: sqlite3.Connection, run: int) -> int:
    """The run's decoding; 0, which owns nothing, where nothing of it was decoded."""
    row = connection.execute("SELECT id FROM decoding WHERE run = ?", (run,)).fetchone()
    return 0 if row is None else int(row[0])


def begin(connection: sqlite3.Connection, run: int) -> int:
    """The run's decoding, a fresh one if it has none."""
    known = decoding_of(connection, run)
    if known:
        return known
    made = connection.execute("INSERT INTO decoding (run) VALUES (?)", (run,))
    assert made.lastrowid is not None
    return made.lastrowid


def give_up(connection: sqlite3.Connection, run: int) -> None:
    """Takes from a run all that was decoded of it, at once whatever its size."""
    connection.execute("UPDATE decoding SET run = NULL WHERE run = ?", (run,))


def sweep(connection: sqlite3.Connection, most: int) -> int:
    """Removes at most `most` things that decodings owned which were given up. How many."""
    row = connection.execute("SELECT id FROM decoding WHERE run IS NULL LIMIT 1").fetchone()
    if row is None:
        return 0
    (decoding,) = row
    gone, end = 0, time.monotonic() + SWEEP_SECONDS
    while points.remove(connection, -decoding, 1):
        gone += 1
        if gone >= most or time.monotonic() > end:
            return gone
    for statement in (
        "DELETE FROM kept WHERE id IN (SELECT id FROM kept WHERE owner = -? LIMIT ?)",
        "DELETE FROM media WHERE id IN (SELECT id FROM media WHERE decoding = ? LIMIT ?)",
        "DELETE FROM history_key WHERE id IN (SELECT id FROM history_key WHERE decoding = ? LIMIT ?)",
    ):
        if gone < most:
            gone += connection.execute(statement, (decoding, most - gone)).rowcount
    if gone < most:
        connection.execute("DELETE FROM decoding WHERE id = ?", (decoding,))
        counted.forget(connection, decoding)
        gone += 1
    return gone


def put(connection: sqlite3.Connection, owner: int, prepared: Prepared) -> None:
    """Writes what was found, or keeps it to be spread, within the transaction that moves the decoder's place."""
    if prepared.kept:
        rows = [(owner, part) for part in prepared.kept]
        connection.executemany("INSERT INTO kept (owner, data) VALUES (?, ?)", rows)
    else:
        _write(connection, owner, prepared.whole)


@dataclass(frozen=True, slots=True)
class Keeper:
    """Who owns portions that are kept. `tenant`: its entity, "" if its run is gone. `run`: the SDK run whose it is."""

    owner: int
    tenant: str
    run: int | None


def keepers(connection: sqlite3.Connection) -> list[Keeper]:
    """All of them; costs by their number, not by that of their portions. What was given up waits for `sweep` only."""
    rows = connection.execute(
        "WITH RECURSIVE keeper (owner) AS (SELECT min(owner) FROM kept UNION ALL "
        "SELECT (SELECT min(kept.owner) FROM kept WHERE kept.owner > keeper.owner) FROM keeper "
        "WHERE owner IS NOT NULL) "
        "SELECT owner, coalesce(source.entity, project.entity, ''), decoding.run FROM keeper "
        "LEFT JOIN source ON source.id = owner LEFT JOIN decoding ON decoding.id = -owner "
        "LEFT JOIN sdk_run ON sdk_run.id = decoding.run LEFT JOIN project ON project.id = sdk_run.project "
        "WHERE owner > 0 OR decoding.run IS NOT NULL"
    )
    return [Keeper(*row) for row in rows]


def spread(connection: sqlite3.Connection, owner: int) -> bool:
    """Writes the oldest portion that is kept of an owner. Whether another one waits."""
    rows = connection.execute("SELECT id, data FROM kept WHERE owner = ? ORDER BY id LIMIT 2", (owner,)).fetchall()
    if not rows:
        return False
    number, data = rows[0]
    _write(connection, owner, read_portion(data))
    connection.execute("DELETE FROM kept WHERE id = ?", (number,))
    return len(rows) > 1


def waiting(connection: sqlite3.Connection) -> int:
    """Portions that are to be spread."""
    count = (
        "SELECT count(*) FROM kept WHERE owner > 0 OR EXISTS (SELECT 1 FROM decoding WHERE id = -owner AND run NOTNULL)"
    )
    return int(connection.execute(count).fetchone()[0])


def kept_keys(connection: sqlite3.Connection, decoding: int) -> Iterator[KeyCount]:
    """Keys of a decoding that are not counted yet, as in Found."""
    for (data,) in connection.execute("SELECT data FROM kept WHERE owner = ? ORDER BY id", (-decoding,)):
        yield from read_portion(data).keys


def _write(connection: sqlite3.Connection, owner: int, found: Portion) -> None:
    if found.series:
        points.append(connection, owner, found.series, found.now, found.most)
    if found.keys:
        _count_keys(connection, -owner, found.keys)
    if found.media:
        connection.executemany(
            "INSERT INTO media (decoding, key, step, type, data_json) VALUES (?, ?, ?, ?, ?)",
            [(-owner, *item) for item in found.media],
        )


def _count_keys(connection: sqlite3.Connection, decoding: int, found: Sequence[KeyCount]) -> None:
    changed = connection.executemany(
        "UPDATE history_key SET count = count + ?, last_json = ? WHERE decoding = ? AND key = ? AND type = ?",
        [(count, last, decoding, key, kind) for key, kind, count, last in found],
    )
    if changed.rowcount == len(found):
        return
    room = max(0, MAX_KEYS - counted.held(connection, decoding, "keys"))
    fresh = [item for item in found if not _is_counted(connection, decoding, *item[:2])][:room]
    connection.executemany(
        "INSERT INTO history_key (decoding, key, type, count, last_json) VALUES (?, ?, ?, ?, ?)",
        [(decoding, *item) for item in fresh],
    )
    counted.add(connection, decoding, "keys", len(fresh))


def _is_counted(connection: sqlite3.Connection, decoding: int, key: str, kind: str) -> bool:
    found = connection.execute(
        "SELECT 1 FROM history_key WHERE decoding = ? AND key = ? AND type = ?", (decoding, key, kind)
    )
    return found.fetchone() is not None
