"""Which SDK run, Run or project an address means, and whether the person who asks may see or change it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Query
from starlette.responses import Response

from outrider_sidecar import contract
from outrider_tracker.api import sdk_answers
from outrider_tracker.api.access import Access
from outrider_tracker.api.errors import ApiError, missing
from outrider_tracker.core.principals import Person
from outrider_tracker.core.rules import Action, Target, may
from outrider_tracker.store.projects import Project
from outrider_tracker.store.records import Run
from outrider_tracker.store.sdk_runs import SdkRun

Kind = Annotated[
    Literal["run", "sdk"] | None,
    Query(description="Which of the two, where a Run and an SDK run have the same address; without: the Run."),
]


@dataclass(frozen=True, slots=True)
class Found:
    """An SDK run that the person may read, and its project."""

    run: SdkRun
    project: Project

    def may(self, person: Person, action: Action) -> bool:
        """Whether the person may do this to it."""
        return may(person, action, Target(self.run.entity, project=self.project, run=self.run))


async def project(access: Access, person: Person, entity: str, name: str) -> Project:
    """The project, else 404."""
    found = await access.services.read(access.services.sdk.find_project, entity, name)
    if found is None or not may(person, Action.READ, Target(entity, project=found)):
        raise missing(f"project {entity}/{name}")
    return found


async def sdk_run(access: Access, person: Person, entity: str, name: str, run: str) -> Found:
    """The SDK run at this address, else 404."""
    found = await access.services.read(access.services.sdk.find_run, entity, name, run)
    at = await access.services.read(access.services.sdk.find_project, entity, name)
    if found is None or at is None or not may(person, Action.READ, Target(entity, project=at, run=found)):
        raise missing(f"run {run!r} in {entity}/{name}")
    return Found(found, at)


async def writable(access: Access, person: Person, entity: str, name: str, run: str) -> Found:
    """The SDK run at this address; 404, or 403 where the person may only look."""
    found = await sdk_run(access, person, entity, name, run)
    if not found.may(person, Action.WRITE):
        message = f"You may look at run {run!r} but not change it: ask for the role member in {entity!r}."
        raise ApiError(403, contract.ERROR_FORBIDDEN, message)
    return found


async def either(access: Access, person: Person, entity: str, name: str, run: str, *, kind: str | None) -> Run | Found:
    """What stands at an address: the Run, else the SDK run. `kind` says which where both do. Else 404."""
    if kind == "sdk":
        return await sdk_run(access, person, entity, name, run)
    try:
        return await access.run(person, entity, name, run)
    except ApiError:
        if kind == "run":
            raise
    return await sdk_run(access, person, entity, name, run)


async def linked(access: Access, person: Person, run: str | None) -> Run | None:
    """The Run whose pod made an SDK run, if the person may see it."""
    if run is None:
        return None
    services = access.services
    found = await services.read(services.reader.get_run, run)
    at = await services.read(services.reader.project_of_run, run)
    return found if found is not None and may(person, Action.READ, Target(found.entity, project=at)) else None


async def readable(access: Access, person: Person, runs: Sequence[SdkRun]) -> list[SdkRun]:
    """Those that the person may see: the pods of one Run may have logged to several projects."""
    kept: list[SdkRun] = []
    for run in runs:
        at = await access.services.read(access.services.sdk.find_project, run.entity, run.project)
        if at is not None and may(person, Action.READ, Target(run.entity, project=at, run=run)):
            kept.append(run)
    return kept


async def whole(access: Access, person: Person, found: Found) -> Response:
    """The run in full, as this person may see it."""
    sdk = access.services.sdk
    of = await linked(access, person, found.run.run_id)
    return await access.services.answer(
        lambda: sdk_answers.whole(
            found.run,
            found.project,
            sdk.metadata(found.run.id),
            user=sdk.user_name(found.run.user),
            of=of,
            alone=of is not None and of.id in sdk.lone_runs([of]),
            parent=sdk.parent_of(found.run),
            may_write=found.may(person, Action.WRITE),
            now=sdk.now,
            serving_since=sdk.serving_since,
        )
    )
