"""A pass over a workload that was found: does it get a Run, does it carry its mark?"""

from __future__ import annotations

import logging

from prometheus_client import Counter

from outrider_operator.controller.context import Context
from outrider_operator.controller.store import run_key, work_key
from outrider_operator.core import adoption
from outrider_operator.core.naming import auto_run_name, event_name
from outrider_operator.core.observed import JobView, PodView
from outrider_operator.core.times import rfc3339
from outrider_operator.kube.api import EVENTS, JOBS, PODS, RUNS, AlreadyExists, ApiError, Conflict, NotFound
from outrider_sidecar import contract

log = logging.getLogger(__name__)

MADE = Counter("outrider_runs_made", "Runs that were made for workloads that were found")


async def workload_pass(context: Context, uid: str) -> None:
    """Make, mark or forget; every step is found done when it is repeated. Raises ApiError and Unreachable."""
    store = context.store
    workload: JobView | PodView | None = store.jobs.get(uid) or store.pods.get(uid)
    if workload is None or (isinstance(workload, PodView) and workload.owner is not None):
        return
    namespace = store.namespaces.get(workload.namespace)
    decision = adoption.decide(
        workload,
        runs=store.runs_in(workload.namespace),
        claimed=any(not run.auto for run in store.runs_of(workload)),
        dropped=uid in store.dropped,
        namespace_asks=namespace.asks if namespace is not None else False,
        project=namespace.project if namespace is not None else None,
        ttl=context.retention.auto_ttl,
        now=context.now(),
    )
    if decision.make is not None:
        await _make(context, workload, decision.make)
    elif decision.mark:
        await _annotate(context, workload, {contract.RUN_NAME: decision.mark})
    elif decision.forget:
        await _forget(context, workload)


async def _make(context: Context, workload: JobView | PodView, wish: adoption.Wish) -> None:
    try:
        made = await context.api.create(RUNS, workload.namespace, dict(wish.body))
        MADE.inc()
        log.info("made Run %s/%s for %s", workload.namespace, wish.name, workload.name)
    except AlreadyExists:
        made = await context.api.get(RUNS, workload.namespace, wish.name)
        meta = made.get("metadata") or {}
        if (meta.get("annotations") or {}).get(contract.WORKLOAD_UID) != workload.uid:
            await _name_taken(context, workload, wish.name)
            return
    run = context.store.put_run(made)
    context.queue.add(run_key(run))
    context.queue.add(work_key(workload.uid))


async def _name_taken(context: Context, workload: JobView | PodView, name: str) -> None:
    """Say on the workload that its Run cannot be made: somebody else's object has the name, and is left alone."""
    kind, api = ("Job", "batch/v1") if isinstance(workload, JobView) else ("Pod", "v1")
    message = (
        f"No Run is made: the name {name} is held by a Run that does not belong to this {kind}. "
        "Delete or rename that one."
    )
    now = rfc3339(float(int(context.now())))
    body = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": event_name(name, workload.uid, "NameTaken"), "namespace": workload.namespace},
        "involvedObject": {
            "apiVersion": api,
            "kind": kind,
            "namespace": workload.namespace,
            "name": workload.name,
            "uid": workload.uid,
        },
        "type": "Warning",
        "reason": "RunNameTaken",
        "message": message,
        "source": {"component": "outrider"},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
    try:
        await context.api.create(EVENTS, workload.namespace, body)
    except AlreadyExists:
        log.debug("the Event about %s is there", name)


async def _annotate(context: Context, workload: JobView | PodView, annotations: dict[str, str]) -> None:
    """Mark exactly this workload; one that is gone needs no mark."""
    resource = JOBS if isinstance(workload, JobView) else PODS
    body = {"metadata": {"uid": workload.uid, "annotations": annotations}}
    try:
        marked = await context.api.merge(resource, workload.namespace, workload.name, body)
    except (NotFound, Conflict) as error:
        log.info("%s %s/%s is gone or another: no mark (%s)", resource.plural, workload.namespace, workload.name, error)
        return
    except ApiError as error:
        if error.status != 403:
            raise
        # The Run is tracked all the same; what is missing is the memory, beyond this process, that there was one.
        log.warning("%s %s/%s may not be marked: %s", resource.plural, workload.namespace, workload.name, error)
        return
    if isinstance(workload, JobView):
        context.store.put_job(marked)


async def _forget(context: Context, workload: JobView | PodView) -> None:
    """Mark a workload whose Run is gone, after asking the API server itself whether it is."""
    name = auto_run_name(workload.name, workload.uid)
    try:
        context.store.put_run(await context.api.get(RUNS, workload.namespace, name))
    except NotFound:
        log.info("Run %s/%s was deleted: its workload gets no other", workload.namespace, name)
        await _annotate(context, workload, {contract.FORGOTTEN: "true"})
