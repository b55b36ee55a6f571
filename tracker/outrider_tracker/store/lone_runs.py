"""An SDK run that is shown as a Run: the only one that the Run's pods made, in the Run's own project.

Several are shown beside the Run, as its children; one in another project stays there, where it was asked to be. Whoever
may see the Run may see its lone SDK run: both are in one project, and people see all runs of a project or none.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from outrider_tracker.store import sdk_runs
from outrider_tracker.store.sdk_runs import SdkRun

IS_LONE: Final = (
    "(sdk_run.run_id IS NOT NULL "
    "AND EXISTS (SELECT 1 FROM run AS home WHERE home.id = sdk_run.run_id AND home.entity = project.entity "
    "AND home.project = project.name) "
    "AND NOT EXISTS (SELECT 1 FROM sdk_run AS other WHERE other.run_id = sdk_run.run_id AND other.id != sdk_run.id "
    "AND other.deleted IS NULL))"
)
"""An SQL condition over rows `sdk_run` (not deleted) and its `project`."""


def lone_run(connection: sqlite3.Connection, run: str, entity: str, project: str) -> SdkRun | None:
    """The SDK run that is shown as this Run, which stands in this project; None: there is none, or there are several.

    The project is the caller's word: a Run that another one asks for here has none.
    """
    rows = connection.execute("SELECT id FROM sdk_run WHERE run_id = ? AND deleted IS NULL LIMIT 2", (run,)).fetchall()
    if len(rows) != 1:
        return None
    found = sdk_runs.run_by_id(connection, rows[0][0])
    return found if found is not None and (found.entity, found.project) == (entity, project) else None
