"""What the tracker's feed and answers say about sources, kept for the passes over Runs."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from outrider_operator.core.collection import Collection
from outrider_operator.core.ranks import Key, RankRecord, fold, record_of

MAX_WARNINGS: Final = 16  # a source; more are counted by the tracker


class Book:
    """Rank records, warnings and contact by source; collection by Run."""

    def __init__(self) -> None:
        self._records: dict[str, dict[Key, RankRecord]] = defaultdict(dict)
        self._warnings: dict[str, dict[str, str]] = defaultdict(dict)
        self.heard: set[str] = set()
        self.collections: dict[str, Collection] = {}
        self.loaded: set[str] = set()
        """Ids of Runs whose ranks were read since the feed's position is known."""
        self.wanted = asyncio.Event()
        """Set where a Run's ranks should be read soon."""
        self.away: str = "it has not answered yet"
        """Why the tracker cannot be asked; empty while it answers."""

    def take(self, item: Mapping[str, Any]) -> str:
        """Take in one item of the feed; gives the source that it speaks of."""
        source, event = str(item.get("source") or ""), item.get("event")
        if not source or not isinstance(event, Mapping):
            return ""
        self.heard.add(source)
        if event.get("type") == "warning":
            known = self._warnings[source]
            if len(known) < MAX_WARNINGS:
                known[str(event.get("code") or "Warning")] = str(event.get("message") or "")[:512]
        else:
            self._records[source] = fold(self._records[source], source, event, item.get("lastWords"))
        return source

    def read(self, run_id: str, items: Iterable[Mapping[str, Any]]) -> None:
        """Take in a Run's rank records as the tracker answers them."""
        for item in items:
            record = record_of(item)
            if not record.source:
                continue
            self.heard.add(record.source)
            known = self._records[record.source].get(record.key)
            world = record.world_size or (known.world_size if known is not None else None)
            self._records[record.source][record.key] = _better(known, record, world)
        self.loaded.add(run_id)

    def expire(self) -> None:
        """The feed's position is lost: every Run's ranks must be read again."""
        self.loaded.clear()

    def records(self, sources: Iterable[str]) -> tuple[RankRecord, ...]:
        """All records of some sources."""
        return tuple(r for s in sources if s in self._records for r in self._records[s].values())

    def warnings(self, sources: Iterable[str]) -> tuple[tuple[str, str], ...]:
        """(code, message) of some sources' warnings, each code once."""
        found: dict[str, str] = {}
        for source in sources:
            found.update(self._warnings.get(source, {}))
        return tuple(sorted(found.items()))

    def forget(self, sources: Iterable[str]) -> None:
        """Drop what is kept of sources that are gone for good."""
        for source in sources:
            self._records.pop(source, None)
            self._warnings.pop(source, None)
            self.heard.discard(source)

    def sources(self) -> set[str]:
        """All sources that anything is kept of."""
        return set(self._records) | set(self._warnings) | self.heard


def _better(known: RankRecord | None, answered: RankRecord, world: int | None) -> RankRecord:
    if known is not None and known.state == "exited" and answered.state != "exited":
        return known
    words = answered.last_words or (known.last_words if known is not None else ())
    return replace(answered, world_size=world, last_words=words)
