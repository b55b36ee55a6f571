"""What was decoded of lines: series, and of SDK runs also key statistics and media.

All that was decoded of an SDK run belongs to its *decoding*: a number that stands for the run until its lines change
under what was decoded. Then the run gets another one, in the same small transaction, and `sweep` removes what the old
one owned, bit by bit. In the PointStore the owner of series is a source, or minus a decoding.

One row of a hostile run may have as many keys as a run may have series at all. What is too much for one transaction of
the writer, which all tenants share, is `kept` whole together with the decoder's new place, and `spread` by portions.
"""

from __future__ import annotations

import sqlite3
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

import msgspec

from outrider_tracker.store import pointcodec, points
from outrider_tracker.store.pointcodec import Points
from outrider_tracker.store.points import SeriesKey

DIRECT: Final = 300  # series, keys and media that a step writes at once: a few milliseconds
PORTION: Final = 100  # … and those of each transaction where a step found more
SWEEP_SECONDS: Final = 0.003  # of the writer's time, after which one sweep is over
MAX_KEYS: Final = 50_000  # pairs of key and type of one run; more are not counted


@dataclass(frozen=True, slots=True)
class Found:
    """What a step of a decoder found. `keys`: (key, type, how often, the newest value as JSON, None if it is long);
    `media`: (key, step, type, value as JSON).
    """

    series: Mapping[SeriesKey, Points] = field(default_factory=dict)
    keys: Sequence[tuple[str, str, int, str | None]] = ()
    media: Sequence[tuple[str, int | None, str, str]] = ()

    def __len__(self) -> int:
        return len(self.series) + len(self.keys) + len(self.media)


class _Portion(msgspec.Struct, array_like=True):
    """A part of Found that waits, as it is stored; a series as its key's fields and the bytes of its points."""

    most: float
    now: float
    series: list[tuple[str, str, str, int | None, str, bytes]] = []
    keys: list[tuple[str, str, int, str | None]] = []
    media: list[tuple[str, int | None, str, str]] = []


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(_Portion)


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
        gone += 1
    return gone


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was found, ready for the writer. `now`: Unix seconds; `most`: series that its run may have.

    Making one codes what is to be kept: do it outside the writer.
    """

    found: Found
    now: float
    most: float
    portions: Sequence[bytes] = field(init=False, repr=False, default=())

    def __post_init__(self) -> None:
        if len(self.found) > DIRECT:
            # Times and steps are those of other series, too: it is much smaller when deflated, and quickly written.
            parts = [zlib.compress(_ENCODER.encode(part), 1) for part in _portions(self.found, self.now, self.most)]
            object.__setattr__(self, "portions", parts)


def put(connection: sqlite3.Connection, owner: int, prepared: Prepared) -> None:
    """Writes what was found, or keeps it to be spread, within the transaction that moves the decoder's place."""
    if prepared.portions:
        rows = [(owner, part) for part in prepared.portions]
        connection.executemany("INSERT INTO kept (owner, data) VALUES (?, ?)", rows)
    else:
        _write(connection, owner, prepared.found, prepared.now, prepared.most)


def spread(connection: sqlite3.Connection) -> bool:
    """Writes the oldest portion that is kept. Whether another one waits."""
    rows = connection.execute("SELECT id, owner, data FROM kept ORDER BY id LIMIT 2").fetchall()
    if not rows:
        return False
    number, owner, data = rows[0]
    part = _read(data)
    series = {SeriesKey(*item[:5]): pointcodec.decode(item[5]) for item in part.series}
    _write(connection, owner, Found(series, part.keys, part.media), part.now, part.most)
    connection.execute("DELETE FROM kept WHERE id = ?", (number,))
    return len(rows) > 1


def waiting(connection: sqlite3.Connection) -> int:
    """Portions that are not spread yet."""
    return int(connection.execute("SELECT count(*) FROM kept").fetchone()[0])


def kept_keys(connection: sqlite3.Connection, decoding: int) -> Iterator[tuple[str, str, int, str | None]]:
    """Keys of a decoding that are not counted yet, as in Found."""
    for (data,) in connection.execute("SELECT data FROM kept WHERE owner = ? ORDER BY id", (-decoding,)):
        yield from _read(data).keys


def _read(data: bytes) -> _Portion:
    return _DECODER.decode(zlib.decompress(data))


def _portions(found: Found, now: float, most: float) -> Iterator[_Portion]:
    """Pure."""
    for series in _cut(found.series.items()):
        yield _Portion(
            most,
            now,
            series=[
                (key.key, key.kind, key.scope, key.rank, key.container, pointcodec.encode(column, pack=False))
                for key, column in series
            ],
        )
    for keys in _cut(found.keys):
        yield _Portion(most, now, keys=keys)
    for media in _cut(found.media):
        yield _Portion(most, now, media=media)


def _cut(items: Iterable[Any]) -> Iterator[list[Any]]:
    left = iter(items)
    while part := list(islice(left, PORTION)):
        yield part


def _write(connection: sqlite3.Connection, owner: int, found: Found, now: float, most: float) -> None:
    if found.series:
        points.append(connection, owner, found.series, now, most)
    if found.keys:
        _count_keys(connection, -owner, found.keys)
    if found.media:
        connection.executemany(
            "INSERT INTO media (decoding, key, step, type, data_json) VALUES (?, ?, ?, ?, ?)",
            [(-owner, *item) for item in found.media],
        )


def _count_keys(
    connection: sqlite3.Connection, decoding: int, counted: Sequence[tuple[str, str, int, str | None]]
) -> None:
    (held,) = connection.execute("SELECT count(*) FROM history_key WHERE decoding = ?", (decoding,)).fetchone()
    room = max(0, MAX_KEYS - held)
    if len(counted) > room:
        known = {item[:2] for item in counted if _is_counted(connection, decoding, *item[:2])}
        fresh = [item for item in counted if item[:2] not in known]
        counted = [item for item in counted if item[:2] in known] + fresh[:room]
    connection.executemany(
        "INSERT INTO history_key (decoding, key, type, count, last_json) VALUES (?, ?, ?, ?, ?) ON CONFLICT "
        "(decoding, key, type) DO UPDATE SET count = count + excluded.count, last_json = excluded.last_json",
        [(decoding, *item) for item in counted],
    )


def _is_counted(connection: sqlite3.Connection, decoding: int, key: str, kind: str) -> bool:
    found = connection.execute(
        "SELECT 1 FROM history_key WHERE decoding = ? AND key = ? AND type = ?", (decoding, key, kind)
    )
    return found.fetchone() is not None
