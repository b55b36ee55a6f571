"""Series and files of `/api/v1/runs/…`: the same doors for Runs and SDK runs."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from starlette.requests import Request

from outrider_tracker.api import sdk_access, sdk_answers, sdk_series
from outrider_tracker.api.access import Access
from outrider_tracker.api.errors import ERRORS, Door, invalid
from outrider_tracker.api.models import FileList, SeriesData, SeriesList


def router(access: Access) -> APIRouter:
    """The doors of a run's data. Every one answers 404 for what the asking person may not see."""
    made = APIRouter(prefix="/api/v1/runs", route_class=Door, responses=ERRORS, tags=["runs"])
    services = access.services
    reader = services.reader
    at = "/{entity}/{project}/{run}"

    @made.get(f"{at}/series", response_model=SeriesList)
    async def list_series(
        request: Request, entity: str, project: str, run: str, *, kind: sdk_access.Kind = None
    ) -> Any:
        """Every metric key."""
        found = await sdk_access.either(access, await access.person(request), entity, project, run, kind=kind)
        if isinstance(found, sdk_access.Found):
            return {"items": await services.read(sdk_series.listed, services.sdk, found.run)}
        series = await services.read(reader.list_series, found.id)
        return {"items": [each.to_json() for each in series]}

    @made.get(f"{at}/series/data", response_model=SeriesData)
    async def read_series(
        request: Request,
        entity: str,
        project: str,
        run: str,
        *,
        key: sdk_series.Key,
        x: sdk_series.X = "time",
        x_key: sdk_series.XKey = "",
        points: sdk_series.Buckets = 400,
        start: sdk_series.From = None,
        to: sdk_series.To = None,
        kind: sdk_access.Kind = None,
    ) -> Any:
        """One key: a line a rank, in buckets of smallest, largest and mean value between `from` and `to` of x.

        `relative` and `metric` are for SDK runs.
        """
        found = await sdk_access.either(access, await access.person(request), entity, project, run, kind=kind)
        sdk_series.demand_order(start, to)
        if isinstance(found, sdk_access.Found):
            axis = sdk_series.axis(x, x_key, start, to)
            lines = await services.read(sdk_series.read, services.sdk, found.run, key, axis, points)
        elif x in {"relative", "metric"}:
            raise invalid(f"x={x} is for SDK runs: a Run's charts go by time or step.")
        else:
            lines = await services.read(reader.read_series, found.id, key, x=x, points=points, start=start, stop=to)
        # A thousand ranks make a million numbers: to_json made them sound, a second look would only take time.
        return JSONResponse({"key": key, "x": x, "lines": [line.to_json() for line in lines]})

    @made.get(f"{at}/files", response_model=FileList)
    async def list_files(request: Request, entity: str, project: str, run: str, *, kind: sdk_access.Kind = None) -> Any:
        """The newest version of each saved path of each pod, or of each name of an SDK run."""
        found = await sdk_access.either(access, await access.person(request), entity, project, run, kind=kind)
        if isinstance(found, sdk_access.Found):
            kept = await services.read(services.sdk.list_files, found.run.id)
            return {"items": [sdk_answers.file(each) for each in kept]}
        files = await services.read(reader.list_files, found.id)
        return {"items": [file.to_json() for file in files]}

    return made
