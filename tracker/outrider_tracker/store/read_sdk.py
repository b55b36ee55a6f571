"""What the pages of SDK runs show: each call one snapshot, blocking."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from outrider_tracker.core import media, table_file
from outrider_tracker.core.media import MediaItem
from outrider_tracker.core.principals import Person
from outrider_tracker.core.table_file import TablePage
from outrider_tracker.store import (
    accounts,
    lines,
    lone_runs,
    project_list,
    projects,
    read_rows,
    read_sdk_series,
    sdk_runs,
)
from outrider_tracker.store.blobs import BlobFolder
from outrider_tracker.store.database import Readers
from outrider_tracker.store.decoded import decoding_of
from outrider_tracker.store.line_blocks import LineFile
from outrider_tracker.store.project_list import ProjectUse
from outrider_tracker.store.projects import Project
from outrider_tracker.store.read_sdk_series import Axis
from outrider_tracker.store.records import Page, Run, SeriesInfo, SeriesLine
from outrider_tracker.store.sdk_runs import RunChange, SdkRun
from outrider_tracker.store.writer import Writer

METADATA: Final = "wandb-metadata.json"
MAX_METADATA: Final = 1 << 20  # bytes that are read of it
MAX_TABLE: Final = 64 << 20  # bytes of a table's file that is shown row by row; larger ones are for download
MAX_STEPS: Final = 10_000
MAX_LINES: Final = 5000
MAX_STEP: Final = 1 << 53


class FileTooLargeError(Exception):
    """The file is larger than what is read at once."""


@dataclass(frozen=True, slots=True)
class RunFile:
    """A file of an SDK run and where its bytes lie. `updated`: Unix seconds."""

    name: str
    size: int
    sha256: str
    updated: float
    location: Path


@dataclass(frozen=True, slots=True)
class MediaKey:
    """A key under which things to show were logged; steps are None where the client gave none."""

    key: str
    kind: str
    count: int
    first: int | None
    last: int | None


@dataclass(frozen=True, slots=True)
class MediaStep:
    """What was logged under a key at `step`; `steps` are all of them."""

    key: str
    step: int | None
    steps: Sequence[int]
    items: Sequence[MediaItem]


@dataclass(frozen=True, slots=True)
class ConsoleWriter:
    """One process that prints: `client` is "" outside shared mode; `lines`: one more than its highest line number."""

    client: str
    lines: int


@dataclass(frozen=True, slots=True)
class ConsolePage:
    """Lines [start, end) of a writer, as they were sent; `end` counts all. `version` moves with every change."""

    client: str
    branch: int
    start: int
    end: int
    count: int
    version: int
    lines: Sequence[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class Alert:
    """What a run wanted people to know. `created`: Unix seconds."""

    title: str
    text: str
    severity: str
    created: float


class SdkReader:
    """Reads (and the few edits) of SDK runs' pages. Who may ask is the door's concern."""

    def __init__(
        self, readers: Readers, writer: Writer, blobs: BlobFolder, clock: Callable[[], float] = time.time
    ) -> None:
        self._readers = readers
        self._writer = writer
        self._blobs = blobs
        self._clock = clock
        self.serving_since = clock()

    @property
    def now(self) -> float:
        """Unix seconds by the store's clock."""
        return self._clock()

    def find_project(self, entity: str, name: str) -> Project | None:
        """The project of this name."""
        with self._readers.snapshot() as connection:
            return projects.find_project(connection, entity, name)

    def list_projects(self, reader: Person, entity: str, limit: int, after: str) -> Page[ProjectUse] | None:
        """Projects of an entity that the person may see, behind the name `after`; None: there is no such entity."""
        with self._readers.snapshot() as connection:
            if accounts.find_entity(connection, entity) is None:
                return None
            return project_list.list_projects(connection, reader, entity, limit, after)

    def find_run(self, entity: str, project: str, name: str) -> SdkRun | None:
        """The SDK run at this address."""
        with self._readers.snapshot() as connection:
            return sdk_runs.find_run(connection, entity, project, name)

    def runs_of(self, run: str) -> Sequence[SdkRun]:
        """The SDK runs that the pods of a Run made, newest first."""
        with self._readers.snapshot() as connection:
            rows = connection.execute(
                "SELECT id FROM sdk_run WHERE run_id = ? AND deleted IS NULL ORDER BY created DESC, id DESC LIMIT 1000",
                (run,),
            ).fetchall()
            found = [sdk_runs.run_by_id(connection, row[0]) for row in rows]
            return [each for each in found if each is not None]

    def lone_runs(self, found: Sequence[Run]) -> Mapping[str, SdkRun]:
        """Which of the Runs are shown with an SDK run as one, by the Run's id; see lone_runs.py."""
        with self._readers.snapshot() as connection:
            lone = ((run.id, lone_runs.lone_run(connection, run.id, run.entity, run.project)) for run in found)
            return {run: each for run, each in lone if each is not None}

    def runs_named(self, entity: str, project: str, names: Sequence[str]) -> Sequence[SdkRun]:
        """Those of the named runs that are there, in the order asked."""
        with self._readers.snapshot() as connection:
            found = [sdk_runs.find_run(connection, entity, project, name) for name in names]
            return [each for each in found if each is not None]

    def parent_of(self, run: SdkRun) -> SdkRun | None:
        """The run that this one was forked from."""
        if run.parent is None:
            return None
        with self._readers.snapshot() as connection:
            return sdk_runs.run_by_id(connection, run.parent)

    def user_name(self, user: int | None) -> str | None:
        """Who made a run; None: a pod."""
        if user is None:
            return None
        with self._readers.snapshot() as connection:
            row = connection.execute("SELECT name FROM user WHERE id = ?", (user,)).fetchone()
            return None if row is None else str(row[0])

    def metadata(self, run: int) -> Mapping[str, Any]:
        """The object of wandb-metadata.json; empty if there is none, or none that can be read."""
        found = self.file(run, METADATA)
        if found is None or found.size > MAX_METADATA:
            return {}
        try:
            value = json.loads(found.location.read_bytes())
        except (ValueError, RecursionError, FileNotFoundError):
            return {}
        return value if isinstance(value, dict) else {}

    def list_series(self, run: int) -> Sequence[SeriesInfo]:
        """Every metric key; see read_sdk_series."""
        with self._readers.snapshot() as connection:
            return read_sdk_series.list_series(connection, run)

    def read_series(self, run: int, key: str, axis: Axis, *, name: str, buckets: int) -> Sequence[SeriesLine]:
        """One key's lines in at most `buckets` buckets each; see read_sdk_series."""
        with self._readers.snapshot() as connection:
            return read_sdk_series.read_series(connection, run, key, axis, name=name, buckets=buckets)

    def history(self, run: int, low: int, limit: int) -> Sequence[str]:
        """At most `limit` rows from step `low` on, as JSON texts, by step."""
        with self._readers.snapshot() as connection:
            return read_rows.rows_between(connection, run, low, MAX_STEP, limit)

    def console_writers(self, run: SdkRun) -> Sequence[ConsoleWriter]:
        """Who printed, in the order in which they began."""
        with self._readers.snapshot() as connection:
            rows = connection.execute(
                "SELECT client, count FROM line_space WHERE run = ? AND branch = ? AND file = 'console' ORDER BY id",
                (run.id, run.branch),
            )
            return [ConsoleWriter(*row) for row in rows]

    def console(
        self, run: int, client: str, *, start: int | None = None, before: int | None = None, limit: int = 500
    ) -> ConsolePage:
        """At most `limit` lines from `start`, or those up to `before`; with neither the newest ones."""
        limit = max(1, min(limit, MAX_LINES))
        with self._readers.snapshot() as connection:
            branch, count, version = _console_state(connection, run, client)
            if start is None:
                stop = count if before is None else min(before, count)
                start = max(0, stop - limit)
            else:
                stop = min(start + limit, count)
            found = lines.read_lines(connection, run, LineFile.CONSOLE, start, stop, client) if stop > start else []
            return ConsolePage(client, branch, min(start, count), max(start, stop), count, version, found)

    def list_media(self, run: int) -> Sequence[MediaKey]:
        """Every key with things to show, by name."""
        with self._readers.snapshot() as connection:
            rows = connection.execute(
                # `type` is taken from the row with the highest step: SQLite's rule for a bare column beside one max().
                "SELECT key, type, count(*), (SELECT min(step) FROM media AS low WHERE low.decoding = media.decoding "
                "AND low.key = media.key), max(step) FROM media WHERE decoding = ? GROUP BY key ORDER BY key",
                (decoding_of(connection, run),),
            )
            return [MediaKey(key, media.kind_of(name), count, first, last) for key, name, count, first, last in rows]

    def media_at(self, run: int, key: str, step: int | None) -> MediaStep | None:
        """What stood under a key at the step, or at the last one before it; None asks for the newest."""
        with self._readers.snapshot() as connection:
            decoding = decoding_of(connection, run)
            steps = [
                int(row[0])
                for row in connection.execute(
                    "SELECT DISTINCT step FROM media WHERE decoding = ? AND key = ? AND step IS NOT NULL "
                    "ORDER BY step DESC LIMIT ?",
                    (decoding, key, MAX_STEPS),
                )
            ][::-1]
            at = next((each for each in reversed(steps) if step is None or each <= step), steps[0] if steps else None)
            rows = connection.execute(
                "SELECT data_json FROM media WHERE decoding = ? AND key = ? AND step IS ? ORDER BY id",
                (decoding, key, at),
            ).fetchall()
        if not rows:
            return None
        items = [item for row in rows for item in media.items_of(_read_json(row[0]))]
        return MediaStep(key, at, steps, items[: media.MAX_ITEMS])

    def list_files(self, run: int) -> Sequence[RunFile]:
        """Every file, by name."""
        with self._readers.snapshot() as connection:
            rows = connection.execute(
                "SELECT name, size, sha256, updated FROM run_file WHERE run = ? ORDER BY name", (run,)
            )
            return [self._file(row) for row in rows]

    def file(self, run: int, name: str) -> RunFile | None:
        """One file by its name."""
        with self._readers.snapshot() as connection:
            row = connection.execute(
                "SELECT name, size, sha256, updated FROM run_file WHERE run = ? AND name = ?", (run, name)
            ).fetchone()
            return None if row is None else self._file(row)

    def _file(self, row: Sequence[Any]) -> RunFile:
        name, size, sha256, updated = row
        return RunFile(name, size, sha256, updated, self._blobs.location(sha256))

    def table(self, file: RunFile, first: int, limit: int) -> TablePage:
        """Rows of a table's file. TableError: it is no table. FileTooLargeError."""
        if file.size > MAX_TABLE:
            raise FileTooLargeError(f"{file.size} bytes")
        return table_file.read_page(file.location.read_bytes().decode("utf-8", "replace"), first, limit)

    def alerts(self, run: int) -> Sequence[Alert]:
        """The newest 1000, newest first."""
        with self._readers.snapshot() as connection:
            rows = connection.execute(
                "SELECT title, text, severity, created FROM alert WHERE run = ? ORDER BY id DESC LIMIT 1000", (run,)
            )
            return [Alert(*row) for row in rows]

    def edit(self, run: SdkRun, change: RunChange) -> None:
        """Durable when it returns."""
        self._writer.run(lambda connection: sdk_runs.change_run(connection, run, change, self._clock()))

    def ask_stop(self, run: SdkRun) -> None:
        """Durable when it returns; the client hears of it with its next request."""
        self._writer.run(lambda connection: sdk_runs.ask_stop(connection, run.id, self._clock()))


def _console_state(connection: sqlite3.Connection, run: int, client: str) -> tuple[int, int, int]:
    """The newest branch, how many lines the writer has in it, and the number of its newest block."""
    row = connection.execute(
        "SELECT sdk_run.branch, ifnull(space.count, 0), "
        "ifnull((SELECT max(seq) FROM line_block WHERE line_block.space = space.id), 0) "
        "FROM sdk_run LEFT JOIN line_space AS space ON space.run = sdk_run.id AND space.branch = sdk_run.branch "
        "AND space.file = 'console' AND space.client = ? WHERE sdk_run.id = ?",
        (client, run),
    ).fetchone()
    return (0, 0, 0) if row is None else row


def _read_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
