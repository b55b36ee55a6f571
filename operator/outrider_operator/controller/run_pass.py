"""A pass over a Run: observe -> decide -> apply."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from prometheus_client import Counter

from outrider_operator.api.states import TERMINAL
from outrider_operator.controller.context import Context, Look
from outrider_operator.controller.store import run_key
from outrider_operator.core import adoption, conditions, making, naming
from outrider_operator.core.notes import Note
from outrider_operator.core.observation import Observation
from outrider_operator.core.observed import JobView, PodView, RunView
from outrider_operator.core.plan import Plan, decide
from outrider_operator.core.refusals import refusal
from outrider_operator.core.retention import expires_at, surplus
from outrider_operator.core.times import rfc3339
from outrider_operator.kube.api import (
    EVENTS,
    JOBS,
    PODS,
    RUNS,
    AlreadyExists,
    ApiError,
    Conflict,
    NotFound,
    Unreachable,
)
from outrider_sidecar import contract

log = logging.getLogger(__name__)

LOOK_EVERY: Final = 10.0
"""Seconds between two looks at a Job's Events and unlabelled pods."""
LOOK_AFTER: Final = 3.0
"""Seconds after its creation in which a Job without pods needs no look."""

STATUS_WRITES = Counter("outrider_status_writes", "Writes of Runs' status", ["outcome"])


async def run_pass(context: Context, namespace: str, name: str) -> None:
    """Bring one Run up to date. Raises ApiError and Unreachable; the queue brings it back."""
    run = context.store.runs.get((namespace, name))
    if run is None or run.deletion is not None:
        return
    if await _expire(context, run):
        return
    bound = run.status.get("workload") is not None
    if run.spec.get("workload") is not None and not bound:
        await _ensure_workload(context, run)
    workload = next(iter(context.store.workloads_of(run)), None)
    run = await _bind(context, run, workload)
    seen = await _observe(context, run, workload, bound=bound or workload is not None)
    plan = decide(seen)
    await _apply(context, run, seen, plan)


async def _expire(context: Context, run: RunView) -> bool:
    """Delete a finished Run whose time is over; look again when it is."""
    due = expires_at(run, context.retention)
    if due is None:
        return False
    if due > context.now():
        context.queue.add_after(run_key(run), due - context.now())
        return False
    await delete(context, run, "its ttlAfterFinished is over")
    return True


async def delete(context: Context, run: RunView, why: str) -> None:
    """Delete exactly this Run in this version; the tracker's record stays."""
    try:
        await context.api.delete(RUNS, run.namespace, run.name, uid=run.uid, version=run.resource_version)
        log.info("deleted Run %s/%s: %s", run.namespace, run.name, why)
    except NotFound:
        log.debug("Run %s/%s is gone already", run.namespace, run.name)


async def delete_surplus(context: Context, namespace: str) -> None:
    """Delete the oldest finished auto-made Runs of a namespace beyond the limit."""
    runs = context.store.runs_in(namespace).values()
    for run in surplus(runs, context.retention):
        why = f"its namespace has more than {context.retention.finished_limit} finished Runs"
        await delete(context, run, why)


# ------------------------------------------------------------------------------------------------ making and binding
async def _ensure_workload(context: Context, run: RunView) -> None:
    """Make the Run's workload, unless it is there; what stands in the way is said on the Run."""
    config = context.injection()
    made = making.make(run, config)
    context.skipped[run.uid] = made.skipped
    context.problems[run.uid] = made.problems
    if made.body is None:
        return
    name = made.body["metadata"]["name"]
    existing = context.store.job_named(run.namespace, name)
    if existing is not None and existing.owner is not None and existing.owner[2] == run.uid:
        return
    try:
        created = await context.api.create(JOBS, run.namespace, made.body)
        log.info("made Job %s/%s for Run %s", run.namespace, name, run.name)
    except AlreadyExists:
        created = await context.api.get(JOBS, run.namespace, name)
        meta = created.get("metadata") or {}
        ours = any(ref.get("uid") == run.uid and ref.get("controller") for ref in meta.get("ownerReferences") or ())
        if not ours:
            state = "is being deleted" if meta.get("deletionTimestamp") else "does not belong to this Run"
            sentence = (
                f"Job {run.namespace}/{name} exists and {state}: nothing was made. Delete it, or make the Run "
                "again with another name or spec.workload.metadata.name."
            )
            context.problems[run.uid] = (*made.problems, ("NameTaken", sentence))
            context.queue.add_after(run_key(run), LOOK_EVERY)
            return
    except ApiError as error:
        if error.status not in {400, 403, 422}:
            raise
        reason = "Forbidden" if error.status == 403 else "InvalidWorkload"
        sentence = f"The API server refused the Job: {error.message}"
        context.problems[run.uid] = (*made.problems, (reason, sentence))
        context.queue.add_after(run_key(run), 6 * LOOK_EVERY)
        return
    context.store.put_job(created)


