"""What a request does to each stream: decided on values, before anything is written.

    observe   Head of each stream (newest generation, durable end, kind)
    decide    `plan` walks the frames in order over a copy of the heads
    apply     store/appending.py writes the plan, if the heads are still what was observed

A frame that reaches below the durable end is checked against what is stored (`Check`), and only what lies beyond is
stored. Comparisons may be made outside of any lock: stored bytes never change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from outrider_sidecar import contract
from outrider_tracker.core.errors import RefusedError
from outrider_tracker.core.frames import DataFrame, Frame, LostFrame, StreamFrame, UnknownFrame

KINDS = frozenset(contract.KINDS_BY_WORTH)


@dataclass(frozen=True, slots=True)
class Head:
    """A stream as it is stored. `generations` holds the ends of the older generations."""

    id: int
    kind: str
    labels: Mapping[str, Any]
    generation: int
    end: int
    older: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Check:
    """Raw bytes [start, stop) of frame number `frame` must equal what is there already.

    That is in the store (`stream` is its id), or in the earlier frame number `earlier` of the same request.
    """

    stream: int
    generation: int
    start: int
    stop: int
    frame: int
    earlier: int | None = None


@dataclass(frozen=True, slots=True)
class Put:
    """Frame number `frame` is stored from `start` on, `skip` of its raw bytes are there already."""

    generation: int
    start: int
    length: int
    skip: int
    frame: int


@dataclass(frozen=True, slots=True)
class Hole:
    """Raw bytes [start, stop) are recorded as lost."""

    generation: int
    start: int
    stop: int
    reason: str


@dataclass(slots=True)
class StreamPlan:
    """What one stream becomes. `before` is None for a new stream."""

    name: str
    before: Head | None
    kind: str
    labels: dict[str, Any]
    generation: int
    end: int
    checks: list[Check] = field(default_factory=list)
    writes: list[Put | Hole] = field(default_factory=list)

    @property
    def changes(self) -> bool:
        """Whether anything is to be written."""
        before = self.before
        if before is None or self.writes:
            return True
        return self.generation != before.generation or self.labels != dict(before.labels)


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole request. `unknown`: how many frames were of unknown types."""

    streams: Sequence[StreamPlan]
    unknown: int

    @property
    def kinds(self) -> frozenset[str]:
        """Kinds of streams that would grow: what the disk's watermarks are asked about."""
        return frozenset(stream.kind for stream in self.streams if stream.changes)


def names(frames: Sequence[Frame]) -> list[str]:
    """Names of all streams that the frames speak of, sorted: what must be observed."""
    return sorted({frame.stream for frame in frames if not isinstance(frame, UnknownFrame)})


def plan(heads: Mapping[str, Head], frames: Sequence[Frame]) -> Plan:
    """Decides. RefusedError: undeclared, gap, frame (an unknown or changed kind), mismatch of a closed generation."""
    streams: dict[str, StreamPlan] = {}
    unknown = 0
    for number, frame in enumerate(frames):
        if isinstance(frame, UnknownFrame):
            unknown += 1
        elif isinstance(frame, StreamFrame):
            _declare(heads, streams, frame)
        else:
            stream = _known(heads, streams, frame.stream)
            if isinstance(frame, LostFrame):
                _lose(stream, frame)
            else:
                _put(stream, frame, number)
    return Plan(list(streams.values()), unknown)


def _known(heads: Mapping[str, Head], streams: dict[str, StreamPlan], name: str) -> StreamPlan:
    if name not in streams:
        head = heads.get(name)
        if head is None:
            raise RefusedError(
                contract.ERROR_UNDECLARED,
                f"stream {name} was never declared here: send its stream frame before its data",
                stream=name,
            )
        streams[name] = StreamPlan(name, head, head.kind, dict(head.labels), head.generation, head.end)
    return streams[name]


