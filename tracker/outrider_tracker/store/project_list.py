"""The projects of an entity, with how many runs they have and when one of them was last heard of."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Final

from outrider_tracker.core.principals import Person
from outrider_tracker.store.projects import COLUMNS, Project, project_of_row, visible_projects_condition
from outrider_tracker.store.records import Page

MAX_PAGE: Final = 200
# What a page costs is bounded: of each kind the newest runs are looked at, and all SDK runs that go on, whose
# heartbeats an index has (the + keeps SQLite from walking all runs in the order of another one).
_NEWEST: Final = 20
_ALIVE: Final = (
    "SELECT project, max(heartbeat) AS heard FROM sdk_run "
    "WHERE heartbeat > 0 AND state IN ('running', 'preempting') AND deleted IS NULL GROUP BY +project"
)
_SDK_HEARD: Final = (
    "SELECT max(heartbeat) FROM (SELECT heartbeat FROM sdk_run WHERE sdk_run.project = project.id "  # noqa: S608
    f"AND deleted IS NULL ORDER BY created DESC, id DESC LIMIT {_NEWEST})"
)
# An ended Run may be written again: its end counts. One that goes on is heard of through its pods.
_RUN_HEARD: Final = (
    "SELECT max(ifnull(unixepoch(json_extract(record_json, '$.endedAt')), "  # noqa: S608  fixed texts
    "max(created, ifnull((SELECT max(last_contact) FROM source WHERE source.run_id = newest.id), 0)))) "
    "FROM (SELECT id, created, record_json FROM run WHERE run.entity = project.entity AND run.project = project.name "
    f"ORDER BY created DESC, id DESC LIMIT {_NEWEST}) AS newest"
)
_SELECT: Final = (
    f"WITH alive AS MATERIALIZED ({_ALIVE}) SELECT {COLUMNS}, "  # noqa: S608  fixed texts
    "(SELECT count(*) FROM run WHERE run.entity = project.entity AND run.project = project.name), "
    "(SELECT count(*) FROM sdk_run WHERE sdk_run.project = project.id AND deleted IS NULL), "
    f"nullif(max(ifnull(({_RUN_HEARD}), 0), ifnull(({_SDK_HEARD}), 0), "
    "ifnull((SELECT heard FROM alive WHERE alive.project = project.id), 0)), 0) FROM project"
)


@dataclass(frozen=True, slots=True)
class ProjectUse:
    """A project, its Runs and SDK runs, and when one of them was last heard of (Unix seconds, None: it has none)."""

    project: Project
    runs: int
    sdk_runs: int
    heard: float | None


def list_projects(
    connection: sqlite3.Connection, reader: Person, entity: str, limit: int, after: str
) -> Page[ProjectUse]:
    """At most `limit` projects that the person may see, by name, behind the name `after`, which is a page's `next`."""
    limit = max(1, min(limit, MAX_PAGE))
    visible, values = visible_projects_condition(reader)
    rows = connection.execute(
        f"{_SELECT} WHERE project.entity = ? AND project.name > ? AND {visible} ORDER BY project.name LIMIT ?",
        (entity, after, *values, limit + 1),
    ).fetchall()
    found = [ProjectUse(project_of_row(row[:-3]), *row[-3:]) for row in rows[:limit]]
    return Page(found, found[-1].project.name if len(rows) > limit else None)
