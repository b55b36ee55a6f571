"""Answers made of a stored file's bytes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fastapi.responses import Response, StreamingResponse
from starlette.requests import Request

from outrider_tracker import http
from outrider_tracker.api.errors import RANGE, ApiError
from outrider_tracker.core import ranges
from outrider_tracker.core.shown_files import HEAD
from outrider_tracker.services import Services


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
    body = http.file_pieces(services.read, location, start, stop)
    return StreamingResponse(body, 206 if span else 200, sent, media_type=kind or "application/octet-stream")