def _declare(heads: Mapping[str, Head], streams: dict[str, StreamPlan], frame: StreamFrame) -> None:
    kind = frame.labels.get("kind")
    if frame.stream in heads or frame.stream in streams:
        stream = _known(heads, streams, frame.stream)
        if kind is not None and kind != stream.kind:
            raise RefusedError(
                contract.ERROR_FRAME,
                f"stream {frame.stream} is of kind {stream.kind} and cannot become {str(kind)[:40]!r}",
                stream=frame.stream,
            )
        stream.labels.update(frame.labels)
        return
    if kind not in KINDS:
        raise RefusedError(
            contract.ERROR_FRAME,
            f"the label kind of stream {frame.stream} is {str(kind)[:40]!r}: "
            f"{', '.join(contract.KINDS_BY_WORTH)} are known",
            stream=frame.stream,
        )
    streams[frame.stream] = StreamPlan(frame.stream, None, str(kind), dict(frame.labels), 0, 0)


def _put(stream: StreamPlan, frame: DataFrame, number: int) -> None:
    if frame.generation < stream.generation:
        _repeat_of_closed(stream, frame, number)
        return
    _enter(stream, frame.generation)
    stop = frame.offset + frame.length
    if frame.offset > stream.end:
        raise _gap(stream, frame.offset)
    known = min(stream.end, stop) - frame.offset
    if known > 0:
        _compare(stream, frame, number, known)
    if stop > stream.end:
        stream.writes.append(Put(frame.generation, stream.end, stop - stream.end, known, number))
        stream.end = stop


def _repeat_of_closed(stream: StreamPlan, frame: DataFrame, number: int) -> None:
    """An older generation is closed: only what it has already may come again."""
    end = stream.before.older.get(frame.generation) if stream.before is not None else None
    if stream.before is not None and frame.generation == stream.before.generation:
        end = stream.before.end
    if end is None or frame.offset + frame.length > end:
        raise RefusedError(
            contract.ERROR_MISMATCH,
            f"generation {frame.generation} of stream {stream.name} is closed at {end if end is not None else 0}: the "
            f"newest is {stream.generation}. Continue there, or open the next one.",
            stream=stream.name,
            generation=stream.generation,
            end=stream.end,
        )
    _compare(stream, frame, number, frame.length)


def _compare(stream: StreamPlan, frame: DataFrame, number: int, length: int) -> None:
    """Asks for the comparison with what the store holds and with what earlier frames of this request brought."""
    stop = frame.offset + length
    before = stream.before
    if before is not None:
        newest = frame.generation == before.generation
        stored = min(stop, before.end if newest else before.older.get(frame.generation, 0))
        if stored > frame.offset:
            stream.checks.append(Check(before.id, frame.generation, frame.offset, stored, number))
    for put in stream.writes:
        if isinstance(put, Put) and put.generation == frame.generation:
            low, high = max(put.start, frame.offset), min(put.start + put.length, stop)
            if low < high:
                stream.checks.append(Check(0, frame.generation, low, high, number, put.frame))


def _lose(stream: StreamPlan, frame: LostFrame) -> None:
    if frame.generation < stream.generation:
        return  # that generation is closed: what it lacks was recorded when the next one opened
    _enter(stream, frame.generation)
    if frame.start > stream.end:
        raise _gap(stream, frame.start)
    if frame.stop > stream.end:
        # Bytes that came after all are never forgotten again: only what lies beyond the end is lost.
        stream.writes.append(Hole(frame.generation, stream.end, frame.stop, frame.reason))
        stream.end = frame.stop


def _enter(stream: StreamPlan, generation: int) -> None:
    # Numbers may be skipped: a store that was restored from a backup has not seen the generations in between, and a
    # sidecar that went through them cannot go back.
    if generation > stream.generation:
        stream.generation = generation
        stream.end = 0


def _gap(stream: StreamPlan, offset: int) -> RefusedError:
    return RefusedError(
        contract.ERROR_GAP,
        f"stream {stream.name} ends at {stream.end} here and the frame begins at {offset}: send the bytes between, or "
        "a lost frame for them",
        stream=stream.name,
        generation=stream.generation,
        end=stream.end,
    )
