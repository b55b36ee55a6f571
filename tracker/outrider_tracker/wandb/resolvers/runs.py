"""A run as it is read; its deletion, and states that people set."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any, Final

from outrider_sidecar import contract
from outrider_tracker.core import sdk_config
from outrider_tracker.core.errors import RefusedError
from outrider_tracker.core.rules import Action, Target, may
from outrider_tracker.core.run_states import ALIVE, State, state_of
from outrider_tracker.notifier import sdk_run_topic
from outrider_tracker.store import projects, sdk_run_removal, sdk_runs
from outrider_tracker.store.sdk_runs import RunChange
from outrider_tracker.wandb.account_nodes import pods_node, user_of
from outrider_tracker.wandb.context import Context, Resolvers
from outrider_tracker.wandb.nodes import ProjectNode, RunNode, demand_run

Info = Any
Node = dict[str, Any]
# What the client's update_state may do: from which states each is reached.
_SETTABLE: Final[Mapping[State, frozenset[State]]] = {
    State.PENDING: frozenset({State.RUNNING, State.FAILED, State.CRASHED, State.PREEMPTED}),
    State.FAILED: frozenset({State.PENDING, State.RUNNING}),
}
_TEXTS: Final = {
    "name": "name",
    "displayName": "display_name",
    "description": "notes",
    "notes": "notes",
    "group": "group_name",
    "jobType": "job_type",
    "sweepName": "sweep",
    "commit": "commit_hash",
    "host": "host",
    "program": "program",
    "repo": "repo",
}
_VALUES: Final = {
    "exitcode": "exit_code",
    "createdAt": "created",
    "updatedAt": "updated",
    "heartbeatAt": "heartbeat",
    "config": "config_json",
    "tags": "tags",
}


def summary(parent: RunNode, _info: Info, keys: list[str] | None = None) -> Any:
    """The newest values of the run, all or those of the keys."""
    if keys is None:
        return parent.run.summary_json
    return {key: parent.run.summary[key] for key in keys if key in parent.run.summary}


def user(parent: RunNode, _info: Info) -> Node | None:
    """Who made the run."""
    maker = parent.run.user
    if maker is None:
        return pods_node(parent.run.entity)
    return parent.context.read(lambda connection: user_of(connection, maker))


def project(parent: RunNode, _info: Info) -> ProjectNode | None:
    """Its project."""
    found = parent.context.read(lambda connection: projects.project_by_id(connection, parent.run.project_id))
    return None if found is None else ProjectNode(found, parent.context)


def read_only(parent: RunNode, info: Info) -> bool:
    """Whether the viewer may not edit it."""
    node = project(parent, info)
    if node is None:
        return True
    target = Target(parent.run.entity, project=node.project, run=parent.run)
    return not may(parent.context.principal, Action.WRITE, target)


def compute_seconds(parent: RunNode, _info: Info) -> int:
    """From its start to its end, or its last sign of life."""
    run = parent.run
    return max(0, int((run.heartbeat if run.ended is None else run.ended) - run.created))


# A name of W&B's: the client calls the input `input`.
def delete_run(_root: None, info: Info, input: Node) -> Node:  # noqa: A002
    """Deletes a run with all that it logged. A run that is deleted already is missing (404)."""
    context: Context = info.context

    def delete(connection: sqlite3.Connection) -> int:
        run = demand_run(connection, context, str(input["id"]), Action.DELETE)
        sdk_run_removal.delete_run(connection, run.id, context.now)
        return run.id

    run = context.write(delete)
    context.forget_run(run)
    context.notifier.publish([sdk_run_topic(run)])
    return {"clientMutationId": input.get("clientMutationId")}


def update_run_state(_root: None, info: Info, input: Node) -> Node:  # noqa: A002
    """Marks a run as pending (to be started again) or as failed."""
    context: Context = info.context
    try:
        wanted = State(str(input["state"]).lower())
    except ValueError:
        wanted = State.RUNNING
    if wanted not in _SETTABLE:
        raise RefusedError(contract.ERROR_FRAME, "a run's state can be set to pending or to failed", status=422)

    def change(connection: sqlite3.Connection) -> int:
        run = demand_run(connection, context, str(input["id"]), Action.WRITE)
        serving_since = context.store.sdk.serving_since
        state = state_of(run.state, run.heartbeat, context.now, serving_since, stopped=bool(run.stop_asked))
        if run.sweep:
            raise RefusedError(contract.ERROR_FRAME, "the state of a sweep's run cannot be set", status=422)
        if state is not wanted and state not in _SETTABLE[wanted]:
            raise RefusedError(
                contract.ERROR_FRAME, f"a run that is {state.value} cannot become {wanted.value}", status=422
            )
        sdk_runs.change_run(connection, run, RunChange(state=wanted), context.now)
        return run.id

    context.notifier.publish([sdk_run_topic(context.write(change))])
    return {"success": True, "clientMutationId": input.get("clientMutationId")}


RESOLVERS: Final[Resolvers] = {
    "Mutation.deleteRun": delete_run,
    "Mutation.updateRunState": update_run_state,
    # What was not said is null, as W&B has it.
    **{f"Run.{name}": lambda parent, _info, at=at: getattr(parent.run, at) or None for name, at in _TEXTS.items()},
    **{f"Run.{name}": lambda parent, _info, at=at: getattr(parent.run, at) for name, at in _VALUES.items()},
    "Run.id": lambda parent, _info: parent.run.storage_id,
    "Run.state": lambda parent, _info: parent.state.value,
    "Run.running": lambda parent, _info: parent.state in ALIVE,
    "Run.failed": lambda parent, _info: parent.state is State.FAILED,
    "Run.stopped": lambda parent, _info: parent.run.stopped,
    "Run.shouldStop": lambda parent, _info: parent.run.stopped,
    "Run.projectId": lambda parent, _info: str(parent.run.project_id),
    "Run.internalId": lambda parent, _info: str(parent.run.project_id),
    "Run.wandbConfig": lambda parent, _info, keys=None: sdk_config.selected(parent.run.config, keys),
    "Run.summaryMetrics": summary,
    "Run.computeSeconds": compute_seconds,
    "Run.readOnly": read_only,
    "Run.user": user,
    "Run.project": project,
}
