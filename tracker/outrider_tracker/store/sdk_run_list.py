"""The SDK runs of a project, as the client's public API asks for them: filtered, sorted, page by page.

A page's cursor is the place of its last run in the order: runs that come or go meanwhile neither repeat nor hide one.
"""

from __future__ import annotations

import base64
import json
import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from outrider_tracker.core import mongo
from outrider_tracker.core.mongo import Bindings, Field, FilterError
from outrider_tracker.core.run_states import LOST_SECONDS
from outrider_tracker.store.projects import Project

MAX_SECONDS: Final = 10.0
_STEPS: Final = 10_000  # of SQLite's machine between two looks at the clock
_LAST: Final = 9  # where runs stand that have no value to sort by
_KINDS: Final = "WHEN 'integer' THEN 0 WHEN 'real' THEN 0 WHEN 'text' THEN 1 WHEN 'true' THEN 2 WHEN 'false' THEN 2"


@dataclass(frozen=True, slots=True)
class RunQuery:
    """Which runs. `filters`: JSON text in MongoDB's language; states are those of `now` (core/run_states.py).

    `seconds`: how long the search may take.
    """

    project: Project
    filters: str | None
    now: float
    serving_since: float
    seconds: float = MAX_SECONDS


@dataclass(frozen=True, slots=True)
class RunPage:
    """Rows of sdk_run with the cursor of each; `more`: others come behind them."""

    runs: list[tuple[int, str]]
    more: bool


def count_runs(connection: sqlite3.Connection, query: RunQuery) -> int:
    """How many runs there are. FilterError: the filter cannot be used."""
    condition, bind = _condition(query)
    (row,) = _search(connection, query, f"SELECT count(*) FROM sdk_run WHERE {condition}", bind)  # noqa: S608
    return int(row[0])


def list_runs(
    connection: sqlite3.Connection, query: RunQuery, order: str | None, limit: int, after: str | None
) -> RunPage:
    """At most `limit` runs behind the cursor `after`. FilterError: filter, order or cursor cannot be used."""
    condition, bind = _condition(query)
    wanted = mongo.parse_order(order)
    rank, value = _sort_key(query, wanted, bind)
    direction = "DESC" if wanted.descending else "ASC"
    sign = "<" if wanted.descending else ">"
    if after:
        place = read_cursor(after)
        where = [bind.add(part) for part in place]
        if rank == "0":
            condition += f" AND ({value}, sdk_run.id) {sign} ({where[1]}, {where[2]})"
        else:
            condition += (
                f" AND ({rank} > {where[0]} OR ({rank} = {where[0]} AND "
                f"({value}, sdk_run.id) {sign} ({where[1]}, {where[2]})))"
            )
    ranked = "" if rank == "0" else "rank, "
    rows = _search(
        connection,
        query,
        f"SELECT sdk_run.id, {rank} AS rank, {value} AS place FROM sdk_run WHERE {condition} "  # noqa: S608  bound values
        f"ORDER BY {ranked}place {direction}, sdk_run.id {direction} LIMIT {int(limit) + 1}",
        bind,
    )
    return RunPage([(row[0], make_cursor(row[1], row[2], row[0])) for row in rows[:limit]], len(rows) > limit)


def _search(connection: sqlite3.Connection, query: RunQuery, text: str, bind: Bindings) -> list[Any]:
    """All rows. FilterError: it takes too long, as others wait for the processor, too."""
    end = time.monotonic() + query.seconds
    connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
    try:
        return connection.execute(text, bind.values).fetchall()
    except sqlite3.OperationalError as error:
        if "interrupt" not in str(error):
            raise
        raise FilterError(
            f"the search took longer than {query.seconds:g} s: use fewer conditions, or fields such as state and group "
            "in place of config and summary_metrics"
        ) from None
    finally:
        connection.set_progress_handler(None, 0)


def make_cursor(rank: int, value: Any, run: int) -> str:
    """An opaque text that `read_cursor` takes back."""
    return base64.urlsafe_b64encode(json.dumps([rank, value, run]).encode()).decode()


def read_cursor(text: str) -> tuple[int, Any, int]:
    """Rank, value and row of the run that a page ended with. FilterError: it is no cursor of ours."""
    try:
        rank, value, run = json.loads(base64.urlsafe_b64decode(text))
    except (ValueError, TypeError, RecursionError):
        raise FilterError("the cursor is not one that this list answered") from None
    if not isinstance(rank, int) or not isinstance(run, int) or not isinstance(value, (int, float, str)):
        raise FilterError("the cursor is not one that this list answered")
    return rank, value, run


def state_sql(now: str, serving_since: str) -> str:
    """What core/run_states.state_of says of a row, given the parameters' names."""
    return (
        "CASE WHEN sdk_run.state IN ('running', 'preempting') "
        f"AND {now} - max(sdk_run.heartbeat, {serving_since}) > {LOST_SECONDS} "
        "THEN CASE WHEN sdk_run.state = 'preempting' THEN 'preempted' WHEN sdk_run.stop_asked THEN 'killed' "
        "ELSE 'crashed' END ELSE sdk_run.state END"
    )


