"""Files of sources: asked for, uploaded to staging, committed to a content-addressed blob. Only the rows of it."""

from __future__ import annotations

import secrets
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from outrider_tracker.store.blobs import BlobFolder
from outrider_tracker.store.records import FileInfo, StoredFile

UPLOAD_SECONDS: Final = 900.0


@dataclass(frozen=True, slots=True)
class WantedFile:
    """A file that a source has: `path` is a name for people, never a place of ours. `mtime`: Unix seconds."""

    path: str
    size: int
    sha256: str
    mtime: float | None
    policy: str
    container: str | None


@dataclass(frozen=True, slots=True)
class UploadRow:
    """An upload on its way; `received`: the SHA-256 of what is durable in staging."""

    id: str
    source: int
    wanted: WantedFile
    expires: float
    received: str | None
    file: str | None


def find_stored(connection: sqlite3.Connection, source: int, wanted: WantedFile) -> bool:
    """Whether this very source uploaded this content already, under any path."""
    row = connection.execute(
        "SELECT 1 FROM file WHERE source = ? AND sha256 = ? AND size = ? LIMIT 1", (source, wanted.sha256, wanted.size)
    ).fetchone()
    return row is not None


def add_file(connection: sqlite3.Connection, source: int, wanted: WantedFile, now: float) -> str:
    """The id of the file; the newest version of a path is not repeated if its content is the same."""
    newest = connection.execute(
        "SELECT id, sha256, version FROM file WHERE source = ? AND path = ? ORDER BY version DESC LIMIT 1",
        (source, wanted.path),
    ).fetchone()
    if newest is not None and newest[1] == wanted.sha256:
        return str(newest[0])
    connection.execute(
        "INSERT OR IGNORE INTO blob (sha256, size, created) VALUES (?, ?, ?)", (wanted.sha256, wanted.size, now)
    )
    file = secrets.token_hex(16)
    connection.execute(
        "INSERT INTO file (id, source, path, version, size, sha256, mtime, policy, container, stored) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            file,
            source,
            wanted.path,
            newest[2] + 1 if newest else 1,
            wanted.size,
            wanted.sha256,
            wanted.mtime,
            wanted.policy,
            wanted.container,
            now,
        ),
    )
    return file


def add_upload(connection: sqlite3.Connection, source: int, wanted: WantedFile, now: float) -> str:
    """The id of a new upload, also the name of its staging file."""
    upload = secrets.token_hex(16)
    connection.execute(
        "INSERT INTO upload (id, source, path, size, sha256, mtime, policy, container, created, expires) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            upload,
            source,
            wanted.path,
            wanted.size,
            wanted.sha256,
            wanted.mtime,
            wanted.policy,
            wanted.container,
            now,
            now + UPLOAD_SECONDS,
        ),
    )
    return upload


def get_upload(connection: sqlite3.Connection, upload: str) -> UploadRow | None:
    """One upload."""
    row = connection.execute(
        "SELECT id, source, path, size, sha256, mtime, policy, container, expires, received_sha256, file FROM upload "
        "WHERE id = ?",
        (upload,),
    ).fetchone()
    return None if row is None else UploadRow(row[0], row[1], WantedFile(*row[2:8]), *row[8:])


def set_received(connection: sqlite3.Connection, upload: str, sha256: str) -> None:
    """All bytes are durable in staging."""
    connection.execute("UPDATE upload SET received_sha256 = ? WHERE id = ?", (sha256, upload))


def finish_upload(connection: sqlite3.Connection, row: UploadRow, now: float) -> str:
    """The file that the upload became; once only."""
    known = connection.execute("SELECT file FROM upload WHERE id = ?", (row.id,)).fetchone()
    if known is not None and known[0] is not None:
        return str(known[0])
    file = add_file(connection, row.source, row.wanted, now)
    connection.execute("UPDATE upload SET file = ? WHERE id = ?", (file, row.id))
    return file


def drop_upload(connection: sqlite3.Connection, upload: str) -> None:
    """Forgets an upload that failed."""
    connection.execute("DELETE FROM upload WHERE id = ?", (upload,))


def expire_uploads(connection: sqlite3.Connection, now: float) -> int:
    """Forgets uploads that ended an hour ago or more. How many."""
    return connection.execute("DELETE FROM upload WHERE expires < ?", (now - 3600.0,)).rowcount


_SELECT_FILE: Final = (
    "SELECT file.id, file.path, file.size, file.sha256, file.policy, source.pod, file.stored, "
    "(SELECT count(*) FROM file AS other WHERE other.source = file.source AND other.path = file.path), "
    "source.entity, source.run_id FROM file JOIN source ON source.id = file.source "
)
_NEWEST_OF_RUN: Final = (
    "WHERE source.run_id = ? AND file.version = (SELECT max(version) FROM file AS other WHERE "
    "other.source = file.source AND other.path = file.path) ORDER BY file.path, source.pod"
)


def list_files(connection: sqlite3.Connection, run: str) -> list[FileInfo]:
    """See ReadStore.list_files."""
    rows = connection.execute(_SELECT_FILE + _NEWEST_OF_RUN, (run,))
    return [_info(row) for row in rows]


def get_file(connection: sqlite3.Connection, blobs: BlobFolder, file: str) -> StoredFile | None:
    """See ReadStore.get_file."""
    row = connection.execute(_SELECT_FILE + "WHERE file.id = ?", (file,)).fetchone()
    if row is None:
        return None
    info = _info(row)
    location: Path = blobs.location(info.sha256)
    return StoredFile(info, location)


def _info(row: tuple[str, str, int, str, str, str, float, int, str, str | None]) -> FileInfo:
    file, path, size, sha256, policy, pod, stored, versions, entity, run = row
    # A file belongs to a container, not to one of its ranks: which of them wrote it is not known.
    return FileInfo(file, path, size, sha256, policy, pod, None, stored, versions, entity, run)