async def _bind(context: Context, run: RunView, workload: JobView | PodView | None) -> RunView:
    """Write down which object a Run's workloadRef has met, so that another of the same name is never taken for it."""
    if workload is None or run.workload_uid is not None or run.spec.get("workloadRef") is None:
        return run
    body = {
        "metadata": {
            "uid": run.uid,
            "resourceVersion": run.resource_version,
            "annotations": {contract.WORKLOAD_UID: workload.uid},
        }
    }
    return context.store.put_run(await context.api.merge(RUNS, run.namespace, run.name, body), told=False)


# ------------------------------------------------------------------------------------------------ observe
def _named(run: RunView) -> tuple[str, str]:
    """Kind and name of what the Run tracks."""
    if run.spec.get("workload") is not None:
        return str(run.spec["workload"].get("kind") or "Job"), making.workload_name(run)
    ref = run.spec.get("workloadRef") or {}
    return str(ref.get("kind") or ""), str(ref.get("name") or "")


async def _observe(context: Context, run: RunView, workload: JobView | PodView | None, *, bound: bool) -> Observation:
    store, book, now = context.store, context.book, context.now()
    pods = store.pods_of(workload) if workload is not None else ()
    # Sources are joined to one Run: where two name the same workload, the written one has them.
    if workload is not None and (joined := store.joined_run(workload)) is not None and joined.uid != run.uid:
        sources: tuple[PodView, ...] = ()
    else:
        sources = pods
    look = await _look(context, run, workload, pods) if isinstance(workload, JobView) else Look()
    uids = [p.uid for p in sources]
    run_id = naming.run_id(run.name, run.uid, auto=run.auto)
    space = store.namespaces.get(run.namespace)
    problems = context.problems.get(run.uid, ())
    if run.auto and workload is not None:
        annotations, _ = adoption.template_of(workload)
        problems = (*problems, *adoption.spec_from(annotations, None)[1])
    if workload is None and not bound and run.spec.get("workloadRef") is not None:
        kind, name = _named(run)
        if kind not in {"Job", "Pod"}:
            sentence = f"spec.workloadRef names a {kind} {name}: this controller can track batch/v1 Jobs and Pods only."
            problems = (*problems, ("UnknownKind", sentence))
    project, unusable = adoption.namespace_project(space.project if space is not None else None)
    if not run.spec.get("project"):
        problems = (*problems, *unusable)
    kind, name = _named(run)
    return Observation(
        run=run,
        now=now,
        workload=workload,
        bound=bound,
        workload_kind=kind,
        workload_name=name,
        pods=pods,
        records=book.records(uids),
        collection=book.collections.get(run_id),
        heard=frozenset(uid for uid in uids if uid in book.heard),
        tracker_away=book.away,
        record_refused=context.outbox.refusal(run_id),
        warnings=book.warnings(uids),
        refusal=look.refusal,
        untracked=look.untracked,
        skipped_template=context.skipped.get(run.uid, ""),
        problems=problems,
        project=project,
        url=context.urls.get(run_id, ""),
        written_at=context.written.get(run.uid, 0.0),
    )


