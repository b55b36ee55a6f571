"""Runs as their clients write them: begin, change, rewind, fork, stop, alert."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from graphql import GraphQLResolveInfo

from outrider_sidecar import contract
from outrider_tracker import failpoints
from outrider_tracker.auth.gate import demand
from outrider_tracker.core import jsontext, metric_definitions, sdk_config
from outrider_tracker.core.errors import RefusedError
from outrider_tracker.core.principals import Pod
from outrider_tracker.core.rules import Action, Target, may
from outrider_tracker.core.run_names import is_name, new_name, parse_storage_id
from outrider_tracker.core.run_states import State
from outrider_tracker.notifier import sdk_run_topic
from outrider_tracker.store import sdk_runs
from outrider_tracker.store.inherited_summary import put_inherited, summary_of_rows
from outrider_tracker.store.lines import fork_lines, rewind_lines
from outrider_tracker.store.people import author_of
from outrider_tracker.store.projects import Project, ensure_project, find_project, project_by_id
from outrider_tracker.store.sdk_runs import RunChange, SdkRun
from outrider_tracker.wandb.context import Context, Resolvers
from outrider_tracker.wandb.nodes import DEFAULT_PROJECT, RunNode, default_entity

Info = GraphQLResolveInfo[Any]
MAX_TEXT: Final = 1 << 20  # characters of notes
MAX_SHORT: Final = 512  # characters of a group, a job type, a tag, a display name
MAX_TAGS: Final = 1000
MAX_ALERT: Final = 64 << 10
DEFAULT_WAIT: Final = 60.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where a run is, or shall be. `project` and `name` may be found out by us."""

    entity: str
    project: str
    name: str


def upsert_bucket(_parent: Any, info: Info, *, input: Mapping[str, Any]) -> dict[str, Any]:  # noqa: A002
    """Mutation.upsertBucket: a client's first word of a run, and every later one."""
    context: Context = info.context
    address = _address(context, input)
    change = _change(input, shared=bool(context.client))
    now = context.now
    if context.read(lambda connection: sdk_runs.find_run(connection, *_parts(address))) is None:
        context.check_runs(address.entity)
    run, inserted, parent = context.write(lambda connection: _upsert(connection, context, address, change, now))
    if parent is not None:
        context.forget_run(run.id)
        run = _inherit(context, run, parent.config)
    failpoints.passing(failpoints.BEFORE_ANSWER)
    context.notifier.publish([sdk_run_topic(run.id)])
    return {"bucket": RunNode(run, context), "inserted": inserted, "serverSettings": {"serverMessages": []}}


def rewind_run(_parent: Any, info: Info, *, input: Mapping[str, Any]) -> dict[str, Any]:  # noqa: A002
    """Mutation.rewindRun: null for a run that is not there, which the client calls by its name."""
    context: Context = info.context
    value = float(input["metricValue"])
    if input["metricName"] != "_step" or not value.is_integer() or not 0 <= value <= sdk_config.MAX_STEP:
        raise RefusedError(contract.ERROR_FRAME, "a run is rewound to a _step, which is an integer from 0 on")
    step, now = int(value), context.now
    entity = input.get("entityName") or default_entity(context.principal)
    address = Address(entity, input.get("projectName") or DEFAULT_PROJECT, input["runName"])

    def rewind(connection: sqlite3.Connection) -> SdkRun | None:
        run = _find(connection, context, address)
        if run is None:
            return None
        rewind_lines(connection, run.id, run.branch, run.branch + 1, step, now)
        sdk_runs.open_branch(connection, run.id, run.branch + 1, now)
        return sdk_runs.run_by_id(connection, run.id)

    run = context.write(rewind)
    if run is None:
        return {"rewoundRun": None}
    context.forget_run(run.id)
    run = _inherit(context, run, run.config)
    context.notifier.publish([sdk_run_topic(run.id)])
    return {"rewoundRun": RunNode(run, context)}


def stop_run(_parent: Any, info: Info, *, input: Mapping[str, Any]) -> dict[str, Any]:  # noqa: A002
    """Mutation.stopRun."""
    context: Context = info.context
    address = Address(*parse_id(input["id"]))

    def stop(connection: sqlite3.Connection) -> int:
        run = _existing(connection, context, address)
        sdk_runs.ask_stop(connection, run.id, context.now)
        return run.id

    context.notifier.publish([sdk_run_topic(context.write(stop))])
    return {"success": True}


