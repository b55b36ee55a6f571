"""Projects: found, listed, made; the runs in them."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, Final

from outrider_sidecar import contract
from outrider_tracker.auth.gate import demand
from outrider_tracker.core.errors import RefusedError
from outrider_tracker.core.mongo import FilterError
from outrider_tracker.core.principals import Person
from outrider_tracker.core.rules import Action, Target, Visibility, may
from outrider_tracker.store import accounts, projects, sdk_run_list, sdk_runs
from outrider_tracker.store.projects import Project
from outrider_tracker.store.sdk_run_list import RunQuery
from outrider_tracker.wandb.account_nodes import entity_node, node_id, user_node
from outrider_tracker.wandb.context import Context, Resolvers
from outrider_tracker.wandb.nodes import (
    DEFAULT_PROJECT,
    EMPTY,
    ProjectNode,
    RunNode,
    default_entity,
    find_project,
    find_run,
)

Info = Any
Node = dict[str, Any]
PAGE: Final = 50  # items, where a client names no number
MAX_DESCRIPTION: Final = 1 << 16
_ACCESS: Final[Mapping[Visibility, str]] = {
    Visibility.PRIVATE: "PRIVATE",
    Visibility.TEAM: "ENTITY_WRITE",
    Visibility.PUBLIC: "USER_READ",
}
_VISIBILITY: Final[Mapping[str, Visibility]] = {
    "PRIVATE": Visibility.PRIVATE,
    "RESTRICTED": Visibility.PRIVATE,
    "ENTITY_READ": Visibility.TEAM,
    "ENTITY_WRITE": Visibility.TEAM,
    "USER_READ": Visibility.PUBLIC,
    "USER_WRITE": Visibility.PUBLIC,
    "PUBLIC": Visibility.PUBLIC,
}


# W&B's names of arguments.
def project(
    _root: None,
    info: Info,
    name: str | None = None,
    entityName: str | None = None,  # noqa: N803
) -> ProjectNode | None:
    """A project that the viewer may see."""
    return find_project(info.context, entityName, name)


def models(
    _root: None,
    info: Info,
    entityName: str | None = None,  # noqa: N803
    first: int | None = None,
    after: str | None = None,
    **_: Any,
) -> Node:
    """The projects of an entity that the viewer may see, by name."""
    context: Context = info.context
    entity = entityName or default_entity(context.principal)
    limit = PAGE if first is None else first
    behind = _read_cursor(after) if after else ""
    found = [
        each
        for each in context.read(lambda connection: projects.list_projects(connection, entity))
        if each.name > behind and may(context.principal, Action.READ, Target(entity, project=each))
    ]
    edges = [{"node": ProjectNode(each, context), "cursor": _cursor(each)} for each in found[:limit]]
    return {"edges": edges, "pageInfo": page_info(edges, more=len(found) > limit)}


def _cursor(found: Project) -> str:
    return base64.urlsafe_b64encode(found.name.encode()).decode()


def _read_cursor(cursor: str) -> str:
    try:
        return base64.urlsafe_b64decode(cursor).decode()
    except ValueError:  # binascii.Error is one
        raise RefusedError(contract.ERROR_FRAME, "the cursor is not one that this list answered") from None


def page_info(edges: list[Node], *, more: bool) -> Node:
    """Of a page of edges that have cursors."""
    return {
        "hasNextPage": more,
        "hasPreviousPage": False,
        "startCursor": edges[0]["cursor"] if edges else None,
        "endCursor": edges[-1]["cursor"] if edges else None,
    }


def run(parent: ProjectNode, _info: Info, name: str, **_: Any) -> RunNode | None:
    """A run by the SDK's id, or by that of the Run that it is shown as: what readers ask for."""
    return find_run(parent, name, workloads=True)


def bucket(parent: ProjectNode, _info: Info, name: str, **_: Any) -> RunNode | None:
    """A run by the SDK's id alone: clients that are about to log under it ask whether it is there."""
    return find_run(parent, name)


def runs(
    parent: ProjectNode,
    _info: Info,
    filters: str | None = None,
    order: str | None = None,
    first: int | None = None,
    after: str | None = None,
    **_: Any,
) -> Node:
    """A page of the runs that the filter finds, in this order."""
    context, query = parent.context, _query(parent, filters)

    def read(connection: sqlite3.Connection) -> tuple[sdk_run_list.RunPage, list[sdk_runs.SdkRun]]:
        page = sdk_run_list.list_runs(connection, query, order, PAGE if first is None else first, after)
        found = (sdk_runs.run_by_id(connection, row) for row, _ in page.runs)
        return page, [each for each in found if each is not None]

    try:
        page, found = context.read(read)
    except FilterError as error:
        raise RefusedError(contract.ERROR_FRAME, f"{error}.") from None
    edges = [
        {"node": RunNode(each, context), "cursor": cursor}
        for each, (_, cursor) in zip(found, page.runs, strict=True)
        if may(context.principal, Action.READ, Target(each.entity, project=parent.project, run=each))
    ]
    return {
        "edges": edges,
        "pageInfo": page_info(edges, more=page.more),
        "count": lambda: run_count(parent, _info, filters),
    }


