"""How many series and keys a decoding has, which is bounded: counted once, then kept up.

Counting fifty thousand takes the writer milliseconds, and what is spread of a wide row asks fifty times a second. The
numbers stand in a table of the writer's own connection, in memory: what is rolled back is rolled back there, too.
"""

from __future__ import annotations

import sqlite3
from typing import Final, Literal

Thing = Literal["series", "keys"]

TABLE: Final = (
    "CREATE TEMP TABLE counted (decoding INTEGER, thing TEXT, count INTEGER NOT NULL, PRIMARY KEY (decoding, thing)) "
    "WITHOUT ROWID"
)
_COUNT: Final = {
    "series": "SELECT count(*) FROM series WHERE source = -?",
    "keys": "SELECT count(*) FROM history_key WHERE decoding = ?",
}


def held(connection: sqlite3.Connection, decoding: int, thing: Thing) -> int:
    """How many the decoding has."""
    row = connection.execute("SELECT count FROM counted WHERE decoding = ? AND thing = ?", (decoding, thing)).fetchone()
    if row is None:
        row = connection.execute(_COUNT[thing], (decoding,)).fetchone()
        connection.execute("INSERT INTO counted VALUES (?, ?, ?)", (decoding, thing, row[0]))
    return int(row[0])


def add(connection: sqlite3.Connection, decoding: int, thing: Thing, more: int) -> None:
    """So many were made since `held` said how many there are."""
    connection.execute("UPDATE counted SET count = count + ? WHERE decoding = ? AND thing = ?", (more, decoding, thing))


def forget(connection: sqlite3.Connection, decoding: int) -> None:
    """The decoding is gone."""
    connection.execute("DELETE FROM counted WHERE decoding = ?", (decoding,))
