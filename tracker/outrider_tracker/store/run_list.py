"""One list of Runs and SDK runs, newest first: pages by key, so that new runs never shift them.

An SDK run that is shown as a Run has no row beside it, unless SDK runs alone are asked for.
"""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from outrider_tracker.store import runs, sdk_runs
from outrider_tracker.store.lone_runs import IS_LONE
from outrider_tracker.store.projects import visible_projects_condition
from outrider_tracker.store.records import Page, Run, RunFilter
from outrider_tracker.store.runs import MAX_PAGE, Now
from outrider_tracker.store.sdk_runs import SdkRun

RUN: Final = "run"
SDK: Final = "sdk"
_SDK_TEXTS: Final = ("sdk_run.name", "sdk_run.display_name", "sdk_run.group_name")


@dataclass(frozen=True, slots=True)
class _Key:
    """Where a row stands in the list: by time, then kind, then id, all descending."""

    created: float
    kind: str
    id: str | int


def list_runs(
    connection: sqlite3.Connection, chosen: RunFilter, limit: int, cursor: str | None, now: Now
) -> Page[Run | SdkRun]:
    """See ReadStore.list_runs."""
    limit = max(1, min(limit, MAX_PAGE))
    behind = None if cursor is None else read_cursor(cursor)
    keys: list[_Key] = []
    if chosen.kind in {None, RUN} and chosen.sweep is None:
        keys += _run_keys(connection, chosen, behind, limit + 1)
    if chosen.kind in {None, SDK}:
        # SDK runs older than a full page of Runs are on none of it: those that are shown as a Run are not walked past.
        oldest = keys[limit].created if len(keys) > limit else None
        keys += _sdk_keys(connection, chosen, behind, limit + 1, oldest)
    # Within one kind the database's order is kept: the sort is stable, and ids of two kinds are never compared.
    keys.sort(key=lambda key: (key.created, key.kind), reverse=True)
    items = [_load(connection, key, now) for key in keys[:limit]]
    return Page(items, make_cursor(keys[limit - 1]) if len(keys) > limit else None)


def make_cursor(key: _Key) -> str:
    """An opaque cursor that `read_cursor` takes back."""
    return base64.urlsafe_b64encode(json.dumps([key.created, key.kind, key.id]).encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> _Key:
    """ValueError if the text is no cursor of ours."""
    try:
        created, kind, row = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, TypeError, RecursionError):
        raise ValueError("the cursor is not one that this list answered") from None
    wanted = str if kind == RUN else int
    if not isinstance(created, (int, float)) or kind not in (RUN, SDK) or not isinstance(row, wanted):
        raise ValueError("the cursor is not one that this list answered")
    return _Key(created, kind, row)


def _load(connection: sqlite3.Connection, key: _Key, now: Now) -> Run | SdkRun:
    found = (
        sdk_runs.run_by_id(connection, key.id)
        if isinstance(key.id, int)
        else runs.get_run(connection, key.id, now, whole=False)
    )
    assert found is not None
    return found


def _run_keys(connection: sqlite3.Connection, chosen: RunFilter, behind: _Key | None, limit: int) -> list[_Key]:
    where, values = _shared("run.entity", "run.project", chosen)
    if chosen.state is not None:
        where.append("run.state = ?")
        values.append(chosen.state)
    if chosen.q:
        own = ("run.id", "run.name", "run.display_name")
        where.append(
            f"({_holds(own)} OR EXISTS (SELECT 1 FROM sdk_run JOIN project ON project.id = sdk_run.project "  # noqa: S608
            f"WHERE sdk_run.run_id = run.id AND sdk_run.deleted IS NULL AND {_holds(_SDK_TEXTS)} AND {IS_LONE}))"
        )
        values += [chosen.q.lower()] * (len(own) + len(_SDK_TEXTS))
    _page("run", RUN, behind, where, values)
    rows = connection.execute(
        f"SELECT run.created, run.id FROM run {_condition(where)} "  # noqa: S608  fixed texts only
        "ORDER BY run.created DESC, run.id DESC LIMIT ?",
        (*values, limit),
    )
    return [_Key(created, RUN, row) for created, row in rows]


def _sdk_keys(
    connection: sqlite3.Connection, chosen: RunFilter, behind: _Key | None, limit: int, oldest: float | None
) -> list[_Key]:
    where, values = _shared("project.entity", "project.name", chosen)
    where.append("sdk_run.deleted IS NULL")
    if chosen.kind is None and chosen.sweep is None:
        where.append(f"NOT {IS_LONE}")
    if oldest is not None:
        where.append("sdk_run.created >= ?")
        values.append(oldest)
    if chosen.state is not None:
        where.append("sdk_run.state = ?")
        values.append(chosen.state.lower())
    if chosen.sweep is not None:
        where.append("sdk_run.sweep = ?")
        values.append(chosen.sweep)
    if chosen.q:
        where.append(_holds(_SDK_TEXTS))
        values += [chosen.q.lower()] * len(_SDK_TEXTS)
    _page("sdk_run", SDK, behind, where, values)
    rows = connection.execute(
        f"SELECT sdk_run.created, sdk_run.id FROM sdk_run JOIN project ON project.id = sdk_run.project "  # noqa: S608
        f"{_condition(where)} ORDER BY sdk_run.created DESC, sdk_run.id DESC LIMIT ?",
        (*values, limit),
    )
    return [_Key(created, SDK, row) for created, row in rows]


def _holds(columns: Sequence[str]) -> str:
    return f"({' OR '.join(f'instr(lower({column}), ?)' for column in columns)})"


def _shared(entity: str, project: str, chosen: RunFilter) -> tuple[list[str], list[Any]]:
    """Who may see it, and where it stands."""
    where: list[str] = []
    values: list[Any] = []
    if chosen.reader is not None and not chosen.reader.admin:
        visible, seen = visible_projects_condition(chosen.reader)
        where.append(f"({entity}, {project}) IN (SELECT project.entity, project.name FROM project WHERE {visible})")  # noqa: S608
        values += seen
    for column, value in ((entity, chosen.entity), (project, chosen.project)):
        if value is not None:
            where.append(f"{column} = ?")
            values.append(value)
    return where, values


def _page(table: str, kind: str, behind: _Key | None, where: list[str], values: list[Any]) -> None:
    """The rows of one kind that stand behind a key: by the order of the whole list."""
    if behind is None:
        return
    if kind == behind.kind:
        where.append(f"({table}.created, {table}.id) < (?, ?)")
        values += [behind.created, behind.id]
    else:
        where.append(f"{table}.created {'<=' if kind < behind.kind else '<'} ?")
        values.append(behind.created)


def _condition(where: Sequence[str]) -> str:
    return f"WHERE {' AND '.join(where)}" if where else ""
