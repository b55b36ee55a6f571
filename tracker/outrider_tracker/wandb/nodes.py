"""Values of the GraphQL types Project and Run: what resolvers of every part give, and get as their parent.

A node is given out only after the rule was asked (`find_project`, `find_run`): its fields ask no more, but for those
that lead to another project or run.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from outrider_sidecar import contract
from outrider_tracker.auth.gate import demand
from outrider_tracker.core.errors import RefusedError
from outrider_tracker.core.principals import Person, Pod, Principal
from outrider_tracker.core.rules import Action, Target, may
from outrider_tracker.core.run_states import State, state_of
from outrider_tracker.store import projects, sdk_runs
from outrider_tracker.store.lone_runs import lone_run
from outrider_tracker.store.projects import Project
from outrider_tracker.store.sdk_runs import SdkRun
from outrider_tracker.wandb.context import Context

DEFAULT_PROJECT: Final = "uncategorized"
EMPTY: Final[Mapping[str, Any]] = {
    "edges": (),
    "pageInfo": {"hasNextPage": False, "hasPreviousPage": False},
    "totalCount": 0,
}
"""A connection to what is not kept here."""


@dataclass(frozen=True, slots=True)
class ProjectNode:
    """A value of type Project."""

    graphql_type: ClassVar[str] = "Project"
    project: Project
    context: Context


@dataclass(frozen=True, slots=True)
class RunNode:
    """A value of type Run. Its fields: resolvers/runs.py, history.py, files.py."""

    graphql_type: ClassVar[str] = "Run"
    run: SdkRun
    context: Context

    @property
    def state(self) -> State:
        """Its state now: silence counts."""
        run, context = self.run, self.context
        return state_of(
            run.state, run.heartbeat, context.now, context.store.sdk.serving_since, stopped=bool(run.stop_asked)
        )


def default_entity(principal: Principal | None) -> str:
    """Where things are that name no entity."""
    if isinstance(principal, Person):
        return principal.default_entity
    return principal.entity if isinstance(principal, Pod) else ""


def find_project(context: Context, entity: str | None, name: str | None) -> ProjectNode | None:
    """The project, None if there is none or the viewer may not see it. Without an entity: in the viewer's own."""
    owner = entity or default_entity(context.principal)
    found = context.read(lambda connection: projects.find_project(connection, owner, name or DEFAULT_PROJECT))
    if found is None or not may(context.principal, Action.READ, Target(found.entity, project=found)):
        return None
    return ProjectNode(found, context)


def find_run(node: ProjectNode, name: str, *, workloads: bool = False) -> RunNode | None:
    """The run of a project that the viewer sees; None if there is none or the viewer may not see it.

    `workloads`: the name may also be the id of a Run, and means the SDK run that is shown as it.
    """
    project, context = node.project, node.context

    def read(connection: sqlite3.Connection) -> SdkRun | None:
        found = sdk_runs.find_run(connection, project.entity, project.name, name)
        if found is None and workloads:
            return lone_run(connection, name, project.entity, project.name)
        return found

    found = context.read(read)
    if found is None or not may(context.principal, Action.READ, Target(project.entity, project=project, run=found)):
        return None
    return RunNode(found, context)


def demand_run(connection: sqlite3.Connection, context: Context, storage_id: str, action: Action) -> SdkRun:
    """The run of this storage id, for a change in a writer's job.

    RefusedError: there is none, or the viewer may not see it (404); the viewer sees it but may not do this (403).
    """
    missing = RefusedError(contract.ERROR_FRAME, "there is no such run, or it is not yours to see", status=404)
    try:
        address = sdk_runs.parse_storage_id(storage_id)
    except ValueError:
        raise missing from None
    project = projects.find_project(connection, address[0], address[1])
    found = None if project is None else sdk_runs.find_run(connection, *address)
    if project is None or found is None:
        raise missing
    target = Target(project.entity, project=project, run=found)
    if not may(context.principal, Action.READ, target):
        raise missing
    if context.principal is not None:
        demand(context.principal, action, target)
    return found
