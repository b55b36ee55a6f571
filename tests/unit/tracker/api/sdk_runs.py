"""SDK runs on a real store, made and filled as clients do it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from outrider_tracker.decode.line_decoder import LineDecoder
from outrider_tracker.store.line_blocks import LineFile
from outrider_tracker.store.lines import LineBatch, append_lines
from outrider_tracker.store.sdk_runs import SdkRun
from outrider_tracker.store.store import Store
from tests.unit.tracker.api.conftest import NOW

RUN = "/api/v1/runs/vision/digits/run1"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


def write(store: Store, run: SdkRun, file: LineFile, lines: Sequence[str], first: int = 0, client: str = "") -> None:
    """As filestream does."""
    batch = LineBatch(file, client, first, list(lines))
    store.writer.run(lambda connection: append_lines(connection, run.id, 0, batch, assign_steps=False, now=NOW))


def log(store: Store, run: SdkRun, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows of history, decoded."""
    write(store, run, LineFile.HISTORY, [json.dumps(row) for row in rows])
    LineDecoder(store, lambda _: None).drain()


def keep(store: Store, run: SdkRun, name: str, data: bytes) -> None:
    """A run file."""
    digest = hashlib.sha256(data).hexdigest()
    if not store.blobs.location(digest).exists():
        store.blobs.put(digest, [data])
    store.writer.run(
        lambda connection: connection.execute(
            "INSERT OR REPLACE INTO run_file (run, name, sha256, size, updated) VALUES (?, ?, ?, ?, ?)",
            (run.id, name, digest, len(data), NOW),
        )
    )
