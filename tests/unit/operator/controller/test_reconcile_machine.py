"""Reconciling under any story: users, kubelets, crashes before and after any write, watches that are late."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from outrider_operator.core.retention import TERMINAL_NAMES
from outrider_operator.kube.api import JOBS, PODS, RUNS
from tests.fakeapi.memory import Crash
from tests.unit.operator.controller.world import World, condition, ended, running

NAMES = st.sampled_from(["a", "b"])


class Reconcile(RuleBasedStateMachine):
    """Two names of Jobs that come and go; a controller that is killed anywhere and begun anew."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.world = self.do(self.make())
        self.ends: dict[str, tuple[str, str]] = {}
        self.runs_of: dict[str, set[str]] = {}
        self.deleted: set[str] = set()

    async def make(self) -> World:
        return World()

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        self.loop.close()

    def exists(self, name: str) -> bool:
        return ("jobs", "team", name) in self.world.api.objects

    @rule(name=NAMES)
    def somebody_applies_a_job(self, name: str) -> None:
        if not self.exists(name):
            self.world.job(name)

    @rule(name=NAMES)
    def somebody_deletes_a_job(self, name: str) -> None:
        if self.exists(name):
            self.world.api.remove(JOBS, "team", name)
            self.world.api.remove(PODS, "team", f"{name}-0")

    @rule(name=NAMES, code=st.sampled_from([None, 0, 1]))
    def a_kubelet_reports(self, name: str, code: int | None) -> None:
        if not self.exists(name):
            return
        self.world.api.remove(PODS, "team", f"{name}-0")
        job = next(j for j in self.world.api.all(JOBS) if j["metadata"]["name"] == name)
        # Times of pods are whole seconds: no pod starts, ends and is replaced within one.
        self.world.now += 10
        now = self.world.now
        self.world.pod(job, f"{name}-0", **(running(now + 1) if code is None else ended(code, now + 5)))

    @rule(name=NAMES, kind=st.sampled_from(["Complete", "FailureTarget"]))
    def a_job_ends(self, name: str, kind: str) -> None:
        if not self.exists(name):
            return

        def end(job: dict[str, Any]) -> None:
            job["status"].setdefault("conditions", [condition(kind)])

        self.world.api.change(JOBS, "team", name, end)

    @rule(name=NAMES)
    def somebody_deletes_a_run(self, name: str) -> None:
        for run, body in self.world.runs().items():
            marked = [
                j
                for j in self.world.api.all(JOBS)
                if (j["metadata"].get("annotations") or {}).get("outrider.dev/run") == run
            ]
            if body["spec"]["workloadRef"]["name"] == name and marked:
                self.world.api.remove(RUNS, "team", run)
                self.deleted.add(run)

    @rule(write=st.integers(1, 6), after=st.booleans())
    def the_controller_is_killed_at_a_write(self, write: int, after: bool) -> None:
        left = write

        def strike(_: str) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise Crash

        api = self.world.api
        api.after, api.before = (strike, lambda _: None) if after else (lambda _: None, strike)
        try:
            self.do(self.world.settle())
        except Crash:
            self.do(self.restart())
        api.after = api.before = lambda _: None

    @rule()
    def the_controller_is_begun_anew(self) -> None:
        self.do(self.restart())

    async def restart(self) -> None:
        self.world.fresh()

    @rule()
    def the_controller_catches_up(self) -> None:
        self.do(self.world.settle())
        # Nothing is left to do: a second look at everything writes nothing.
        before = len(self.world.api.writes)
        self.do(self.restart())
        self.do(self.world.settle())
        assert self.world.api.writes[before:] == []
        for job in self.world.api.all(JOBS):
            mine = [r for r in self.world.runs().values() if r["spec"]["workloadRef"]["uid"] == job["metadata"]["uid"]]
            forgotten = "outrider.dev/forgotten" in (job["metadata"].get("annotations") or {})
            assert len(mine) == (0 if forgotten else 1)
            kinds = {c["type"] for c in job["status"].get("conditions") or ()}
            if mine and kinds:
                assert mine[0]["status"]["state"] == ("Finished" if "Complete" in kinds else "Failed")

    @invariant()
    def no_workload_has_two_runs_and_no_deleted_run_comes_back(self) -> None:
        uids = [r["spec"]["workloadRef"]["uid"] for r in self.world.runs().values()]
        assert len(uids) == len(set(uids))
        assert not self.deleted & set(self.world.runs())

    @invariant()
    def terminal_states_stay(self) -> None:
        for name, run in self.world.runs().items():
            status = run.get("status") or {}
            if name in self.ends:
                assert (status["state"], status["endTime"]) == self.ends[name]
            elif status.get("state") in TERMINAL_NAMES:
                self.ends[name] = status["state"], status["endTime"]


Reconcile.TestCase.settings = settings(max_examples=60, stateful_step_count=25)
test_reconciling = Reconcile.TestCase
