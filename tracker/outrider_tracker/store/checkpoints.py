"""Moves what was committed from SQLite's log (WAL) into the database, beside the writer.

Left to itself SQLite does that within the commit that makes the log longer than 1000 pages: whoever waits for that
commit waits for some thousand pages of everybody's to be written and synced, 100 ms and more on a busy disk. Here a
thread of its own does it, with a connection of its own; the writer goes on meanwhile. What was committed while the
thread worked stays for the next time, so that the log would never be empty and never begin anew: once it is LOG_PAGES
pages long (store/database.py), the commit does the little that is left by itself.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from outrider_tracker.background import Background
from outrider_tracker.log import say
from outrider_tracker.store.database import connect
from outrider_tracker.store.writer import Writer

FEW: Final = 250  # pages of a round, below which the next one may come later …
MANY: Final = 1000  # … and above which it should come earlier
SHORTEST: Final = 0.25  # seconds between two rounds
LONGEST: Final = 4.0


class Checkpointer(Background):
    """A round after the other."""

    def __init__(self, database: Path, writer: Writer) -> None:
        super().__init__("checkpoints")
        self._database = database
        self._writer = writer

    def _run(self) -> None:
        connection = connect(self._database)
        pause, commits, before = SHORTEST, -1, 0
        try:
            while not self._stop.wait(pause):
                if commits == self._writer.commits:
                    continue
                commits = self._writer.commits
                try:
                    moved = checkpoint(connection)
                except sqlite3.Error as error:  # the disk is full: the writer finds out, too, and tells who asks
                    say("checkpoints.failed", reason=str(error))
                    pause = LONGEST
                    continue
                # A log that began anew has fewer pages than before.
                pause = next_pause(pause, moved - before if moved >= before else moved)
                before = moved
        finally:
            connection.close()


def checkpoint(connection: sqlite3.Connection) -> int:
    """Moves what no reader needs in the log any more, holding nobody up. Pages of the log that were moved so far."""
    _, _, moved = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    return max(0, int(moved))


def next_pause(pause: float, pages: int) -> float:
    """Seconds until the next round, of those before a round that moved so many pages. Pure."""
    if pages > MANY:
        return max(SHORTEST, pause / 2)
    return min(LONGEST, pause * 2) if pages < FEW else pause
