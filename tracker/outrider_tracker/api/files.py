"""`/api/v1/files/{id}/content`: what jobs saved, as bytes to keep, never as pages to show."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.requests import Request

from outrider_tracker.api import bodies, headers
from outrider_tracker.api.access import Access
from outrider_tracker.api.errors import ERRORS, Door


def router(access: Access) -> APIRouter:
    """The door of files' contents."""
    made = APIRouter(prefix="/api/v1/files", route_class=Door, responses=ERRORS, tags=["files"])

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
        sent = {**headers.USER_BYTES, "Content-Disposition": headers.attachment(info.path)}
        return bodies.answer(access.services, request, stored.location, info.size, info.sha256, sent)

    return made
