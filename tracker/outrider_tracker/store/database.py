"""SQLite: one file, one writing connection, many reading ones; migrations on opening."""

from __future__ import annotations

import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from outrider_tracker.store import counted, functions
from outrider_tracker.store.errors import SchemaRefusedError
from outrider_tracker.store.schema import MIGRATIONS, MIN_COMPATIBLE, SCHEMA_VERSION

T = TypeVar("T")
BUSY_SECONDS: Final = 10.0
LOG_PAGES: Final = 16_384  # of the log (WAL), 64 MiB: see store/checkpoints.py, which keeps it shorter


def connect(path: Path, *, readonly: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode (transactions are begun by hand); durable commits."""
    mode = "ro" if readonly else "rwc"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=BUSY_SECONDS,
        cached_statements=512,
    )
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("PRAGMA temp_store = MEMORY")
    if readonly:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA cache_size = -8192")
        functions.register(connection)
    else:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA cache_size = -32768")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
        # Some builds write zeros over whatever is deleted: all that was decoded and sealed would be written once more.
        connection.execute("PRAGMA secure_delete = FAST")
        connection.execute(counted.TABLE)
    return connection


def migrate(connection: sqlite3.Connection, now: float) -> None:
    """Brings an empty or older store to this release's schema.

    SchemaRefusedError if it is newer than this release reads. A newer store is fine as long as its `min_compatible`
    allows this release: migrations only expand.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute("CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")
        meta = dict(connection.execute("SELECT key, value FROM meta"))
        version = int(meta.get("schema_version", "0"))
        if int(meta.get("min_compatible", "0")) > SCHEMA_VERSION:
            raise SchemaRefusedError(
                f"the data folder has schema {version}, which needs a tracker of at least schema "
                f"{meta['min_compatible']}; this one is {SCHEMA_VERSION}. Install the newer release again."
            )
        for step in MIGRATIONS[version:]:
            for statement in statements(step):
                connection.execute(statement)
        new = {
            "schema_version": str(max(version, SCHEMA_VERSION)),
            "min_compatible": str(max(int(meta.get("min_compatible", "0")), MIN_COMPATIBLE)),
            "incarnation": meta.get("incarnation", secrets.token_hex(8)),
            "secret": meta.get("secret", secrets.token_hex(32)),
            "created": meta.get("created", str(now)),
        }
        if new != {key: meta.get(key) for key in new}:
            connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", new.items())
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def statements(script: str) -> Iterator[str]:
    """The single statements of a script (sqlite3's executescript would commit between them)."""
    part = ""
    for line in script.splitlines(keepends=True):
        part += line
        if sqlite3.complete_statement(part):
            yield part
            part = ""


def read_meta(connection: sqlite3.Connection, key: str) -> str:
    """A value of the store's own table. KeyError if there is none."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    if row is None:
        raise KeyError(key)
    return str(row[0])


class Readers:
    """Reading connections, one for each thread that asks, each read in one snapshot."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._all: list[sqlite3.Connection] = []
        self._lock = threading.Lock()

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """A connection whose queries all see one committed state. Nested use in a thread shares the outer snapshot."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = connect(self._path, readonly=True)
            self._local.connection = connection
            with self._lock:
                self._all.append(connection)
        if connection.in_transaction:
            yield connection
            return
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            connection.execute("COMMIT")

    def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Runs `query` on a snapshot."""
        with self.snapshot() as connection:
            return query(connection)

    def close(self) -> None:
        """Closes every connection; no thread may read any more."""
        with self._lock:
            for connection in self._all:
                connection.close()
            self._all.clear()


def open_database(path: Path, clock: Callable[[], float] = time.time) -> sqlite3.Connection:
    """The writing connection of a migrated store."""
    connection = connect(path)
    try:
        migrate(connection, clock())
    except BaseException:
        connection.close()
        raise
    return connection
