"""`/api/v1/streams`: lines for people, bytes for tools."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response, StreamingResponse
from starlette.requests import Request

from outrider_tracker.api import headers
from outrider_tracker.api.access import Access
from outrider_tracker.api.errors import ERRORS, Door, invalid, missing
from outrider_tracker.api.models import Lines, Stream
from outrider_tracker.notifier import stream_topic
from outrider_tracker.services import Services
from outrider_tracker.store.records import Lines as StoredLines
from outrider_tracker.store.records import StreamBytes, StreamInfo

MAX_WAIT: Final = 30.0  # seconds: below the idle time-outs of common proxies
LOOK_AGAIN: Final = 1.0  # seconds: a lost hint delays a line so much, never for ever
MAX_BYTES: Final = 4 << 20  # bytes that are read at a time, and of an answer that may have to end at a lost range
MAX_OFFSET: Final = 1 << 62

BYTES: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"application/octet-stream": {}}}}


@dataclass(frozen=True, slots=True)
class Follower:
    """Somebody who waits for lines of a stream from `start`, and has seen what lies below `seen`."""

    stream: StreamInfo
    start: int
    seen: int
    limit: int
    generation: int | None

    def is_news(self, answer: StoredLines) -> bool:
        """Whether an answer is worth giving now. A closed generation never grows; a newer one is news by itself."""
        closed = self.generation is not None and self.generation < self.stream.generation
        return closed or answer.end > self.seen or answer.generation != self.stream.generation

    async def wait(self, services: Services, request: Request, seconds: float) -> StoredLines:
        """The lines as soon as there are new ones, at the latest after `seconds`. KeyError: no such generation."""
        topic = stream_topic(self.stream.id)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            version = services.notifier.version(topic)
            answer = await services.read(
                services.reader.lines_from, self.stream.id, self.start, self.limit, self.generation
            )
            left = deadline - loop.time()
            if self.is_news(answer) or left <= 0 or services.notifier.closed or await request.is_disconnected():
                return answer
            await services.notifier.wait(topic, version, min(left, LOOK_AGAIN))


def router(access: Access) -> APIRouter:
    """The doors of streams."""
    made = APIRouter(prefix="/api/v1/streams", route_class=Door, responses=ERRORS, tags=["streams"])
    services = access.services
    reader = services.reader

    @made.get("/{stream}", response_model=Stream)
    async def get_stream(request: Request, stream: int) -> Any:
        """One stream and its newest generation."""
        found = await access.stream(await access.person(request), stream)
        return found.to_json()

    @made.get("/{stream}/lines", response_model=Lines, response_model_exclude_none=True)
    async def read_lines(
        request: Request,
        stream: int,
        *,
        start: Annotated[int | None, Query(alias="from", ge=0, le=MAX_OFFSET)] = None,
        before: Annotated[int | None, Query(ge=0, le=MAX_OFFSET)] = None,
        last: Annotated[int | None, Query(ge=1, le=5000)] = None,
        limit: Annotated[int, Query(ge=1, le=5000)] = 500,
        wait: Annotated[float, Query(ge=0, le=MAX_WAIT, allow_inf_nan=False)] = 0,
        seen: Annotated[int | None, Query(ge=0, le=MAX_OFFSET)] = None,
        generation: Annotated[int | None, Query(ge=0, le=MAX_OFFSET)] = None,
    ) -> Any:
        """Lines `from` or `before` an offset, or the `last` ones.

        With `from` and `wait`, the answer is held until there are bytes beyond `seen` (default: `from`). A follower of
        an unfinished line asks from that line's offset and has seen its end.
        """
        if [start, before, last].count(None) != 2:
            raise invalid("Say where to read: exactly one of from, before and last.")
        found = await access.stream(await access.person(request), stream)
        try:
            if last is not None:
                answer = await services.read(reader.last_lines, stream, last, generation)
            elif before is not None:
                answer = await services.read(reader.lines_before, stream, before, limit, generation)
            else:
                begin = start or 0
                follower = Follower(found, begin, begin if seen is None else seen, limit, generation)
                answer = await follower.wait(services, request, wait)
        except KeyError as error:
            raise missing(f"generation {generation} of stream {stream}") from error
        return await services.answer(answer.to_json)

    @made.get("/{stream}/bytes", response_class=Response, responses=BYTES)
    async def read_bytes(
        request: Request,
        stream: int,
        *,
        generation: Annotated[int | None, Query(ge=0, le=MAX_OFFSET)] = None,
        offset: Annotated[int, Query(ge=0, le=MAX_OFFSET)] = 0,
        limit: Annotated[int | None, Query(ge=1, le=MAX_OFFSET, description="At most so many bytes.")] = None,
        gaps: Annotated[Literal["end", "mark"], Query(description="What a lost range does to the answer.")] = "end",
    ) -> Response:
        """The bytes as they were written, from `offset`.

        A lost range ends the answer; `Outrider-Lost: from-to` names it. A stream that has lost ranges is answered in
        parts of at most 4 MiB, so that the header can be known. With `gaps=mark` everything comes in one answer, with
        a line of our own where bytes are missing: for people, not for tools.
        """
        found = await access.stream(await access.person(request), stream)
        number = found.generation if generation is None else generation
        sent = {**headers.USER_BYTES, "Content-Disposition": headers.attachment(_file_name(found, number))}
        sent["Outrider-Generation"] = str(number)
        size = min(MAX_BYTES, limit or MAX_BYTES)
        try:
            first = await services.read(reader.read_bytes, found.id, number, offset, size)
        except KeyError as error:
            raise missing(f"generation {number} of stream {stream}") from error
        stop = max(offset, first.end if limit is None else min(first.end, offset + limit))
        whole = number == found.generation and found.lost_bytes == 0
        if whole or gaps == "mark":
            if whole:
                sent["Content-Length"] = str(stop - offset)
            body = _pieces(services, found.id, first, stop)
            return StreamingResponse(body, headers=sent, media_type="application/octet-stream")
        if first.lost is not None:
            sent["Outrider-Lost"] = f"{first.lost.start}-{first.lost.stop}"
        return Response(first.data, headers=sent, media_type="application/octet-stream")

    return made


async def _pieces(services: Services, stream: int, first: StreamBytes, stop: int) -> AsyncIterator[bytes]:
    """The bytes up to `stop`, piece by piece, with a line of our own for each lost range."""
    part, at = first, first.offset
    while True:
        yield part.data
        at += len(part.data)
        if part.lost is not None and at < stop:
            size = part.lost.stop - part.lost.start
            yield f"\n[outrider: {size} bytes are lost here: {part.lost.reason}]\n".encode()
            at = part.lost.stop
        elif not part.data and at < stop:
            # The length was announced: breaking off shows the reader that it has not everything.
            raise RuntimeError(f"stream {stream} ends at {at}, {stop - at} bytes short")
        if at >= stop:
            return
        part = await services.read(services.reader.read_bytes, stream, first.generation, at, min(MAX_BYTES, stop - at))


def _file_name(stream: StreamInfo, generation: int) -> str:
    """`train/0/stdout` of pod 1f2e… becomes `1f2e3d4c-train-0-stdout.log`."""
    suffix = "log" if stream.kind in {"stdout", "stderr"} else "jsonl"
    again = f".{generation}" if generation else ""
    return f"{stream.source[:8]}-{stream.name.replace('/', '-')}{again}.{suffix}"
