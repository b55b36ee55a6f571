"""`/api/v1/runs`: the list of both kinds of runs, and one of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from starlette.requests import Request

from outrider_tracker.api import sdk_access, sdk_answers
from outrider_tracker.api.access import Access
from outrider_tracker.api.errors import ERRORS, Door, invalid
from outrider_tracker.api.models import RankList, Run, RunState, RunSummary, StreamList
from outrider_tracker.api.sdk_models import AnyRun, AnyRunList, SdkRunList
from outrider_tracker.store.records import Run as StoredRun
from outrider_tracker.store.records import RunFilter
from outrider_tracker.store.sdk_runs import SdkRun as StoredSdkRun


def _shown(run: StoredRun, model: type[RunSummary], sdk: dict[str, Any] | None) -> dict[str, Any]:
    """A Run as far as the model knows it: its record may be that of a newer controller.

    The address decides which project it is in, whatever the record says. `sdk`: the SDK run that is shown as it.
    """
    own = {"project": run.project, "kind": "run", "sdk": sdk}
    return model.model_validate({**run.to_json(), **own}).model_dump(mode="json")


def router(access: Access) -> APIRouter:
    """The doors of Runs. Every one answers 404 for what the asking person may not see."""
    made = APIRouter(prefix="/api/v1/runs", route_class=Door, responses=ERRORS, tags=["runs"])
    services = access.services
    reader = services.reader

    def summary(run: StoredSdkRun) -> dict[str, Any]:
        return sdk_answers.summary(run, services.sdk.now, services.sdk.serving_since)

    def shown(found: Sequence[StoredRun | StoredSdkRun], model: type[RunSummary] = RunSummary) -> list[dict[str, Any]]:
        lone = services.sdk.lone_runs([run for run in found if isinstance(run, StoredRun)])
        return [
            _shown(run, model, summary(lone[run.id]) if run.id in lone else None)
            if isinstance(run, StoredRun)
            else summary(run)
            for run in found
        ]

    @made.get("", response_model=AnyRunList)
    async def list_runs(
        request: Request,
        *,
        entity: str | None = None,
        project: str | None = None,
        state: RunState | None = None,
        q: Annotated[str | None, Query(max_length=200, description="Part of the id, a name or the group.")] = None,
        kind: Annotated[Literal["run", "sdk"] | None, Query(description="Only Runs, or only SDK runs.")] = None,
        sweep: Annotated[str | None, Query(max_length=200)] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
        cursor: Annotated[str | None, Query(max_length=500)] = None,
    ) -> Any:
        """Both kinds of runs that the caller may read, newest first. `next` goes into `cursor`; new runs shift none."""
        person = await access.person(request)
        chosen = RunFilter(person, entity or None, project or None, state, q or None, kind, sweep or None)
        try:
            page = await services.read(reader.list_runs, chosen, limit, cursor or None)
        except ValueError as error:
            raise invalid("The cursor is none of this tracker's: begin again without it.") from error
        return await services.answer(lambda: {"items": shown(page.items), "next": page.next})

    at = "/{entity}/{project}/{run}"

    @made.get(at, response_model=AnyRun)
    async def get_run(request: Request, entity: str, project: str, run: str, *, kind: sdk_access.Kind = None) -> Any:
        """One run with its whole record."""
        person = await access.person(request)
        found = await sdk_access.either(access, person, entity, project, run, kind=kind)
        if isinstance(found, StoredRun):
            return await services.answer(lambda: shown([found], Run)[0])
        return await sdk_access.whole(access, person, found)

    @made.get(f"{at}/sdk", response_model=SdkRunList)
    async def list_sdk_runs(request: Request, entity: str, project: str, run: str) -> Any:
        """The SDK runs that the pods of a Run made, newest first."""
        person = await access.person(request)
        found = await access.run(person, entity, project, run)
        made_there = await services.read(services.sdk.runs_of, found.id)
        return {"items": [summary(each) for each in await sdk_access.readable(access, person, made_there)]}

    @made.get(f"{at}/ranks", response_model=RankList)
    async def list_ranks(request: Request, entity: str, project: str, run: str) -> Any:
        """Every rank of every attempt."""
        found = await access.run(await access.person(request), entity, project, run)
        return await services.answer(lambda: {"items": [rank.to_json() for rank in reader.list_ranks(found.id)]})

    @made.get(f"{at}/streams", response_model=StreamList)
    async def list_streams(request: Request, entity: str, project: str, run: str) -> Any:
        """Every stream of every pod, also of those that no rank is known for."""
        found = await access.run(await access.person(request), entity, project, run)
        listed = partial(reader.list_run_streams, found.id)
        return await services.answer(lambda: {"items": [stream.to_json() for stream in listed()]})

    return made