def notify_alert(_parent: Any, info: Info, *, input: Mapping[str, Any]) -> dict[str, Any]:  # noqa: A002
    """Mutation.notifyScriptableRunAlert."""
    context: Context = info.context
    address = Address(input["entityName"], input["projectName"], input["runName"])
    title, text = _short(input["title"], "the title of an alert"), input["text"]
    if len(text) > MAX_ALERT:
        raise RefusedError(contract.ERROR_FRAME, f"the text of an alert has at most {MAX_ALERT} characters")
    milliseconds = input.get("waitDuration")
    wait = DEFAULT_WAIT if milliseconds is None else max(0.0, milliseconds / 1000)

    def add(connection: sqlite3.Connection) -> int:
        run = _existing(connection, context, address)
        severity = input.get("severity") or "INFO"
        sdk_runs.add_alert(connection, run.id, title, _whole(text), severity, wait, context.now)
        return run.id

    context.notifier.publish([sdk_run_topic(context.write(add))])
    return {"success": True}


def create_chart(_parent: Any, info: Info, *, input: Mapping[str, Any]) -> dict[str, Any]:  # noqa: A002
    """Mutation.createCustomChart: the specification is kept, and named `<entity>/<name>` by charts."""
    context: Context = info.context
    entity, name = input["entity"], input["name"]
    demand(context.principal, Action.WRITE, Target(entity))
    if not is_name(name):
        raise RefusedError(contract.ERROR_FRAME, f"{name[:128]!r} is no name of a chart: it has 1 to 128 characters")
    spec = input["spec"]
    _object(spec, "the chart's spec")
    shown, kind, access = (_short(input[key], f"the chart's {key}") for key in ("displayName", "type", "access"))
    context.write(
        lambda connection: sdk_runs.put_chart(connection, entity, name, shown, kind, access, _whole(spec), context.now)
    )
    return {"chart": {"id": f"{entity}/{name}", "name": name, "displayName": shown}}


def parse_id(text: str) -> tuple[str, str, str]:
    """(entity, project, name) of a run's id. RefusedError (404): it is none."""
    try:
        return parse_storage_id(text)
    except ValueError as error:
        raise RefusedError(contract.ERROR_UNDECLARED, str(error), status=404) from None


def _address(context: Context, given: Mapping[str, Any]) -> Address:
    """Where the run is. What the client leaves out, we choose: it takes the answer's names for its own."""
    if given.get("id"):
        return Address(*parse_id(given["id"]))
    name = given.get("name") or new_name()
    if not is_name(name):
        raise RefusedError(
            contract.ERROR_FRAME, f"{name[:128]!r} is no run id: 1 to 128 characters without / \\ # ? % : are allowed"
        )
    entity = given.get("entityName") or default_entity(context.principal)
    return Address(entity, given.get("modelName") or DEFAULT_PROJECT, name)


def _change(given: Mapping[str, Any], *, shared: bool) -> RunChange:
    """What the client says. Only its first word names the host or the program: that is how a start is known."""
    notes = given.get("notes") if given.get("notes") is not None else given.get("description")
    if notes is not None and len(notes) > MAX_TEXT:
        raise RefusedError(contract.ERROR_FRAME, f"notes have at most {MAX_TEXT} characters")
    tags = given.get("tags")
    if tags is not None and len(tags) > MAX_TAGS:
        raise RefusedError(contract.ERROR_FRAME, f"a run has at most {MAX_TAGS} tags")
    config, summary, state = given.get("config"), given.get("summaryMetrics"), given.get("state")
    if state is not None and state not in set(State):
        raise RefusedError(contract.ERROR_FRAME, f"{state[:40]!r} is no state: there are {', '.join(State)}")
    short = {
        field: None if given.get(name) is None else _short(given[name], name)
        for field, name in (
            ("display_name", "displayName"),
            ("group_name", "groupName"),
            ("job_type", "jobType"),
            ("sweep", "sweep"),
            ("host", "host"),
            ("commit_hash", "commit"),
        )
    }
    return RunChange(
        **short,
        notes=None if notes is None else _whole(notes),
        program=_long(given.get("jobProgram"), "program"),
        repo=_long(given.get("jobRepo"), "repo"),
        tags=None if tags is None else [_short(tag, "a tag") for tag in tags],
        config=None if config is None else _object(config, "config"),
        summary=None if summary is None else _object(summary, "summaryMetrics"),
        state=None if state is None else State(state),
        started=bool(given.get("host") or given.get("jobProgram")),
        shared=shared,
    )


