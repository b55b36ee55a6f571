"""Projects: made when the first run of their name comes, seen as their visibility says."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from outrider_sidecar import contract
from outrider_tracker.core.errors import RefusedError
from outrider_tracker.core.principals import Person, Pod, Principal, Role
from outrider_tracker.core.rules import Visibility

# What the client refuses in a project's name, and what no address of a page could carry.
_FORBIDDEN: Final = re.compile(r"[/\\#?%:\x00-\x1f\x7f]")
MAX_NAME: Final = 128
COLUMNS: Final = ", ".join(
    f"project.{column}" for column in ("id", "entity", "name", "visibility", "creator", "description", "created")
)
"""What `project_of_row` reads of the table `project`."""


@dataclass(frozen=True, slots=True)
class Project:
    """A project. `creator`: the user who made it, None: the controller or a pod; `created` in Unix seconds."""

    id: int
    entity: str
    name: str
    visibility: Visibility
    creator: int | None
    description: str
    created: float


def find_project(connection: sqlite3.Connection, entity: str, name: str) -> Project | None:
    """The project of this name."""
    return _one(connection, "entity = ? AND name = ?", (entity, name))


def project_by_id(connection: sqlite3.Connection, project: int) -> Project | None:
    """The project of this row."""
    return _one(connection, "id = ?", (project,))


def project_of_run(connection: sqlite3.Connection, run: str) -> Project | None:
    """The project of a Run of the controller's."""
    return _one(connection, "(entity, name) = (SELECT run.entity, run.project FROM run WHERE run.id = ?)", (run,))


def list_projects(connection: sqlite3.Connection, entity: str) -> Sequence[Project]:
    """All projects of an entity, by name."""
    rows = connection.execute(f"SELECT {COLUMNS} FROM project WHERE entity = ? ORDER BY name", (entity,))  # noqa: S608
    return [project_of_row(row) for row in rows]


def ensure_project(connection: sqlite3.Connection, entity: str, name: str, creator: int | None, now: float) -> Project:
    """The project, made if there is none (in a writer's job, after the rule was asked).

    RefusedError: the entity is unknown, or the name is none.
    """
    found = find_project(connection, entity, name)
    if found is not None:
        return found
    if connection.execute("SELECT 1 FROM entity WHERE name = ?", (entity,)).fetchone() is None:
        raise RefusedError(
            contract.ERROR_FRAME,
            f"there is no entity {entity[:MAX_NAME]!r}: name your own user or one of your teams; an administrator "
            "makes a team with `outrider-tracker team add`",
            status=404,
        )
    check_project_name(name)
    connection.execute(
        "INSERT INTO project (entity, name, creator, created) VALUES (?, ?, ?, ?)", (entity, name, creator, now)
    )
    made = find_project(connection, entity, name)
    assert made is not None  # in the same transaction
    return made


def check_project_name(name: str) -> None:
    """RefusedError (400) with a sentence, if this cannot be the name of a project."""
    if not name.strip() or len(name) > MAX_NAME or _FORBIDDEN.search(name):
        raise RefusedError(
            contract.ERROR_FRAME,
            f"{name[:MAX_NAME]!r} is no project name: 1 to {MAX_NAME} characters without / \\ # ? % : are allowed",
        )


def set_visibility(connection: sqlite3.Connection, project: int, visibility: Visibility) -> None:
    """Who sees it from now on."""
    connection.execute("UPDATE project SET visibility = ? WHERE id = ?", (visibility.value, project))


def set_description(connection: sqlite3.Connection, project: int, description: str) -> None:
    """What people read about it."""
    connection.execute("UPDATE project SET description = ? WHERE id = ?", (description, project))


def visible_projects_condition(principal: Principal | None) -> tuple[str, list[Any]]:
    """An SQL condition over a row `project`, and its values: what `may(principal, READ, …)` says of each project."""
    if isinstance(principal, Pod):
        if principal.place is None:
            return "0", []
        return "(project.entity = ? AND project.name = ?)", [principal.entity, principal.place.project]
    if not isinstance(principal, Person):
        return "0", []
    if principal.admin:
        return "1", []
    rules = sorted(entity for entity, role in principal.roles.items() if role is Role.ADMIN)
    roles = sorted(principal.roles)
    condition = (
        "(project.visibility = 'public' "
        f"OR project.entity IN ({_marks(rules)}) "
        f"OR (project.entity IN ({_marks(roles)}) AND (project.visibility = 'team' OR project.creator = ?)))"
    )
    return condition, [*rules, *roles, principal.id]


def _marks(values: Sequence[str]) -> str:
    return ",".join("?" * len(values))


def _one(connection: sqlite3.Connection, where: str, values: Sequence[Any]) -> Project | None:
    row = connection.execute(f"SELECT {COLUMNS} FROM project WHERE {where}", values).fetchone()  # noqa: S608  fixed texts
    return None if row is None else project_of_row(row)


def project_of_row(row: Sequence[Any]) -> Project:
    """The project of a row of `COLUMNS`."""
    number, entity, name, visibility, creator, description, created = row
    return Project(number, entity, name, Visibility(visibility), creator, description, created)
