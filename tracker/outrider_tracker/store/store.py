"""The store of one node: opens a data folder and gives everything that stands on it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from outrider_tracker.store import run_files, sealing
from outrider_tracker.store.blobs import BlobFolder
from outrider_tracker.store.database import Readers, open_database, read_meta
from outrider_tracker.store.errors import StoreBrokenError
from outrider_tracker.store.folder import DataFolder
from outrider_tracker.store.logs import SqliteLogStore
from outrider_tracker.store.people import SqlitePeople
from outrider_tracker.store.points import MAX_SERIES, SqlitePointStore
from outrider_tracker.store.read_sdk import SdkReader
from outrider_tracker.store.reading import SqliteReadStore
from outrider_tracker.store.writer import Writer


class Store:
    """An open data folder. Close it when nothing reads or writes any more."""

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], float] = time.time,
        on_broken: Callable[[StoreBrokenError], None] | None = None,
        max_series: Callable[[str], float] = lambda _: MAX_SERIES,
    ) -> None:
        """FolderRefusedError, SchemaRefusedError: the message says what to do.

        `max_series`: how many series a run of an entity may have.
        """
        self.folder = DataFolder(path)
        try:
            connection = open_database(self.folder.database, clock)
        except BaseException:
            self.folder.close()
            raise
        self.incarnation = read_meta(connection, "incarnation")
        self.secret = bytes.fromhex(read_meta(connection, "secret"))
        self.clock = clock
        self.max_series = max_series
        self.writer = Writer(connection, on_broken)
        self.readers = Readers(self.folder.database)
        self.objects = BlobFolder(self.folder.objects)
        self.blobs = BlobFolder(self.folder.blobs)
        self.objects.remove_unfinished()
        self.logs = SqliteLogStore(self.readers, self.writer, self.objects)
        self.points = SqlitePointStore(self.readers, self.writer)
        self.reader = SqliteReadStore(self.readers, self.objects, self.blobs, clock)
        self.sdk = SdkReader(self.readers, self.writer, self.blobs, clock)
        self.people = SqlitePeople(self.readers)

    def sweep(self) -> int:
        """Removes objects and blobs that nobody names: left by a crash, or by what was deleted. How many."""
        now = self.clock()
        blobs = run_files.sweep_blobs(self.readers, self.writer, self.blobs, now)
        return blobs + sealing.sweep_objects(self.readers, self.objects, now)

    def close(self) -> None:
        """Commits what waits and lets the folder go."""
        self.writer.close()
        self.readers.close()
        self.folder.close()
