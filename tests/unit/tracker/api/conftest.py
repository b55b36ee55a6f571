"""The read API on a store in memory: what the doors decide, without SQLite."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from outrider_tracker.api import mount
from outrider_tracker.core.principals import Person, Role
from outrider_tracker.core.rules import Visibility
from outrider_tracker.notifier import Notifier
from outrider_tracker.services import Services
from outrider_tracker.store import projects, sdk_runs
from outrider_tracker.store.projects import Project
from outrider_tracker.store.records import (
    Collection,
    FileInfo,
    Line,
    Lines,
    Page,
    Rank,
    Run,
    RunFilter,
    SeriesInfo,
    SeriesLine,
    StoredFile,
    StreamBytes,
    StreamInfo,
)
from outrider_tracker.store.sdk_runs import RunChange, SdkRun
from outrider_tracker.store.store import Store

NOW = 1_800_000_000.0
Make = Callable[..., SdkRun]

KEYS = {
    "key-of-ada": Person("ada", roles={"vision": Role.VIEWER}),
    "key-of-root": Person("root", admin=True),
}


class MemoryPeople:
    """Two people with fixed keys."""

    def authenticate_key(self, key: str) -> Person | None:
        return KEYS.get(key)

    def find_person(self, name: str) -> Person | None:
        return next((person for person in KEYS.values() if person.name == name), None)


class PlainSigner:
    """Tokens that anybody could make: enough to see that the doors ask for purpose and value."""

    def sign(self, purpose: str, value: str, expires: int) -> str:
        return f"{purpose}.{value}.{expires}"

    def verify(self, purpose: str, token: str) -> str | None:
        parts = token.split(".")
        return parts[1] if len(parts) == 3 and parts[0] == purpose else None


@dataclass
class MemoryReader:
    """A ReadStore of lists. Lines are split at newlines and nothing else."""

    runs: list[Run] = field(default_factory=list)
    ranks: list[Rank] = field(default_factory=list)
    streams: dict[int, StreamInfo] = field(default_factory=dict)
    text: dict[int, bytes] = field(default_factory=dict)
    series: list[SeriesInfo] = field(default_factory=list)
    curves: list[SeriesLine] = field(default_factory=list)
    files: list[StoredFile] = field(default_factory=list)
    asked: list[Any] = field(default_factory=list)

    def list_runs(self, chosen: RunFilter, limit: int = 100, cursor: str | None = None) -> Page[Run | SdkRun]:
        self.asked.append((chosen, limit, cursor))
        if cursor is not None and not cursor.isdigit():
            raise ValueError(cursor)
        asks = chosen.reader
        mine = [run for run in self.runs if asks is None or asks.admin or run.entity in asks.roles]
        first = int(cursor or 0)
        rest = mine[first : first + limit]
        return Page(rest, str(first + limit) if first + limit < len(mine) else None)

    def get_run(self, run: str) -> Run | None:
        return next((each for each in self.runs if each.id == run), None)

    def project_of_run(self, run: str) -> Project | None:
        found = self.get_run(run)
        return None if found is None else Project(1, found.entity, found.project, Visibility.TEAM, None, "", 0.0)

    def collection(self, run: str) -> Collection:
        raise NotImplementedError(run)

    def list_ranks(self, run: str, *, last_words: bool = False) -> Sequence[Rank]:
        return self.ranks

    def list_run_streams(self, run: str) -> Sequence[StreamInfo]:
        return [stream for stream in self.streams.values() if stream.run == run]

    def get_stream(self, stream: int) -> StreamInfo | None:
        return self.streams.get(stream)

    def read_bytes(self, stream: int, generation: int | None, offset: int, limit: int) -> StreamBytes:
        number = self._generation(stream, generation)
        data = self.text[stream]
        return StreamBytes(number, offset, data[offset : offset + limit], None, len(data))

    def _generation(self, stream: int, generation: int | None) -> int:
        newest = self.streams[stream].generation
        if generation is not None and generation > newest:
            raise KeyError(generation)
        return newest if generation is None else generation

    def lines_from(self, stream: int, offset: int, limit: int, generation: int | None = None) -> Lines:
        number = self._generation(stream, generation)
        lines, at = [], offset
        for raw in self.text[stream][offset:].splitlines(keepends=True)[:limit]:
            lines.append(Line(at, raw.rstrip(b"\n").decode("utf-8", "replace"), None))
            at += len(raw)
        partial = bool(lines) and at == len(self.text[stream]) and not self.text[stream].endswith(b"\n")
        return Lines(number, offset, at, lines, partial)

    def lines_before(self, stream: int, offset: int, limit: int, generation: int | None = None) -> Lines:
        whole = self.lines_from(stream, 0, 1 << 30, generation)
        kept = [line for line in whole.lines if line.offset < offset][-limit:]
        return Lines(whole.generation, kept[0].offset if kept else offset, offset, kept, partial=False)

    def last_lines(self, stream: int, limit: int, generation: int | None = None) -> Lines:
        return self.lines_before(stream, len(self.text[stream]), limit, generation)

    def list_series(self, run: str) -> Sequence[SeriesInfo]:
        return self.series

    def read_series(
        self,
        run: str,
        key: str,
        *,
        x: str = "time",
        points: int = 400,
        start: float | None = None,
        stop: float | None = None,
    ) -> Sequence[SeriesLine]:
        self.asked.append((key, x, points, start, stop))
        return self.curves

    def list_files(self, run: str) -> Sequence[FileInfo]:
        return [file.info for file in self.files if file.info.run == run]

    def get_file(self, file: str) -> StoredFile | None:
        return next((each for each in self.files if each.info.id == file), None)

    def list_entities(self) -> Sequence[str]:
        return sorted({run.entity for run in self.runs})

    def list_projects(self, entity: str) -> Sequence[str]:
        return sorted({run.project for run in self.runs if run.entity == entity})


class TellingNotifier(Notifier):
    """Says (`waited`) that somebody has begun to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.waited = asyncio.Event()

    async def wait(self, topic: Hashable, version: int, seconds: float) -> bool:
        self.waited.set()
        return await super().wait(topic, version, seconds)


@pytest.fixture
def reader() -> MemoryReader:
    """The store; tests put into it what they ask for."""
    return MemoryReader()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store on disk: SDK runs lie there."""
    opened = Store(tmp_path / "data", clock=lambda: NOW)
    yield opened
    opened.close()


@pytest.fixture
def services(reader: MemoryReader, store: Store, pool: ThreadPoolExecutor) -> Services:
    return Services(reader, store.sdk, MemoryPeople(), PlainSigner(), TellingNotifier(), pool, "1.2.3")


@pytest.fixture
async def client(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a key."""
    app = FastAPI()
    mount(app, services)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://tracker.test") as made:
        yield made


@pytest.fixture
def make(store: Store) -> Make:
    """Makes an SDK run as the client would."""

    def made(
        name: str,
        *,
        project: str = "digits",
        entity: str = "vision",
        at: float = NOW,
        run_id: str | None = None,
        **change: Any,
    ) -> SdkRun:
        def job(connection: Any) -> SdkRun:
            connection.execute("INSERT OR IGNORE INTO entity (name, created) VALUES (?, ?)", (entity, NOW))
            place = projects.ensure_project(connection, entity, project, None, NOW)
            run, _ = sdk_runs.upsert_run(
                connection, place.id, name, RunChange(**change), user=None, run_id=run_id, now=at
            )
            return run

        return store.writer.run(job)

    return made
