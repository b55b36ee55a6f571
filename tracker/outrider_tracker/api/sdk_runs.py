"""What only SDK runs have: media, tables, alerts, their files' bytes, edits, the stop button."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response
from starlette.requests import Request

from outrider_tracker.api import bodies, headers, sdk_access, sdk_answers
from outrider_tracker.api.access import Access, refuse_cross_site
from outrider_tracker.api.errors import ERRORS, TOO_LARGE, ApiError, Door, invalid, missing
from outrider_tracker.api.sdk_models import AlertList, MediaData, MediaList, RunEdit, SdkRun, TableRows
from outrider_tracker.core import jsontext, shown_files
from outrider_tracker.core.table_file import TableError
from outrider_tracker.store.read_sdk import FileTooLargeError, RunFile
from outrider_tracker.store.records import camel
from outrider_tracker.store.sdk_runs import RunChange

MAX_STEP: Final = 1 << 53
MAX_NAME: Final = 4096
FileName = Annotated[str, Query(min_length=1, max_length=MAX_NAME, description="The run file's name.")]
BYTES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"application/octet-stream": {}}},
    206: {"content": {"application/octet-stream": {}}, "description": "The asked range."},
}


def router(access: Access) -> APIRouter:
    """The doors of SDK runs. Every one answers 404 for what the asking person may not see."""
    made = APIRouter(prefix="/api/v1/runs", route_class=Door, responses=ERRORS, tags=["sdk runs"])
    services = access.services
    sdk = services.sdk
    at = "/{entity}/{project}/{run}"

    async def find(request: Request, entity: str, project: str, run: str) -> sdk_access.Found:
        return await sdk_access.sdk_run(access, await access.person(request), entity, project, run)

    async def find_file(found: sdk_access.Found, name: str) -> RunFile:
        file = await services.read(sdk.file, found.run.id, name)
        if file is None:
            raise missing(f"file {name!r} of run {found.run.name!r}")
        return file

    @made.patch(at, response_model=SdkRun)
    async def edit_run(request: Request, entity: str, project: str, run: str, edit: RunEdit) -> Any:
        """Changes display name, notes or tags; for those who may write in the project."""
        refuse_cross_site(request)
        person = await access.person(request)
        found = await sdk_access.writable(access, person, entity, project, run)
        change = RunChange(display_name=edit.displayName, notes=edit.notes, tags=edit.tags)
        await services.read(sdk.edit, found.run, change)
        changed = await sdk_access.sdk_run(access, person, entity, project, run)
        return await sdk_access.whole(access, person, changed)

    @made.post(f"{at}/stop", status_code=204)
    async def stop_run(request: Request, entity: str, project: str, run: str) -> Response:
        """Asks the training to stop: its client hears of it within seconds and interrupts it."""
        refuse_cross_site(request)
        found = await sdk_access.writable(access, await access.person(request), entity, project, run)
        await services.read(sdk.ask_stop, found.run)
        return Response(status_code=204)

    @made.get(f"{at}/media", response_model=MediaList)
    async def list_media(request: Request, entity: str, project: str, run: str) -> Any:
        """Every key under which images, tables, histograms … were logged."""
        found = await find(request, entity, project, run)
        return await services.answer(lambda: {"items": [camel(each) for each in sdk.list_media(found.run.id)]})

    @made.get(f"{at}/media/data", response_model=MediaData)
    async def read_media(
        request: Request,
        entity: str,
        project: str,
        run: str,
        *,
        key: Annotated[str, Query(min_length=1, max_length=1000)],
        step: Annotated[int | None, Query(ge=0, le=MAX_STEP, description="Without: the newest.")] = None,
    ) -> Any:
        """What was logged under a key at a step, or at the last one before it that has something."""
        found = await find(request, entity, project, run)
        media = await services.read(sdk.media_at, found.run.id, key, step)
        if media is None:
            raise missing(f"media under {key!r} in run {run!r}")
        return await services.answer(
            lambda: {**camel(media), "items": [sdk_answers.media_item(item) for item in media.items]}
        )

    @made.get(f"{at}/table", response_model=TableRows)
    async def read_table(
        request: Request,
        entity: str,
        project: str,
        run: str,
        *,
        name: FileName,
        first: Annotated[int, Query(ge=0, le=MAX_STEP)] = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> Any:
        """Rows of a logged table's file."""
        found = await find(request, entity, project, run)
        file = await find_file(found, name)
        try:
            page = await services.read(sdk.table, file, first, limit)
        except TableError as error:
            raise invalid(f"The file {name!r} cannot be shown as a table: {error}.") from None
        except FileTooLargeError:
            message = f"The table has {file.size} bytes: too many to be shown row by row. Download the file."
            raise ApiError(413, TOO_LARGE, message) from None
        return await services.answer(lambda: jsontext.finite(camel(page)))

    @made.get(f"{at}/alerts", response_model=AlertList)
    async def list_alerts(request: Request, entity: str, project: str, run: str) -> Any:
        """What the run wanted people to know, newest first."""
        found = await find(request, entity, project, run)
        alerts = await services.read(sdk.alerts, found.run.id)
        return {
            "items": [
                {"title": each.title, "text": each.text, "severity": each.severity, "createdAt": each.created}
                for each in alerts
            ]
        }

    @made.get(f"{at}/files/content", response_class=Response, responses=BYTES)
    async def content(
        request: Request,
        entity: str,
        project: str,
        run: str,
        *,
        name: FileName,
        show: Annotated[
            Literal["media", "page", "scripts"] | None,
            Query(
                description="`media`: an image, sound or film by its own type, for the UI's elements. `page`: HTML in "
                "a frame of the UI, in an origin of its own, without scripts; `scripts` with them."
            ),
        ] = None,
    ) -> Response:
        """The bytes of a run's file, as an attachment unless `show` says otherwise; `Range` gives a part."""
        found = await find(request, entity, project, run)
        file = await find_file(found, name)
        head = await services.read(bodies.head, file.location) if show == "media" else b""
        kind = shown_files.content_type(head, name) if show == "media" else None
        sent = {**headers.USER_BYTES, "Content-Disposition": headers.attachment(name)}
        if kind is not None:
            sent |= {"Content-Disposition": "inline", "Cache-Control": "private, max-age=300"}
        elif show in {"page", "scripts"}:
            kind = "text/html; charset=utf-8"
            sent |= {**headers.framed(scripts=show == "scripts"), "Content-Disposition": "inline"}
        return bodies.answer(services, request, file.location, file.size, file.sha256, sent, kind)

    return made
