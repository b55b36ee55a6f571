"""What the store answers: plain, frozen values. Times are Unix seconds (float) unless a name says otherwise."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from outrider_tracker.core.principals import Person

T = TypeVar("T")
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list; `next` is the opaque cursor of the following page, None at the end."""

    items: Sequence[T]
    next: str | None


@dataclass(frozen=True, slots=True)
class Collection:
    """How complete what we hold of a Run is.

    `unsent_bytes` wait on volumes of living pods; `lost_bytes` will never come; `lag_seconds` is the longest silence of
    a source that still has something to send; `silent` are pod UIDs that are joined, not ended, and not heard for 30 s.
    """

    unsent_bytes: int
    lost_bytes: int
    lag_seconds: float
    sources: int
    silent: Sequence[str]


@dataclass(frozen=True, slots=True)
class Run:
    """A Run; `record` is what the controller wrote (docs/protocol.md section 6; lists leave out its long fields)."""

    id: str
    entity: str
    project: str
    url: str
    record: Json
    collection: Collection

    def to_json(self) -> Json:
        """The record of section 6 with `id entity url collection` of section 7."""
        collection = {
            "unsentBytes": self.collection.unsent_bytes,
            "lostBytes": self.collection.lost_bytes,
            "lagSeconds": self.collection.lag_seconds,
        }
        return {**self.record, "id": self.id, "entity": self.entity, "url": self.url, "collection": collection}


@dataclass(frozen=True, slots=True)
class RunFilter:
    """What `list_runs` selects. `reader`: who asks, None = all of them. `q`: part of id, name or an SDK run's group.

    `state` is a Run's word for it; `kind` "run", "sdk" or None = both; a `sweep` has SDK runs only.
    """

    reader: Person | None = None
    entity: str | None = None
    project: str | None = None
    state: str | None = None
    q: str | None = None
    kind: str | None = None
    sweep: str | None = None


@dataclass(frozen=True, slots=True)
class RankStream:
    """A stream of a rank: `end` and `lost_bytes` in raw bytes of its newest generation."""

    id: int
    kind: str
    end: int
    lost_bytes: int


@dataclass(frozen=True, slots=True)
class Rank:
    """One rank of one attempt, or a launcher, or the one unit (`rank` None) of a container without ranks."""

    rank: int | None
    node_rank: int | None
    local_rank: int | None
    world_size: int | None
    role: str
    attempt: int | None
    restart: int | None
    source: str
    pod: str
    node: str
    container: str
    start: int
    pid: int | None
    state: str
    exit_code: int | None
    signal: int | None
    oom_kills: int
    started_at: float | None
    ended_at: float | None
    last_seen: float | None
    streams: Sequence[RankStream] = field(default_factory=tuple)
    last_words: Sequence[str] | None = None

    def to_json(self) -> Json:
        """The rank record of docs/protocol.md section 7 (times stay Unix seconds)."""
        answer = camel(self)
        if self.last_words is None:
            del answer["lastWords"]
        return answer


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """A stream and its newest generation. `entity` and `run` say who may read it (`run` None: not joined)."""

    id: int
    source: str
    entity: str
    run: str | None
    name: str
    kind: str
    labels: Mapping[str, Any]
    generation: int
    end: int
    lost_bytes: int
    last_append: float | None
    malformed: int

    def to_json(self) -> Json:
        """The stream of docs/protocol.md section 7."""
        answer = camel(self)
        for name in ("entity", "run", "kind"):
            del answer[name]
        return answer


@dataclass(frozen=True, slots=True)
class LostRange:
    """Raw bytes [start, stop) that will never come, and why."""

    start: int
    stop: int
    reason: str


@dataclass(frozen=True, slots=True)
class StreamBytes:
    """Raw bytes from `offset` on. `lost`: the lost range that stands right behind them (or at `offset` itself)."""

    generation: int
    offset: int
    data: bytes
    lost: LostRange | None
    end: int


