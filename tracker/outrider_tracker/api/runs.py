"""`/api/v1/runs`: lists, one Run, and what belongs to it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from starlette.requests import Request

from outrider_tracker.api.access import Access
from outrider_tracker.api.errors import ERRORS, Door, invalid
from outrider_tracker.api.models import (
    FileList,
    RankList,
    Run,
    RunList,
    RunState,
    SeriesData,
    SeriesList,
    StreamList,
)
from outrider_tracker.store.records import Run as StoredRun
from outrider_tracker.store.records import RunFilter


def _record(run: StoredRun) -> dict[str, Any]:
    """A Run as it is shown: the address decides which project it is in, whatever the record says."""
    return {**run.to_json(), "project": run.project}


def router(access: Access) -> APIRouter:
    """The doors of Runs. Every one answers 404 for what the asking person may not see."""
    made = APIRouter(prefix="/api/v1/runs", route_class=Door, responses=ERRORS, tags=["runs"])
    services = access.services
    reader = services.reader

    @made.get("", response_model=RunList)
    async def list_runs(
        request: Request,
        *,
        entity: str | None = None,
        project: str | None = None,
        state: RunState | None = None,
        q: Annotated[str | None, Query(max_length=200, description="Part of the id or a name.")] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
        cursor: Annotated[str | None, Query(max_length=500)] = None,
    ) -> Any:
        """Runs that the caller may read, newest first. `next` goes into `cursor`; new Runs do not shift the pages."""
        person = await access.person(request)
        chosen = RunFilter(person, entity or None, project or None, state, q or None)
        try:
            page = await services.read(reader.list_runs, chosen, limit, cursor or None)
        except ValueError as error:
            raise invalid("The cursor is none of this tracker's: begin again without it.") from error
        return {"items": [_record(run) for run in page.items], "next": page.next}

    at = "/{entity}/{project}/{run}"

    @made.get(at, response_model=Run)
    async def get_run(request: Request, entity: str, project: str, run: str) -> Any:
        """One Run with its whole record."""
        found = await access.run(await access.person(request), entity, project, run)
        return _record(found)

    @made.get(f"{at}/ranks", response_model=RankList)
    async def list_ranks(request: Request, entity: str, project: str, run: str) -> Any:
        """Every rank of every attempt."""
        found = await access.run(await access.person(request), entity, project, run)
        ranks = await services.read(reader.list_ranks, found.id)
        return {"items": [rank.to_json() for rank in ranks]}

    @made.get(f"{at}/streams", response_model=StreamList)
    async def list_streams(request: Request, entity: str, project: str, run: str) -> Any:
        """Every stream of every pod, also of those that no rank is known for."""
        found = await access.run(await access.person(request), entity, project, run)
        streams = await services.read(reader.list_run_streams, found.id)
        return {"items": [stream.to_json() for stream in streams]}

    @made.get(f"{at}/series", response_model=SeriesList)
    async def list_series(request: Request, entity: str, project: str, run: str) -> Any:
        """Every metric key."""
        found = await access.run(await access.person(request), entity, project, run)
        series = await services.read(reader.list_series, found.id)
        return {"items": [each.to_json() for each in series]}

    @made.get(f"{at}/series/data", response_model=SeriesData)
    async def read_series(
        request: Request,
        entity: str,
        project: str,
        run: str,
        *,
        key: Annotated[str, Query(min_length=1, max_length=1000)],
        x: Literal["time", "step"] = "time",
        points: Annotated[int, Query(ge=1, le=2000, description="At most so many buckets a line.")] = 400,
        start: Annotated[float | None, Query(alias="from", allow_inf_nan=False)] = None,
        to: Annotated[float | None, Query(allow_inf_nan=False)] = None,
    ) -> Any:
        """One key: a line a rank, in buckets of smallest, largest and mean value between `from` and `to` of x."""
        found = await access.run(await access.person(request), entity, project, run)
        if start is not None and to is not None and start > to:
            raise invalid(f"from ({start:g}) lies behind to ({to:g}): swap them.")
        lines = await services.read(reader.read_series, found.id, key, x=x, points=points, start=start, stop=to)
        # A thousand ranks make a million numbers: to_json made them sound, a second look would only take time.
        return JSONResponse({"key": key, "x": x, "lines": [line.to_json() for line in lines]})

    @made.get(f"{at}/files", response_model=FileList)
    async def list_files(request: Request, entity: str, project: str, run: str) -> Any:
        """The newest version of each saved path of each pod."""
        found = await access.run(await access.person(request), entity, project, run)
        files = await services.read(reader.list_files, found.id)
        return {"items": [file.to_json() for file in files]}

    return made
