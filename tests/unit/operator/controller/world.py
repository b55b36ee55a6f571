"""A controller's passes over an API server in memory, without processes: crash and begin again at any write."""

from typing import Any

from outrider_operator.controller.book import Book
from outrider_operator.controller.context import Context, QueueKey
from outrider_operator.controller.outbox import Outbox
from outrider_operator.controller.queue import WorkQueue
from outrider_operator.controller.run_pass import run_pass
from outrider_operator.controller.store import Store, run_key
from outrider_operator.controller.workload_pass import workload_pass
from outrider_operator.core.observed import pod_view
from outrider_operator.core.retention import Retention
from outrider_operator.core.times import rfc3339
from outrider_operator.kube.api import JOBS, PODS, RUNS, Conflict, Object
from tests.fakeapi.memory import MemoryApi
from tests.fakeapi.tracker import MemoryTracker

T0 = 1_795_262_400.0  # 2026-11-21T12:00:00Z


class World:
    """An API server and one controller after the other."""

    def __init__(self, *, retention: Retention | None = None) -> None:
        self.api = MemoryApi()
        self.tracker = MemoryTracker()
        self.now = T0
        self.retention = retention or Retention()
        self.fresh()

    def fresh(self) -> None:
        """A new controller process: it knows what a list tells it, and nothing else."""
        self.queue: WorkQueue[QueueKey] = WorkQueue(lambda: self.now)
        self.store = Store(self.queue.add, lambda: self.now)
        self.context = Context(
            api=self.api,
            store=self.store,
            queue=self.queue,
            book=Book(),
            outbox=Outbox(self.tracker, lambda _name, _url: None, lambda _why: None, self.look_at),
            now=lambda: self.now,
            injection=lambda: None,
            retention=self.retention,
        )
        self.context.book.away = ""
        self.look()

    def look(self) -> None:
        """What the watches bring: everything as it is now."""
        known_runs, known_jobs = list(self.store.runs.values()), list(self.store.jobs)
        self.store.replace_all(self.api.all(RUNS), self.api.all(JOBS), known_runs=known_runs, known_jobs=known_jobs)
        seen = set()
        for item in self.api.all(PODS):
            view = pod_view(item)
            seen.add(view.uid)
            if self.store.pods.get(view.uid) != view:
                self.store.pod_changed(self.store.pods.get(view.uid), view)
        for old in [p for p in self.store.pods.values() if p.uid not in seen and not p.gone]:
            self.store.pod_changed(old, None)

    def look_at(self, _name: str) -> None:
        """What a Run's pass depends on has changed: all are due."""
        for run in self.store.runs.values():
            self.queue.add(run_key(run))

    async def settle(self) -> None:
        """Passes until nothing is left to do now."""
        for _ in range(200):
            self.look()
            self.queue._promote()
            if not len(self.queue):
                return
            key = await self.queue.get()
            try:
                kind, namespace, name = key
                if kind == "run":
                    await run_pass(self.context, namespace, name)
                else:
                    await workload_pass(self.context, name)
            except Conflict:
                self.queue.add(key)
            finally:
                self.queue.done(key)
        raise AssertionError("the passes do not come to an end")

    # -------------------------------------------------------------------------------------- what others do
    def job(self, name: str, *, uid: str = "", **spec: Any) -> Object:
        template = {"metadata": {"annotations": {"outrider.dev/inject": "true"}}, "spec": {"containers": []}}
        body = {"completions": 1, "parallelism": 1, "completionMode": "Indexed", "template": template, **spec}
        meta = {
            "name": name,
            "namespace": "team",
            "creationTimestamp": rfc3339(self.now),
            **({"uid": uid} if uid else {}),
        }
        return self.api.put(JOBS, {"metadata": meta, "spec": body, "status": {}})

    def pod(self, job: Object, name: str, **status: Any) -> Object:
        owner = {"kind": "Job", "name": job["metadata"]["name"], "uid": job["metadata"]["uid"], "controller": True}
        meta = {
            "name": name,
            "namespace": "team",
            "creationTimestamp": rfc3339(self.now),
            "ownerReferences": [owner],
            "annotations": {"batch.kubernetes.io/job-completion-index": "0", "outrider.dev/injected": "yes"},
            "labels": {"outrider.dev/tracked": "true"},
        }
        return self.api.put(PODS, {"metadata": meta, "spec": {"nodeName": "n"}, "status": status})

    def runs(self) -> dict[str, Object]:
        return {r["metadata"]["name"]: r for r in self.api.all(RUNS)}

    def state_of(self, name: str) -> str:
        return str(self.runs()[name]["status"]["state"])


def running(at: float = T0 + 1) -> Object:
    started = {"running": {"startedAt": rfc3339(at)}}
    return {"phase": "Running", "containerStatuses": [{"name": "main", "state": started}]}


def ended(code: int, at: float = T0 + 9) -> Object:
    state = {
        "terminated": {
            "exitCode": code,
            "reason": "Error" if code else "Completed",
            "finishedAt": rfc3339(at),
        }
    }
    return {"phase": "Failed" if code else "Succeeded", "containerStatuses": [{"name": "main", "state": state}]}


def condition(kind: str, at: str = "2026-11-21T12:00:10Z") -> Object:
    return {
        "type": kind,
        "status": "True",
        "reason": "BackoffLimitExceeded" if "Fail" in kind else "",
        "lastTransitionTime": at,
    }
