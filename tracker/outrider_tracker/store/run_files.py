"""Files of SDK runs: the newest content of each name, and blobs that nobody names any more."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from outrider_tracker.store.blobs import BlobFolder
from outrider_tracker.store.database import Readers
from outrider_tracker.store.writer import Writer

SWEEP_AGE: Final = 3600.0  # seconds: an upload's row commits within this time after its blob is in place
# Whoever names a blob; a table that comes to do so must be added.
NAMED: Final = (
    "SELECT sha256 FROM file",
    "SELECT sha256 FROM run_file",
)


@dataclass(frozen=True, slots=True)
class RunFile:
    """A file: `size` in bytes, `updated` in Unix seconds, `md5` in base64 where it is known."""

    name: str
    sha256: str
    size: int
    updated: float
    md5: str | None


_SELECT: Final = (
    "SELECT run_file.name, run_file.sha256, run_file.size, run_file.updated, blob.md5 FROM run_file "
    "LEFT JOIN blob ON blob.sha256 = run_file.sha256 WHERE run_file.run = ?"
)


def put_file(connection: sqlite3.Connection, run: int, file: RunFile) -> None:
    """The name has this content from now on. Its blob is in place."""
    connection.execute(
        "INSERT INTO blob (sha256, size, created, md5) VALUES (?, ?, ?, ?) ON CONFLICT (sha256) DO UPDATE SET "
        "md5 = coalesce(md5, excluded.md5)",
        (file.sha256, file.size, file.updated, file.md5),
    )
    connection.execute(
        "INSERT OR REPLACE INTO run_file (run, name, sha256, size, updated) VALUES (?, ?, ?, ?, ?)",
        (run, file.name, file.sha256, file.size, file.updated),
    )


def get_file(connection: sqlite3.Connection, run: int, name: str) -> RunFile | None:
    """The file of this name."""
    row = connection.execute(f"{_SELECT} AND run_file.name = ?", (run, name)).fetchone()
    return None if row is None else RunFile(*row)


def list_files(
    connection: sqlite3.Connection, run: int, *, after: str = "", pattern: str | None = None, limit: int
) -> list[RunFile]:
    """Files by name: at most `limit` that come after a name, and are like the pattern (SQL's LIKE)."""
    where, values = "", []
    if pattern is not None:
        where, values = " AND run_file.name LIKE ?", [pattern]
    rows = connection.execute(
        f"{_SELECT} AND run_file.name > ?{where} ORDER BY run_file.name LIMIT ?", (run, after, *values, limit)
    )
    return [RunFile(*row) for row in rows]


def count_files(connection: sqlite3.Connection, run: int) -> int:
    """How many files the run has."""
    return int(connection.execute("SELECT count(*) FROM run_file WHERE run = ?", (run,)).fetchone()[0])


def delete_files(connection: sqlite3.Connection, run: int, names: Sequence[str] | None = None) -> None:
    """Forgets these files of a run, or all; `sweep_blobs` removes contents that nobody names."""
    if names is None:
        connection.execute("DELETE FROM run_file WHERE run = ?", (run,))
        return
    connection.executemany("DELETE FROM run_file WHERE run = ? AND name = ?", [(run, name) for name in names])


def sweep_blobs(readers: Readers, writer: Writer, blobs: BlobFolder, now: float) -> int:
    """Removes blobs that no row names and that are older than an hour. How many.

    The writer looks once more before each group goes: a row that came since keeps its blob. An upload that puts the
    same content in place at this moment makes the blob young, which `remove_old` sees.
    """
    old = [key for key, modified in blobs.listed() if now - modified > SWEEP_AGE]
    named = readers.read(lambda connection: {row[0] for query in NAMED for row in connection.execute(query)})
    orphans = [key for key in old if key not in named]
    count = 0
    for start in range(0, len(orphans), _GROUP):
        count += writer.run(_remover(blobs, orphans[start : start + _GROUP], now))
    return count


_GROUP: Final = 100


def _remover(blobs: BlobFolder, keys: Sequence[str], now: float) -> Any:
    def remove(connection: sqlite3.Connection) -> int:
        count = 0
        for key in keys:
            if any(connection.execute(f"{query} WHERE sha256 = ? LIMIT 1", (key,)).fetchone() for query in NAMED):
                continue
            if blobs.remove_old(key, now - SWEEP_AGE):
                connection.execute("DELETE FROM blob WHERE sha256 = ?", (key,))
                count += 1
        return count

    return remove