def _upsert(
    connection: sqlite3.Connection, context: Context, address: Address, change: RunChange, now: float
) -> tuple[SdkRun, bool, SdkRun | None]:
    """The run, whether it was made, and the one whose lines were put under it."""
    principal = context.principal
    project = find_project(connection, address.entity, address.project)
    run = None if project is None else sdk_runs.find_run(connection, *_parts(address))
    demand(principal, Action.WRITE, Target(address.entity, project=project, run=run))
    user = author_of(connection, principal, address.entity, context.username)
    if project is None:
        project = ensure_project(connection, address.entity, address.project, user, now)
        demand(principal, Action.WRITE, Target(address.entity, project=project))
    home = principal.place.run if isinstance(principal, Pod) and principal.place is not None else None
    made, inserted = sdk_runs.upsert_run(connection, project.id, address.name, change, user=user, run_id=home, now=now)
    parent = _fork(connection, context, project, made, now) if inserted else None
    return sdk_runs.run_by_id(connection, made.id) or made, inserted, parent


def _fork(
    connection: sqlite3.Connection, context: Context, project: Project, child: SdkRun, now: float
) -> SdkRun | None:
    """Puts the parent's rows before those of a new run that says where it was forked. Its parent."""
    point = sdk_config.branch_point(child.config)
    if point is None:
        return None
    parent = sdk_runs.find_run(connection, child.entity, child.project, point.run)
    allowed = parent is not None and may(
        context.principal, Action.READ, Target(child.entity, project=project, run=parent)
    )
    if parent is None or not allowed:
        raise RefusedError(
            contract.ERROR_UNDECLARED,
            f"fork_from: there is no run {point.run[:128]!r} in {child.entity}/{child.project}",
            status=404,
        )
    sdk_runs.set_parent(connection, child.id, parent.id, point.step)
    fork_lines(connection, child.id, parent.id, point.step, now)
    return parent


def _inherit(context: Context, run: SdkRun, config: Mapping[str, Any]) -> SdkRun:
    """Gives a run that was rewound or forked the summary of the rows that it has so far, by the config's definitions of
    metrics. The run then.

    Its client has no answer yet and adds no rows meanwhile. Reading them takes its time: the writer only gets the
    result. If we end before that, the summary is that of the new rows alone.
    """
    metrics = metric_definitions.decode(sdk_config.own(config).get("m"))
    text = jsontext.write(context.read(lambda connection: summary_of_rows(connection, run.id, metrics)))

    def put(connection: sqlite3.Connection) -> SdkRun | None:
        put_inherited(connection, run.id, run.branch, text)
        return sdk_runs.run_by_id(connection, run.id)

    return context.write(put) or run


def _find(connection: sqlite3.Connection, context: Context, address: Address) -> SdkRun | None:
    """The run, for somebody who may write it. RefusedError: 401, 403."""
    run = sdk_runs.find_run(connection, *_parts(address))
    project = None if run is None else project_by_id(connection, run.project_id)
    demand(context.principal, Action.WRITE, Target(address.entity, project=project, run=run))
    return run


def _existing(connection: sqlite3.Connection, context: Context, address: Address) -> SdkRun:
    """The same; RefusedError (404) if there is none."""
    run = _find(connection, context, address)
    if run is None:
        raise RefusedError(
            contract.ERROR_UNDECLARED,
            f"there is no run {address.name[:128]!r} in {address.entity[:128]}/{address.project[:128]}",
            status=404,
        )
    return run


def _parts(address: Address) -> tuple[str, str, str]:
    return address.entity, address.project, address.name


def _object(text: str, what: str) -> dict[str, Any]:
    """A JSON object of the client; NaN may be in it. RefusedError (400): it is none."""
    try:
        found: dict[str, Any] = jsontext.finite(jsontext.read_object(text.encode(errors="replace"), allow_nan=True))
    except (ValueError, RecursionError) as error:
        raise RefusedError(contract.ERROR_FRAME, f"{what} is malformed: {error}") from None
    return found


def _short(text: str, what: str) -> str:
    if len(text) > MAX_SHORT:
        raise RefusedError(contract.ERROR_FRAME, f"{what} has {len(text)} characters: at most {MAX_SHORT} are kept")
    return _whole(text)


def _long(text: str | None, what: str) -> str | None:
    if text is not None and len(text) > 8 * MAX_SHORT:
        raise RefusedError(contract.ERROR_FRAME, f"{what} has {len(text)} characters: at most {8 * MAX_SHORT} are kept")
    return None if text is None else _whole(text)


def _whole(text: str) -> str:
    """The text without half characters, which JSON can carry and no store can."""
    return text.encode(errors="replace").decode()


RESOLVERS: Resolvers = {
    "Mutation.upsertBucket": upsert_bucket,
    "Mutation.rewindRun": rewind_run,
    "Mutation.stopRun": stop_run,
    "Mutation.notifyScriptableRunAlert": notify_alert,
    "Mutation.createCustomChart": create_chart,
}
