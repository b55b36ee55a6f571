"""Rows of SDK runs: found, made, changed. Writing functions belong into a writer's job."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Final

from outrider_tracker.core import jsontext, run_states, sdk_config
from outrider_tracker.core.run_names import new_display_name, parse_storage_id, storage_id
from outrider_tracker.core.run_states import LOST_SECONDS, Event, State

__all__ = ["RunChange", "SdkRun", "find_run", "parse_storage_id", "run_by_id", "storage_id", "upsert_run"]


@dataclass(frozen=True)
class SdkRun:
    """An SDK run: its row, and the names of its project and entity. Times in Unix seconds.

    `name` is the SDK's run id, `id` our row, `storage_id` what GraphQL calls `id`. `user`: who made it, None: a pod.
    """

    id: int
    project_id: int
    entity: str
    project: str
    name: str
    display_name: str
    notes: str
    group_name: str
    job_type: str
    sweep: str
    tags_json: str
    config_json: str
    summary_json: str
    host: str
    program: str
    repo: str
    commit_hash: str
    user: int | None
    run_id: str | None
    state: State
    created: float
    updated: float
    heartbeat: float
    ended: float | None
    exit_code: int | None
    stop_asked: int
    branch: int
    parent: int | None
    parent_step: int | None
    next_step: int

    @cached_property
    def storage_id(self) -> str:
        """A function of the run's address."""
        return storage_id(self.entity, self.project, self.name)

    @cached_property
    def tags(self) -> list[str]:
        """Its tags, in the order given."""
        found: list[str] = json.loads(self.tags_json)
        return found

    @cached_property
    def config(self) -> dict[str, Any]:
        """`{key: {"value": …}}`, with the client's own `_wandb`."""
        found: dict[str, Any] = json.loads(self.config_json)
        return found

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The newest values; numbers that JSON lacks are texts."""
        found: dict[str, Any] = json.loads(self.summary_json)
        return found

    @property
    def stopped(self) -> bool:
        """Whether a person asked it to stop, and it has not ended since."""
        return bool(self.stop_asked) and self.state in run_states.ALIVE


COLUMNS: Final = ", ".join(
    {"project_id": "sdk_run.project", "entity": "project.entity", "project": "project.name"}.get(
        item.name, f"sdk_run.{item.name}"
    )
    for item in fields(SdkRun)
)
"""What `SdkRun.of` reads, for a query `SELECT {COLUMNS} FROM sdk_run JOIN project ON project.id = sdk_run.project`."""
SELECT: Final = f"SELECT {COLUMNS} FROM sdk_run JOIN project ON project.id = sdk_run.project"  # noqa: S608  fixed texts
_STATE: Final = [item.name for item in fields(SdkRun)].index("state")


def run_of(row: Sequence[Any]) -> SdkRun:
    """The run of a row of `COLUMNS`."""
    values = list(row)
    values[_STATE] = State(values[_STATE])
    return SdkRun(*values)


def find_run(connection: sqlite3.Connection, entity: str, project: str, name: str) -> SdkRun | None:
    """The run at this address."""
    row = connection.execute(
        f"{SELECT} WHERE project.entity = ? AND project.name = ? AND sdk_run.name = ? AND sdk_run.deleted IS NULL",
        (entity, project, name),
    ).fetchone()
    return None if row is None else run_of(row)


def run_by_id(connection: sqlite3.Connection, run: int) -> SdkRun | None:
    """The run of this row."""
    row = connection.execute(f"{SELECT} WHERE sdk_run.id = ? AND sdk_run.deleted IS NULL", (run,)).fetchone()
    return None if row is None else run_of(row)


@dataclass(frozen=True, slots=True)
class RunChange:
    """What a client says of a run; None says nothing. `started`: it begins to log now (it is no later edit).

    `shared`: one of several writers, whose config is added to that of the others.
    """

    display_name: str | None = None
    notes: str | None = None
    group_name: str | None = None
    job_type: str | None = None
    sweep: str | None = None
    tags: Sequence[str] | None = None
    config: Mapping[str, Any] | None = None
    summary: Mapping[str, Any] | None = None
    host: str | None = None
    program: str | None = None
    repo: str | None = None
    commit_hash: str | None = None
    state: State | None = None
    started: bool = False
    shared: bool = False


_PLAIN: Final = ("notes", "group_name", "job_type", "sweep", "host", "program", "repo", "commit_hash")


def upsert_run(
    connection: sqlite3.Connection,
    project: int,
    name: str,
    change: RunChange,
    *,
    user: int | None,
    run_id: str | None,
    now: float,
) -> tuple[SdkRun, bool]:
    """The run after the change, and whether it was made by it. The same change twice is the same as once."""
    row = connection.execute(
        f"{SELECT} WHERE sdk_run.project = ? AND sdk_run.name = ? AND sdk_run.deleted IS NULL", (project, name)
    ).fetchone()
    if row is not None:
        known = run_of(row)
        return change_run(connection, known, change, now), False
    number = connection.execute("SELECT count(*) + 1 FROM sdk_run WHERE project = ?", (project,)).fetchone()[0]
    inserted = connection.execute(
        "INSERT INTO sdk_run (project, name, display_name, user, run_id, state, created, updated, heartbeat) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (project, name, new_display_name(number), user, run_id, State.RUNNING, now, now, now),
    )
    assert inserted.lastrowid is not None
    made = run_by_id(connection, inserted.lastrowid)
    assert made is not None
    return change_run(connection, made, change, now), True


def change_run(connection: sqlite3.Connection, run: SdkRun, change: RunChange, now: float) -> SdkRun:
    """The run after the change."""
    new: dict[str, Any] = {}
    for column in _PLAIN:
        value = getattr(change, column)
        if value is not None:
            new[column] = value
    if change.display_name:
        new["display_name"] = change.display_name
    if change.tags is not None:
        new["tags_json"] = json.dumps(list(dict.fromkeys(change.tags)))
    if change.config is not None:
        join = sdk_config.merged if change.shared else sdk_config.replaced
        new["config_json"] = jsontext.write(join(run.config, change.config))
    if change.summary is not None:
        new["summary_json"] = jsontext.write(change.summary)
    if change.started:
        new |= {
            "state": run_states.after(run.state, Event.STARTED),
            "heartbeat": now,
            "ended": None,
            "exit_code": None,
        }
        if run.state not in run_states.ALIVE:
            new["stop_asked"] = 0
    if change.state is not None:
        new |= {"state": change.state, "ended": None if change.state in run_states.ALIVE else now}
    return _set(connection, run, {**new, "updated": now})


def _set(connection: sqlite3.Connection, run: SdkRun, new: Mapping[str, Any]) -> SdkRun:
    columns = ", ".join(f"{column} = ?" for column in new)
    connection.execute(f"UPDATE sdk_run SET {columns} WHERE id = ?", (*new.values(), run.id))  # noqa: S608  our names
    changed = run_by_id(connection, run.id)
    assert changed is not None
    return changed


def set_parent(connection: sqlite3.Connection, run: int, parent: int, step: int) -> None:
    """The run begins with the rows of its parent up to `step`."""
    connection.execute("UPDATE sdk_run SET parent = ?, parent_step = ? WHERE id = ?", (parent, step, run))


def open_branch(connection: sqlite3.Connection, run: int, branch: int, now: float) -> None:
    """The run was rewound: from now on its lines are those of this branch, and it is running. Of its summary nothing is
    left, as nobody knows which of it was said of later steps.
    """
    connection.execute(
        "UPDATE sdk_run SET branch = ?, state = 'running', ended = NULL, exit_code = NULL, stop_asked = 0, "
        "summary_json = '{}', heartbeat = ?, updated = ? WHERE id = ?",
        (branch, now, now, run),
    )


def ask_stop(connection: sqlite3.Connection, run: int, now: float) -> None:
    """Its client hears of it at its next word."""
    connection.execute("UPDATE sdk_run SET stop_asked = 1, updated = ? WHERE id = ?", (now, run))


def any_silent(connection: sqlite3.Connection, now: float) -> bool:
    """Whether a run was silent for long enough that its state may have to change: cheap, for every round."""
    found = connection.execute(
        "SELECT 1 FROM sdk_run WHERE heartbeat < ? AND state IN ('running', 'preempting') AND deleted IS NULL "
        "AND (exit_code IS NOT NULL OR heartbeat < ?) LIMIT 1",
        (now - run_states.OTHERS_SECONDS, now - LOST_SECONDS),
    ).fetchone()
    return found is not None


def lose_silent(connection: sqlite3.Connection, now: float, serving_since: float) -> list[int]:
    """Runs that were silent for too long are crashed, preempted or killed now. Their ids."""
    if now - serving_since <= LOST_SECONDS:
        return []
    rows = connection.execute(
        "SELECT id, state, heartbeat, stop_asked FROM sdk_run WHERE heartbeat < ? AND state IN "
        "('running', 'preempting') AND deleted IS NULL",
        (now - LOST_SECONDS,),
    ).fetchall()
    lost: list[int] = []
    for run, state, heartbeat, stopped in rows:
        new = run_states.state_of(State(state), heartbeat, now, serving_since, stopped=bool(stopped))
        if new != state:
            connection.execute(
                "UPDATE sdk_run SET state = ?, ended = ?, updated = ? WHERE id = ?", (new, heartbeat, now, run)
            )
            lost.append(run)
    return lost


def add_alert(  # noqa: PLR0917  a row
    connection: sqlite3.Connection, run: int, title: str, text: str, severity: str, wait: float, now: float
) -> bool:
    """Keeps an alert, unless one of the same title came less than `wait` seconds ago. Whether it was kept."""
    newest = connection.execute("SELECT max(created) FROM alert WHERE run = ? AND title = ?", (run, title)).fetchone()[
        0
    ]
    if newest is not None and now - newest < wait:
        return False
    connection.execute(
        "INSERT INTO alert (run, title, text, severity, wait, created) VALUES (?, ?, ?, ?, ?, ?)",
        (run, title, text, severity, wait, now),
    )
    return True


def put_chart(  # noqa: PLR0917  a row
    connection: sqlite3.Connection,
    entity: str,
    name: str,
    display_name: str,
    kind: str,
    access: str,
    spec: str,
    now: float,
) -> None:
    """Makes a custom chart, or a new version of it."""
    connection.execute(
        "INSERT OR REPLACE INTO custom_chart (entity, name, display_name, type, access, spec_json, updated) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (entity, name, display_name, kind, access, spec, now),
    )
