"""What the controller has seen of the cluster, in memory, with the look-ups that passes need. Writes nothing, decides
nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from outrider_operator.core import naming
from outrider_operator.core.observed import JobView, PodView, RunView, job_view, run_view
from outrider_sidecar import contract

RunKey = tuple[str, str, str]
"""("run", namespace, name)."""
WorkKey = tuple[str, str, str]
"""("workload", "", UID)."""


@dataclass(frozen=True, slots=True)
class NamespaceView:
    """What a namespace says for its workloads."""

    uid: str
    name: str
    asks: bool
    project: str | None


def namespace_view(obj: Mapping[str, Any]) -> NamespaceView:
    """The slim form of a namespace; metadata is enough."""
    meta = obj.get("metadata") or {}
    labels, annotations = meta.get("labels") or {}, meta.get("annotations") or {}
    said = {labels.get(contract.INJECT), annotations.get(contract.INJECT)}
    return NamespaceView(
        uid=str(meta.get("uid") or ""),
        name=str(meta.get("name") or ""),
        asks="true" in said and "false" not in said,
        project=annotations.get(contract.PROJECT),
    )


def run_key(run: RunView) -> RunKey:
    """The queue's key of a Run."""
    return ("run", run.namespace, run.name)


def work_key(uid: str) -> WorkKey:
    """The queue's key of a workload."""
    return ("workload", "", uid)


def _newer(old: str, new: str) -> bool:
    """Whether a version may replace another: versions of one object are compared as numbers where they are."""
    if old.isdigit() and new.isdigit():
        return int(new) >= int(old)
    return True


def _ref_key(run: RunView) -> tuple[str, str, str]:
    """Namespace, kind and name of the workload that a Run refers to; of no workload where it makes its own."""
    ref = run.spec.get("workloadRef")
    if not isinstance(ref, Mapping):
        return (run.namespace, "", run.name)
    return (run.namespace, str(ref.get("kind")), str(ref.get("name")))


