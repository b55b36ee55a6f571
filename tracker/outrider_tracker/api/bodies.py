"""Answers made of a stored file's bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Final

from fastapi.responses import Response, StreamingResponse
from starlette.requests import Request

from outrider_tracker.api import ranges
from outrider_tracker.api.errors import RANGE, ApiError
from outrider_tracker.core.shown_files import HEAD
from outrider_tracker.services import Services

PIECE: Final = 1 << 20


def head(location: Path) -> bytes:
    """The first bytes of a file. Blocking."""
    with location.open("rb") as file:
        return file.read(HEAD)


def answer(  # noqa: PLR0917  what one answer has
    services: Services,
    request: Request,
    location: Path,
    size: int,
    digest: str,
    sent: Mapping[str, str],
    kind: str | None = None,
) -> Response:
    """The file, or the part that `Range` asks for, with the headers `sent`. `kind`: its type, else plain bytes."""
    tag = f'"{digest}"'
    sent = {**sent, "Accept-Ranges": "bytes", "ETag": tag}
    asked = request.headers.get("range")
    if request.headers.get("if-range", tag) != tag:
        asked = None
    try:
        span = ranges.parse(asked, size)
    except ranges.UnsatisfiableError:
        message = f"The range lies beyond the file's end: it has {size} bytes."
        raise ApiError(416, RANGE, message, {"Content-Range": f"bytes */{size}"}) from None
    start, stop = (span.start, span.stop) if span else (0, size)
    sent["Content-Length"] = str(stop - start)
    if span:
        sent["Content-Range"] = span.content_range
    body = _pieces(services, location, start, stop)
    return StreamingResponse(body, 206 if span else 200, sent, media_type=kind or "application/octet-stream")


async def _pieces(services: Services, location: Path, start: int, stop: int) -> AsyncIterator[bytes]:
    file = await services.read(open, location, "rb")
    try:
        await services.read(file.seek, start)
        while start < stop:
            part = await services.read(file.read, min(PIECE, stop - start))
            if not part:
                # The length was announced: breaking off shows the reader that it has not everything.
                raise RuntimeError(f"{location.name} is {stop - start} bytes shorter than recorded")
            yield part
            start += len(part)
    finally:
        await services.read(file.close)