def total_count(parent: Node, _info: Info) -> int:
    """Counted only where it is asked for."""
    count: Callable[[], int] = parent["count"]
    return count()


def run_count(parent: ProjectNode, _info: Info, filters: str | None = None) -> int:
    """How many runs the filter finds."""
    query = _query(parent, filters)
    try:
        return parent.context.read(lambda connection: sdk_run_list.count_runs(connection, query))
    except FilterError as error:
        raise RefusedError(contract.ERROR_FRAME, f"{error}.") from None


def _query(parent: ProjectNode, filters: str | None) -> RunQuery:
    context = parent.context
    return RunQuery(parent.project, filters, context.now, context.store.sdk.serving_since)


def entity(parent: ProjectNode, _info: Info) -> Node | None:
    """Who owns the project."""
    found = parent.context.read(lambda connection: accounts.find_entity(connection, parent.project.entity))
    return None if found is None else entity_node(found)


def user(parent: ProjectNode, _info: Info) -> Node | None:
    """Who made the project; null: a pod or the controller."""
    creator = parent.project.creator
    if creator is None:
        return None
    found = parent.context.read(lambda connection: accounts.account_by_id(connection, creator))
    return None if found is None else user_node(found)


def read_only(parent: ProjectNode, _info: Info) -> bool:
    """Whether the viewer may not write to it."""
    found = parent.project
    return not may(parent.context.principal, Action.WRITE, Target(found.entity, project=found))


# A name of W&B's: the client calls the input `input`.
def upsert_model(_root: None, info: Info, input: Node) -> Node:  # noqa: A002
    """Makes a project, or changes its description and who sees it. The same twice is the same as once."""
    context: Context = info.context
    principal = context.principal
    owner = input.get("entityName") or default_entity(principal)
    name = input.get("name") or DEFAULT_PROJECT
    description, access = input.get("description"), input.get("access")
    visibility = _visibility(access) if access else None
    if description is not None and len(description) > MAX_DESCRIPTION:
        raise RefusedError(contract.ERROR_FRAME, f"a description has at most {MAX_DESCRIPTION} characters", status=422)

    def put(connection: sqlite3.Connection) -> tuple[Project, bool]:
        found = projects.find_project(connection, owner, name)
        made = found is None
        if found is None:
            demand(principal, Action.WRITE, Target(owner))
            creator = principal.id if isinstance(principal, Person) else None
            found = projects.ensure_project(connection, owner, name, creator, context.now)
        elif not may(principal, Action.READ, Target(owner, project=found)):
            raise RefusedError(contract.ERROR_FORBIDDEN, f"there is a project {owner}/{name} that is not yours to see")
        changes = (description not in {None, found.description}) or visibility not in {None, found.visibility}
        if changes and not made:
            demand(principal, Action.ADMINISTER, Target(owner, project=found))
        if description is not None:
            projects.set_description(connection, found.id, description)
        if visibility is not None:
            projects.set_visibility(connection, found.id, visibility)
        changed = projects.project_by_id(connection, found.id)
        assert changed is not None  # in the same transaction
        return changed, made

    found, made = context.write(put)
    node = ProjectNode(found, context)
    return {
        "project": node,
        "model": node,
        "inserted": made,
        "clientMutationId": input.get("clientMutationId"),
    }


def _visibility(access: str) -> Visibility:
    found = _VISIBILITY.get(access.upper())
    if found is None:
        raise RefusedError(
            contract.ERROR_FRAME,
            f"{access[:40]!r} is no access: there are {', '.join(sorted(_VISIBILITY))}",
            status=422,
        )
    return found


RESOLVERS: Final[Resolvers] = {
    "Query.project": project,
    "Query.model": project,
    "Query.models": models,
    "Mutation.upsertModel": upsert_model,
    "Project.id": lambda parent, _info: node_id("Project", parent.project.id),
    "Project.internalId": lambda parent, _info: str(parent.project.id),
    "Project.name": lambda parent, _info: parent.project.name,
    "Project.entityName": lambda parent, _info: parent.project.entity,
    "Project.description": lambda parent, _info: parent.project.description or None,
    "Project.createdAt": lambda parent, _info: parent.project.created,
    "Project.isBenchmark": lambda _parent, _info: False,
    "Project.isPublished": lambda parent, _info: parent.project.visibility is Visibility.PUBLIC,
    "Project.access": lambda parent, _info: _ACCESS[parent.project.visibility],
    "Project.tags": lambda _parent, _info: [],
    "Project.entity": entity,
    "Project.user": user,
    "Project.readOnly": read_only,
    "Project.run": run,
    "Project.bucket": bucket,
    "Project.runs": runs,
    "Project.buckets": runs,
    "Project.runCount": run_count,
    "Project.bucketCount": run_count,
    "Project.sweeps": lambda _parent, _info, **_: EMPTY,
    "Project.totalSweeps": lambda _parent, _info: 0,
    "Project.allViews": lambda _parent, _info, **_: EMPTY,
    "RunConnection.totalCount": total_count,
}