class Store:
    """Runs, Jobs, pods and namespaces by their keys. ``enqueue`` is told which keys a change concerns."""

    def __init__(self, enqueue: Callable[[tuple[str, str, str]], None], now: Callable[[], float]) -> None:
        self._enqueue, self._now = enqueue, now
        self.runs: dict[tuple[str, str], RunView] = {}
        self.jobs: dict[str, JobView] = {}
        self.pods: dict[str, PodView] = {}
        self.namespaces: dict[str, NamespaceView] = {}
        self.dropped: set[str] = set()
        """UIDs of found workloads whose Run was seen to be deleted."""
        self._job_names: dict[tuple[str, str], str] = {}
        self._pods_of: dict[str, set[str]] = defaultdict(set)
        self._refs: dict[tuple[str, str, str], set[tuple[str, str]]] = defaultdict(set)

    # -------------------------------------------------------------------------------------- changes
    def put_run(self, obj: Mapping[str, Any], *, told: bool = True) -> RunView:
        """Take in a Run, unless a newer form of it is known; ``told``: ask for a pass over it."""
        new = run_view(obj)
        key = (new.namespace, new.name)
        old = self.runs.get(key)
        if old is not None and old.uid == new.uid and not _newer(old.resource_version, new.resource_version):
            return old
        if old is not None:
            self._refs[_ref_key(old)].discard(key)
        self.runs[key] = new
        self._refs[_ref_key(new)].add(key)
        self.dropped.discard(new.workload_uid or "")
        if told and (old is None or old.resource_version != new.resource_version):
            self._enqueue(run_key(new))
            if old is None:
                self._tell_workload(new)
        return new

    def drop_run(self, namespace: str, name: str, uid: str) -> None:
        """A Run is gone."""
        old = self.runs.get((namespace, name))
        if old is None or old.uid != uid:
            return
        del self.runs[namespace, name]
        self._refs[_ref_key(old)].discard((namespace, name))
        if old.auto and old.workload_uid is not None:
            self.dropped.add(old.workload_uid)
        self._enqueue(run_key(old))
        self._tell_workload(old)

    def _tell_workload(self, run: RunView) -> None:
        for workload in self.workloads_of(run):
            self._enqueue(work_key(workload.uid))

    def put_job(self, obj: Mapping[str, Any]) -> None:
        """Take in a Job, unless a newer form of it is known."""
        new = job_view(obj)
        old = self.jobs.get(new.uid)
        if old is not None and (old.gone or not _newer(old.resource_version, new.resource_version)):
            return
        self.jobs[new.uid] = new
        self._job_names[new.namespace, new.name] = new.uid
        if old != new:
            self.job_changed(new)

    def drop_job(self, uid: str, last: Mapping[str, Any] | None = None) -> None:
        """A Job is gone; its last form is kept for the Run that it belongs to."""
        old = self.jobs.get(uid)
        if old is None or old.gone:
            return
        view = job_view(last) if last is not None else old
        self.jobs[uid] = replace(view, gone=True)
        if self._job_names.get((old.namespace, old.name)) == uid:
            del self._job_names[old.namespace, old.name]
        self.job_changed(self.jobs[uid])

    def job_changed(self, job: JobView) -> None:
        """Ask for passes over a Job and its Runs."""
        self._enqueue(work_key(job.uid))
        for run in self.runs_of(job):
            self._enqueue(run_key(run))

    def pod_changed(self, old: PodView | None, new: PodView | None) -> None:
        """Take in a change that the pod informer saw."""
        if new is None:
            assert old is not None
            new = replace(self.pods.get(old.uid, old), gone=True, gone_at=self._now())
        self.pods[new.uid] = new
        workload = new.owner[2] if new.owner is not None else new.uid
        self._pods_of[workload].add(new.uid)
        if new.owner is None:
            self._enqueue(work_key(new.uid))
        for run in self.runs_of_pod(new):
            self._enqueue(run_key(run))

    def namespace_changed(self, old: NamespaceView | None, new: NamespaceView | None) -> None:
        """Take in a change of a namespace; what it says for its workloads may concern each of them."""
        if new is None:
            if old is not None:
                self.namespaces.pop(old.name, None)
            return
        self.namespaces[new.name] = new
        if old is None or (old.asks, old.project) != (new.asks, new.project):
            for job in self.jobs.values():
                if job.namespace == new.name:
                    self._enqueue(work_key(job.uid))
        if new.project != (old.project if old is not None else None):
            for run in self.runs_in(new.name).values():
                self._enqueue(run_key(run))

    def replace_all(
        self,
        runs: Iterable[Mapping[str, Any]],
        jobs: Iterable[Mapping[str, Any]],
        *,
        known_runs: Iterable[RunView],
        known_jobs: Iterable[str],
    ) -> None:
        """Take in whole lists: what was known before they were asked for and is not in them is gone.

        kopf's watches say nothing of what a re-list lost.
        """
        listed = {self.put_run(run).uid for run in runs}
        for run in known_runs:
            if run.uid not in listed:
                self.drop_run(run.namespace, run.name, run.uid)
        listed = set()
        for job in jobs:
            listed.add(str((job.get("metadata") or {}).get("uid")))
            self.put_job(job)
        for uid in known_jobs:
            if uid not in listed:
                self.drop_job(uid)

    def tidy(self, over: Callable[[RunView], bool]) -> None:
        """Forget every workload that is gone and whose Runs, if there are any, need nothing more of it."""
        gone = [job for job in self.jobs.values() if job.gone]
        uids = [job.uid for job in gone if all(over(run) for run in self.runs_of(job))]
        for uid, pods in self._pods_of.items():
            if uid not in self.jobs and all(self.pods[pod].gone for pod in pods):
                bare = self.pods.get(uid)
                if bare is None or all(over(run) for run in self.runs_of(bare)):
                    uids.append(uid)
        for uid in uids:
            self.forget(uid)
            self.dropped.discard(uid)

    def forget(self, workload_uid: str) -> None:
        """Drop what is kept of a workload that is gone and whose Run needs nothing more of it."""
        for uid in [uid for uid in self._pods_of.get(workload_uid, ()) if self.pods[uid].gone]:
            del self.pods[uid]
            self._pods_of[workload_uid].discard(uid)
        if not self._pods_of.get(workload_uid):
            self._pods_of.pop(workload_uid, None)
        job = self.jobs.get(workload_uid)
        if job is not None and job.gone:
            del self.jobs[workload_uid]

    # -------------------------------------------------------------------------------------- look-ups
    def job_named(self, namespace: str, name: str) -> JobView | None:
        """The living Job of that name."""
        uid = self._job_names.get((namespace, name))
        return self.jobs.get(uid) if uid is not None else None

    def workloads_of(self, run: RunView) -> list[JobView | PodView]:
        """What a Run tracks: at most one."""
        found: JobView | PodView | None = None
        workload, ref = run.spec.get("workload"), run.spec.get("workloadRef") or {}
        bound = run.workload_uid
        if workload is not None:
            wanted = (workload.get("metadata") or {}).get("name")
            found = self.job_named(run.namespace, naming.job_name(run.name, run.uid, wanted))
            if found is not None and (found.owner is None or found.owner[2] != run.uid):
                found = None
            if found is None:
                gone = (j for j in self.jobs.values() if j.owner is not None and j.owner[2] == run.uid)
                found = next(gone, None)
        elif bound is not None:
            found = self.jobs.get(bound) or self.pods.get(bound)
        elif ref.get("kind") == "Job":
            found = self.job_named(run.namespace, str(ref.get("name")))
        elif ref.get("kind") == "Pod":
            found = next(
                (
                    p
                    for p in self.pods.values()
                    if (p.namespace, p.name) == (run.namespace, ref.get("name")) and not p.gone
                ),
                None,
            )
        return [found] if found is not None and found.namespace == run.namespace else []

    def runs_of(self, workload: JobView | PodView) -> list[RunView]:
        """The Runs that track a workload, written ones first."""
        namespace = workload.namespace
        if isinstance(workload, JobView) and workload.owner is not None and workload.owner[0] == "Run":
            run = self.runs.get((namespace, workload.owner[1]))
            return [run] if run is not None and run.uid == workload.owner[2] else []
        kind = "Job" if isinstance(workload, JobView) else "Pod"
        named = (self.runs[key] for key in self._refs.get((namespace, kind, workload.name), ()))
        found = [run for run in named if run.workload_uid in {None, workload.uid}]
        return sorted(found, key=lambda r: (r.auto, r.created, r.name))

    def runs_of_pod(self, pod: PodView) -> list[RunView]:
        """The Runs that a pod belongs to, written ones first."""
        if pod.owner is None:
            return self.runs_of(pod)
        job = self.jobs.get(pod.owner[2])
        return self.runs_of(job) if job is not None else []

    def pods_of(self, workload: JobView | PodView) -> tuple[PodView, ...]:
        """All pods of a workload that are or were seen."""
        return tuple(self.pods[uid] for uid in sorted(self._pods_of.get(workload.uid, ())))

    def joined_run(self, workload: JobView | PodView) -> RunView | None:
        """The one Run that a workload's sources are joined to."""
        runs = self.runs_of(workload)
        return runs[0] if runs else None

    def runs_in(self, namespace: str) -> dict[str, RunView]:
        """The Runs of a namespace by name."""
        return {name: run for (where, name), run in self.runs.items() if where == namespace}
