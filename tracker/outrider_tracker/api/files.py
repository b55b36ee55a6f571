"""`/api/v1/files/{id}/content`: what jobs saved, as bytes to keep, never as pages to show."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from fastapi import APIRouter
from fastapi.responses import Response, StreamingResponse
from starlette.requests import Request

from outrider_tracker.api import headers, ranges
from outrider_tracker.api.access import Access
from outrider_tracker.api.errors import ERRORS, RANGE, ApiError, Door

PIECE: Final = 1 << 20


def router(access: Access) -> APIRouter:
    """The door of files' contents."""
    made = APIRouter(prefix="/api/v1/files", route_class=Door, responses=ERRORS, tags=["files"])
    services = access.services

    @made.get(
        "/{file}/content",
        response_class=Response,
        responses={
            200: {"content": {"application/octet-stream": {}}},
            206: {"content": {"application/octet-stream": {}}, "description": "The asked range."},
        },
    )
    async def content(request: Request, file: str) -> Response:
        """The bytes, as an attachment; `Range` gives a part."""
        stored = await access.file(await access.person(request), file)
        info = stored.info
        tag = f'"{info.sha256}"'
        sent = {
            **headers.USER_BYTES,
            "Content-Disposition": headers.attachment(info.path),
            "Accept-Ranges": "bytes",
            "ETag": tag,
        }
        asked = request.headers.get("range")
        if request.headers.get("if-range", tag) != tag:
            asked = None
        try:
            span = ranges.parse(asked, info.size)
        except ranges.UnsatisfiableError:
            message = f"The range lies beyond the file's end: it has {info.size} bytes."
            raise ApiError(416, RANGE, message, {"Content-Range": f"bytes */{info.size}"}) from None
        start, stop = (span.start, span.stop) if span else (0, info.size)
        sent["Content-Length"] = str(stop - start)
        if span:
            sent["Content-Range"] = span.content_range
        body = pieces(stored.location, start, stop)
        return StreamingResponse(body, 206 if span else 200, sent, media_type="application/octet-stream")

    async def pieces(location: Path, start: int, stop: int) -> AsyncIterator[bytes]:
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

    return made
