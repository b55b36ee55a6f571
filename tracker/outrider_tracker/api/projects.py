"""`/api/v1/projects`: the projects of an entity, one of them, and charts over several of its SDK runs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from starlette.requests import Request

from outrider_tracker.api import sdk_access, sdk_series
from outrider_tracker.api.access import Access
from outrider_tracker.api.errors import ERRORS, Door, missing
from outrider_tracker.api.models import SeriesData
from outrider_tracker.api.sdk_models import Project, ProjectList, ProjectSeriesList
from outrider_tracker.core.rules import Action, Target, may
from outrider_tracker.store.project_list import MAX_PAGE
from outrider_tracker.store.projects import Project as StoredProject
from outrider_tracker.store.sdk_runs import SdkRun

MAX_RUNS: Final = 50
Names = Annotated[
    list[Annotated[str, Query(max_length=200)]],
    Query(alias="run", min_length=1, max_length=MAX_RUNS, description="Ids of SDK runs of the project."),
]


def _shown(project: StoredProject) -> dict[str, Any]:
    return {
        "entity": project.entity,
        "name": project.name,
        "visibility": project.visibility,
        "description": project.description,
        "createdAt": project.created,
    }


def router(access: Access) -> APIRouter:
    """The doors of projects."""
    made = APIRouter(prefix="/api/v1/projects", route_class=Door, responses=ERRORS, tags=["projects"])
    services = access.services
    sdk = services.sdk
    at = "/{entity}/{project}"

    async def chosen(request: Request, entity: str, project: str, names: Sequence[str]) -> Sequence[SdkRun]:
        person = await access.person(request)
        await sdk_access.project(access, person, entity, project)
        found = await services.read(sdk.runs_named, entity, project, list(dict.fromkeys(names)))
        return await sdk_access.readable(access, person, found)

    @made.get("/{entity}", response_model=ProjectList)
    async def list_projects(
        request: Request,
        entity: str,
        *,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
        cursor: Annotated[str, Query(max_length=500)] = "",
    ) -> Any:
        """The projects of an entity that the caller may see, by name."""
        person = await access.person(request)
        page = await services.read(sdk.list_projects, person, entity, limit, cursor)
        # An entity of which one sees nothing reads like one that is not there.
        if page is None or not (page.items or may(person, Action.READ, Target(entity))):
            raise missing(f"entity {entity!r}")
        return {
            "items": [
                {
                    **_shown(use.project),
                    "runs": use.runs,
                    "sdkRuns": use.sdk_runs,
                    "activeAt": use.heard,
                    "mayWrite": may(person, Action.WRITE, Target(entity, project=use.project)),
                }
                for use in page.items
            ],
            "next": page.next,
        }

    @made.get(at, response_model=Project)
    async def get_project(request: Request, entity: str, project: str) -> Any:
        """One project."""
        return _shown(await sdk_access.project(access, await access.person(request), entity, project))

    @made.get(f"{at}/series", response_model=ProjectSeriesList)
    async def list_series(request: Request, entity: str, project: str, names: Names) -> Any:
        """The metric keys of the chosen runs; runs that are not there are left out."""
        runs = await chosen(request, entity, project, names)
        return await services.answer(lambda: {"items": sdk_series.together(sdk, runs)})

    @made.get(f"{at}/series/data", response_model=SeriesData)
    async def read_series(
        request: Request,
        entity: str,
        project: str,
        names: Names,
        *,
        key: sdk_series.Key,
        x: sdk_series.X = "step",
        x_key: sdk_series.XKey = "",
        points: sdk_series.Buckets = 400,
        start: sdk_series.From = None,
        to: sdk_series.To = None,
    ) -> Any:
        """One key of several runs over each other: a line a run."""
        runs = await chosen(request, entity, project, names)
        sdk_series.demand_order(start, to)
        wanted = sdk_series.axis(x, x_key, start, to)
        read = partial(sdk_series.overlaid, sdk, runs, key, wanted, points)
        return await services.answer(lambda: {"key": key, "x": x, "lines": read()})

    return made