def _condition(query: RunQuery) -> tuple[str, Bindings]:
    bind = Bindings()
    condition = f"sdk_run.project = {bind.add(query.project.id)} AND sdk_run.deleted IS NULL"
    wanted = mongo.parse_filter(query.filters)
    if wanted:
        condition += f" AND {mongo.compile_filter(wanted, _fields(query), bind)}"
    return condition, bind


def _sort_key(query: RunQuery, order: mongo.Order, bind: Bindings) -> tuple[str, str]:
    """SQL of the rank (by kind of value; "0": all alike) and of the value, which is never NULL."""
    column = _SORTED.get(order.name)
    if column is not None:
        return "0", column
    field = _fields(query)(order.name, bind)
    rank = f"CASE {field.type} {_KINDS} ELSE {_LAST} END"
    return rank, f"CASE WHEN {field.type} IN ('integer', 'real', 'text', 'true', 'false') THEN {field.value} ELSE 0 END"


def _fields(query: RunQuery) -> Callable[[str, Bindings], Field]:
    """Finds a run's field by the names that clients give it."""

    def find(name: str, bind: Bindings) -> Field:
        if name in _COLUMNS:
            return _COLUMNS[name]
        head, _, rest = name.partition(".")
        if rest and head in {"config", "summary_metrics", "summaryMetrics", "summary"}:
            segments = mongo.dotted(rest)
            if head == "config":
                return mongo.json_field(_CONFIG, mongo.config_paths(segments), bind)
            return mongo.json_field(_SUMMARY, mongo.plain_paths(segments), bind)
        if name.startswith("keys_info.keys."):
            key = bind.add(name.removeprefix("keys_info.keys."))
            found = "EXISTS (SELECT 1 FROM decoding JOIN history_key ON history_key.decoding = decoding.id "
            found += f"WHERE decoding.run = sdk_run.id AND key = {key})"
            return Field(f"CASE WHEN {found} THEN 'object' END", "NULL")
        if name == "state":
            return Field("'text'", state_sql(bind.add(query.now), bind.add(query.serving_since)))
        if name in {"entity", "entityName"}:
            return mongo.text_field(bind.add(query.project.entity))
        if name in {"project", "projectName"}:
            return mongo.text_field(bind.add(query.project.name))
        raise FilterError(
            f"a run has no field {name[:80]!r} to filter or sort by; there are config.<key>, summary_metrics.<key>, "
            f"state, {', '.join(sorted(_COLUMNS))}"
        )

    return find


def _filled(column: str) -> Field:
    """Texts that are "" where nothing was said."""
    return mongo.text_field(f"nullif(sdk_run.{column}, '')")


_CONFIG: Final = "sdk_run.config_json"  # strict JSON, as jsontext writes it
_SUMMARY: Final = "sdk_run.summary_json"
_CREATED: Final = mongo.time_field("sdk_run.created")
_HEARTBEAT: Final = mongo.time_field("sdk_run.heartbeat")
_UPDATED: Final = mongo.time_field("sdk_run.updated")
_DURATION: Final = mongo.number_field("CAST(ifnull(sdk_run.ended, sdk_run.heartbeat) - sdk_run.created AS INTEGER)")
_USER: Final = mongo.text_field("(SELECT user.name FROM user WHERE user.id = sdk_run.user)")
_COLUMNS: Final[Mapping[str, Field]] = {
    "commit": _filled("commit_hash"),
    "createdAt": _CREATED,
    "created_at": _CREATED,
    "description": _filled("notes"),
    "displayName": _filled("display_name"),
    "display_name": _filled("display_name"),
    "duration": _DURATION,
    "exitcode": mongo.number_field("sdk_run.exit_code"),
    "group": _filled("group_name"),
    "heartbeatAt": _HEARTBEAT,
    "heartbeat_at": _HEARTBEAT,
    "host": _filled("host"),
    "jobType": _filled("job_type"),
    "job_type": _filled("job_type"),
    "name": _filled("name"),
    "notes": _filled("notes"),
    "program": _filled("program"),
    "repo": _filled("repo"),
    "runtime": _DURATION,
    "sweep": _filled("sweep"),
    "sweepName": _filled("sweep"),
    "sweep_name": _filled("sweep"),
    "tags": Field("'array'", "sdk_run.tags_json"),
    "updatedAt": _UPDATED,
    "updated_at": _UPDATED,
    "user": _USER,
    "user.username": _USER,
    "username": _USER,
}
# Columns that every run has, so that an index may give the order.
_SORTED: Final[Mapping[str, str]] = {
    "created": "sdk_run.created",
    "createdAt": "sdk_run.created",
    "created_at": "sdk_run.created",
    "heartbeatAt": "sdk_run.heartbeat",
    "heartbeat_at": "sdk_run.heartbeat",
    "updatedAt": "sdk_run.updated",
    "updated_at": "sdk_run.updated",
    "name": "sdk_run.name",
}