@dataclass(frozen=True, slots=True)
class Line:
    """One line; `offset` of its first raw byte; `text` without its newline, ANSI kept; `ts` when it reached us."""

    offset: int
    text: str
    ts: float | None

    def to_json(self) -> Json:
        """The form of docs/protocol.md section 7."""
        answer: Json = {"offset": self.offset, "text": self.text}
        if self.ts is not None:
            answer["ts"] = self.ts
        return answer


@dataclass(frozen=True, slots=True)
class LostLine:
    """Stands among lines where `lost` raw bytes are missing."""

    offset: int
    lost: int
    reason: str

    def to_json(self) -> Json:
        """The form of docs/protocol.md section 7."""
        return {"offset": self.offset, "lost": self.lost, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of [start, end) in raw offsets, oldest first; `partial`: the last one has no newline yet."""

    generation: int
    start: int
    end: int
    lines: Sequence[Line | LostLine]
    partial: bool

    def to_json(self) -> Json:
        """The answer of `…/lines`."""
        return {
            "generation": self.generation,
            "start": self.start,
            "end": self.end,
            "lines": [line.to_json() for line in self.lines],
            "partial": self.partial,
        }


@dataclass(frozen=True, slots=True)
class SeriesInfo:
    """A metric key of a Run over all its ranks: how many lines and points, and the newest value (None: not finite)."""

    key: str
    kind: str
    scope: str
    lines: int
    points: int
    last: float | None

    def to_json(self) -> Json:
        """The form of docs/protocol.md section 7."""
        return camel(self)


@dataclass(frozen=True, slots=True)
class SeriesLine:
    """One rank's (or container's, node's) curve in buckets; the four columns are equally long."""

    label: str
    rank: int | None
    node_rank: int | None
    attempt: int | None
    x: Sequence[float]
    min: Sequence[float]
    max: Sequence[float]
    mean: Sequence[float]

    def to_json(self) -> Json:
        """The form of docs/protocol.md section 7; numbers that JSON lacks are strings."""
        return {
            "label": self.label,
            "rank": self.rank,
            "nodeRank": self.node_rank,
            "attempt": self.attempt,
            "x": _json_numbers(self.x),
            "min": _json_numbers(self.min),
            "max": _json_numbers(self.max),
            "mean": _json_numbers(self.mean),
        }


@dataclass(frozen=True, slots=True)
class FileInfo:
    """The newest version of a file of a Run; `versions` counts all; `entity` and `run` say who may read it."""

    id: str
    path: str
    size: int
    sha256: str
    policy: str
    pod: str
    rank: int | None
    stored_at: float
    versions: int
    entity: str
    run: str | None

    def to_json(self) -> Json:
        """The form of docs/protocol.md section 7."""
        answer = camel(self)
        del answer["entity"], answer["run"]
        return answer


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file and where its bytes lie: immutable, complete, `info.size` long."""

    info: FileInfo
    location: Path


def camel(value: Any) -> Json:
    """A record as a JSON object with camelCase names, nested records included."""
    return {_camel_name(item.name): _camel_value(getattr(value, item.name)) for item in dataclasses.fields(value)}


def _json_numbers(values: Sequence[float]) -> Sequence[float | str]:
    """A column; nearly all have only numbers that JSON has, too."""
    return values if math.isfinite(sum(values)) else [json_number(value) for value in values]


def json_number(value: float) -> float | str:
    """`NaN`, `Infinity`, `-Infinity` as strings, since JSON has no such numbers."""
    if value != value:  # noqa: PLR0124  only NaN differs from itself
        return "NaN"
    if value in {float("inf"), float("-inf")}:
        return "Infinity" if value > 0 else "-Infinity"
    return value


def _camel_name(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _camel_value(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return camel(value)
    if isinstance(value, (list, tuple)):
        return [_camel_value(item) for item in value]
    return value
