"""Series and files of `/api/v1/runs/…`: the same doors for Runs and SDK runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request

from outrider_tracker.api import sdk_access, sdk_answers, sdk_series
from outrider_tracker.api.access import Access
from outrider_tracker.api.errors import ERRORS, Door, invalid
from outrider_tracker.api.models import FileList, SeriesData, SeriesList
from outrider_tracker.store.records import SeriesLine


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
            return await services.answer(lambda: {"items": sdk_series.listed(services.sdk, found.run)})
        return await services.answer(lambda: {"items": [each.to_json() for each in reader.list_series(found.id)]})

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
        read: Callable[[], Sequence[SeriesLine]]
        if isinstance(found, sdk_access.Found):
            axis = sdk_series.axis(x, x_key, start, to)
            read = partial(sdk_series.read, services.sdk, found.run, key, axis, points)
        elif x in {"relative", "metric"}:
            raise invalid(f"x={x} is for SDK runs: a Run's charts go by time or step.")
        else:
            read = partial(reader.read_series, found.id, key, x=x, points=points, start=start, stop=to)
        return await services.answer(lambda: {"key": key, "x": x, "lines": [line.to_json() for line in read()]})

    @made.get(f"{at}/files", response_model=FileList)
    async def list_files(request: Request, entity: str, project: str, run: str, *, kind: sdk_access.Kind = None) -> Any:
        """The newest version of each saved path of each pod, or of each name of an SDK run."""
        found = await sdk_access.either(access, await access.person(request), entity, project, run, kind=kind)
        if isinstance(found, sdk_access.Found):
            kept = partial(services.sdk.list_files, found.run.id)
            return await services.answer(lambda: {"items": [sdk_answers.file(each) for each in kept()]})
        return await services.answer(lambda: {"items": [file.to_json() for file in reader.list_files(found.id)]})

    return made