async def _look(context: Context, run: RunView, job: JobView, pods: tuple[PodView, ...]) -> Look:
    """Look at what no watch of ours shows: Events about refused pods, and pods without our label."""
    now = context.now()
    tracked = sum(1 for p in pods if not p.gone)
    empty = job.active == 0 and tracked == 0
    if job.finished and not (job.gone or tracked or run.ended):
        # A Job that ended before a look was due: the last chance to see why its pods had no sidecar.
        return Look(untracked=await _untracked(context, job))
    wanted = not (job.finished or job.gone or job.suspended or job.deletion is not None)
    if not wanted or (not empty and tracked):
        context.looks.pop(job.uid, None)
        return Look()
    look = context.looks.setdefault(job.uid, Look())
    due = look.at + LOOK_EVERY if look.at else job.created + LOOK_AFTER
    if not empty and not look.at:
        due = (job.start_time or job.created) + conditions.UNTRACKED_AFTER
    if now < due:
        context.queue.add_after(run_key(run), due - now)
        return look
    look.at = now
    context.queue.add_after(run_key(run), LOOK_EVERY)
    if empty:
        fields = f"involvedObject.uid={job.uid},reason=FailedCreate"
        look.refusal = refusal(await context.api.items(EVENTS, job.namespace, fields=fields, limit=50), job.requests)
    elif conditions.may_be_missed(job, tracked, now):
        look.untracked = await _untracked(context, job)
    return look


async def _untracked(context: Context, job: JobView) -> conditions.Untracked:
    labels = f"batch.kubernetes.io/controller-uid={job.uid}"
    return conditions.untracked_of(await context.api.items(PODS, job.namespace, labels=labels, limit=50))


# ------------------------------------------------------------------------------------------------ apply
async def _apply(context: Context, run: RunView, seen: Observation, plan: Plan) -> None:
    run_id = str(plan.status["runId"])
    if plan.write:
        body = {
            "apiVersion": contract.API_VERSION,
            "kind": "Run",
            # Both are preconditions: another object of this name, or a newer form of this one, is not overwritten.
            "metadata": {
                "name": run.name,
                "namespace": run.namespace,
                "uid": run.uid,
                "resourceVersion": run.resource_version,
            },
            "status": dict(plan.status),
        }
        try:
            written = await context.api.apply_status(RUNS, run.namespace, run.name, body)
        except Conflict:
            STATUS_WRITES.labels("conflict").inc()
            context.store.put_run(await context.api.get(RUNS, run.namespace, run.name), told=False)
            context.queue.add(run_key(run))
            return
        except NotFound:
            context.store.drop_run(run.namespace, run.name, run.uid)
            return
        STATUS_WRITES.labels("written").inc()
        context.written[run.uid] = seen.now
        context.store.put_run(written, told=False)
        await asyncio.gather(*(_note(context, run, note) for note in plan.notes))
        if plan.state in TERMINAL and run.status.get("state") != plan.state.value:
            await delete_surplus(context, run.namespace)
            context.queue.add(run_key(run))
    context.outbox.put_run(run_id, plan.record)
    joined = context.store.joined_run(seen.workload) if seen.workload is not None else None
    if joined is not None and joined.uid == run.uid:
        for uid, join in plan.joins.items():
            context.outbox.put_source(uid, join)
    if plan.wake is not None:
        context.queue.add_after(run_key(run), plan.wake - context.now())


async def _note(context: Context, run: RunView, note: Note) -> None:
    """Write a Kubernetes Event. One that cannot be written is logged: it must not undo the pass that it tells of."""
    now = rfc3339(float(int(context.now())))
    body = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": note.name, "namespace": run.namespace},
        "involvedObject": {
            "apiVersion": contract.API_VERSION,
            "kind": "Run",
            "namespace": run.namespace,
            "name": run.name,
            "uid": run.uid,
        },
        "type": note.type,
        "reason": note.reason,
        "message": note.message or note.reason,
        "source": {"component": "outrider"},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
    try:
        await context.api.create(EVENTS, run.namespace, body)
    except AlreadyExists:
        log.debug("Event %s is there", note.name)
    except (ApiError, Unreachable) as error:
        log.warning("Event %s about Run %s/%s was not written: %s", note.reason, run.namespace, run.name, error)
