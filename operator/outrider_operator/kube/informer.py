"""A list-and-watch of one resource that misses nothing: slim views, paged lists, deletions replayed after a re-list.

Changes come to one callback in order. After every list, what the store held and the list did not is reported as
deleted, so a watch that expired (410), broke, or went silent costs time, never knowledge.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Protocol, TypeVar

import aiohttp
from prometheus_client import Counter, Gauge

from outrider_operator.kube.api import ApiError, Gone, Resource, TooManyRequests, Unreachable
from outrider_operator.kube.client import Client

log = logging.getLogger(__name__)

SILENCE: Final = 70.0  # seconds; the server sends bookmarks every minute
SERVER_TIMEOUT: Final = 300  # seconds after which the server ends a watch by itself
MAX_LINE: Final = 8 << 20
BACKOFF: Final = (0.2, 30.0)  # seconds: first and longest pause after an error

WATCH_EVENTS = Counter("outrider_watch_events", "Events of our own watches", ["resource", "type"])
RELISTS = Counter("outrider_relists", "Lists of our own informers, by cause", ["resource", "cause"])
OBJECTS = Gauge("outrider_watched_objects", "Objects that our own informers hold", ["resource"])


class Identified(Protocol):
    """A slim view knows its UID."""

    @property
    def uid(self) -> str:
        """The object's UID."""
        ...


View = TypeVar("View", bound=Identified)


class _Relist(Exception):  # noqa: N818
    """The watch cannot go on from where it stood: list again."""


@dataclass
class Informer(Generic[View]):
    """Watches a resource until cancelled.

    ``on_change(old, new)``: new None means deleted; old None means added. It must not raise and must not block.
    """

    client: Client
    resource: Resource
    view: Callable[[Mapping[str, Any]], View]
    on_change: Callable[[View | None, View | None], None]
    namespace: str | None = None
    labels: str = ""
    accept: str = ""
    silence: float = SILENCE
    page_size: int = 500
    jitter: Callable[[], float] = random.random
    sleep: Callable[[float], Any] = asyncio.sleep
    synced: asyncio.Event = field(default_factory=asyncio.Event)
    _store: dict[str, View] = field(default_factory=dict)
    _version: str = ""

    async def run(self) -> None:
        """List, watch, and begin again where needed. Returns only by cancellation."""
        failures, cause = 0, "start"
        while True:
            try:
                if cause:
                    RELISTS.labels(self.resource.plural, cause).inc()
                    await self._list()
                    cause = ""
                    self.synced.set()
                async for _ in self._watch():
                    failures = 0
            except (_Relist, Gone) as error:
                log.info("watch of %s begins again with a list: %s", self.resource.plural, error)
                cause = "expired"
            except TooManyRequests as error:
                await self.sleep(error.retry_after * (1 + self.jitter()))
            except (ApiError, Unreachable) as error:
                failures += 1
                wait = min(BACKOFF[1], BACKOFF[0] * 2 ** min(failures - 1, 10)) * (0.5 + self.jitter() / 2)
                level = logging.INFO if failures < 3 else logging.WARNING
                log.log(level, "watch of %s failed, next try in %.1f s: %s", self.resource.plural, wait, error)
                cause = cause or ("" if isinstance(error, Unreachable) else "error")
                await self.sleep(wait)

    async def _list(self) -> None:
        """Take in a whole list, page by page, then report as deleted what it no longer has."""
        seen: set[str] = set()
        token, version, accept = "", "", self.accept or "application/json"
        if self.accept:
            accept = self.accept.replace("PartialObjectMetadata;", "PartialObjectMetadataList;")
        while True:
            page = await self.client.page(
                self.resource, self.namespace, labels=self.labels, limit=self.page_size, token=token, accept=accept
            )
            meta = page.get("metadata") or {}
            version = version or str(meta.get("resourceVersion") or "")
            for item in page.get("items") or ():
                seen.add(self._put(item))
            # A page is large; let others have the loop between two of them.
            await asyncio.sleep(0)
            token = str(meta.get("continue") or "")
            if not token:
                break
        for uid in [uid for uid in self._store if uid not in seen]:
            self.on_change(self._store.pop(uid), None)
        self._version = version
        OBJECTS.labels(self.resource.plural).set(len(self._store))

    def _put(self, item: Mapping[str, Any]) -> str:
        new = self.view(item)
        old = self._store.get(new.uid)
        if old != new:
            self._store[new.uid] = new
            self.on_change(old, new)
        return new.uid

    async def _watch(self) -> AsyncIterator[None]:
        """Follow one watch to its end; yields after every event."""
        params = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(SERVER_TIMEOUT),
        }
        if self.labels:
            params["labelSelector"] = self.labels
        limits = aiohttp.ClientTimeout(total=None, connect=5.0, sock_read=self.silence)
        path = self.resource.path(self.namespace)
        accept = self.accept or "application/json"
        async with self.client.open("GET", self.resource, path, params=params, limits=limits, accept=accept) as answer:
            rest = b""
            async for chunk in answer.content.iter_any():
                lines = (rest + chunk).split(b"\n") if rest else chunk.split(b"\n")
                rest = lines.pop()
                if len(rest) > MAX_LINE:
                    raise _Relist(f"an event is longer than {MAX_LINE} bytes")
                for line in lines:
                    if line:
                        self._event(line)
                OBJECTS.labels(self.resource.plural).set(len(self._store))
                yield

    def _event(self, line: bytes) -> None:
        try:
            event = json.loads(line)
            kind, item = event["type"], event["object"]
        except (ValueError, KeyError, TypeError) as error:
            raise _Relist(f"an event cannot be read: {error}") from error
        WATCH_EVENTS.labels(self.resource.plural, kind).inc()
        if kind == "ERROR":
            code = item.get("code")
            if code == 429:
                raise TooManyRequests(str(item.get("message")), 1.0)
            raise _Relist(f"{code} {item.get('reason')}: {item.get('message')}")
        meta = item.get("metadata") or {}
        if kind in {"ADDED", "MODIFIED"}:
            self._put(item)
        elif kind == "DELETED":
            last = self.view(item)
            old = self._store.pop(last.uid, None)
            if old is not None:
                # The last form may carry news, such as a container's end, that no other event brought.
                if old != last:
                    self.on_change(old, last)
                self.on_change(last, None)
        self._version = str(meta.get("resourceVersion") or self._version)
