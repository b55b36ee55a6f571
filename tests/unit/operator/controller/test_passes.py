"""Passes over Runs and workloads against an API server in memory."""

from functools import partial

import pytest

from outrider_operator.controller.store import NamespaceView
from outrider_operator.core.retention import Retention
from outrider_operator.kube.api import EVENTS, JOBS, PODS, RUNS, Object
from tests.fakeapi.memory import Crash
from tests.unit.operator.controller.world import World, condition, ended, running


async def story(world: World) -> Object:
    """A Job that ran and failed, with its Run."""
    made = world.job("ddp")
    world.pod(made, "ddp-0", **running())
    await world.settle()
    return made


async def test_a_found_job_gets_one_run_and_carries_its_name() -> None:
    """Made, marked, with a state; and nothing more is written when everything is looked at again."""
    world = World()
    made = await story(world)
    (name,) = world.runs()
    assert name == f"ddp-{made['metadata']['uid'][:8]}"
    (job,) = world.api.all(JOBS)
    assert job["metadata"]["annotations"] == {"outrider.dev/run": name}
    assert world.state_of(name) == "Running"
    written = list(world.api.writes)
    world.fresh()
    await world.settle()
    assert world.api.writes == written


async def test_events_are_written_after_the_status_and_never_without_it() -> None:
    """A status that is refused tells nobody anything."""
    world = World()
    refused = []

    def refuse(what: str) -> None:
        if what.startswith("status"):
            refused.append(what)
            raise Crash

    world.api.before = refuse
    world.job("ddp")
    with pytest.raises(Crash):
        await world.settle()
    assert refused
    assert world.api.all(EVENTS) == []
    world.api.before = lambda _: None
    world.fresh()
    await world.settle()
    assert {e["reason"] for e in world.api.all(EVENTS)} == {"Pending"}
    order = [w.split()[0:2] for w in world.api.writes]
    assert order.index(["status", "runs"]) < order.index(["create", "events"])


async def test_every_write_may_be_the_last_of_a_process() -> None:
    """Kill the controller before and after each write of a whole story; the next one brings the same end."""
    calm = World()
    await play(calm)
    want = outcome(calm)
    assert want["runs"] == {"ddp-00000001": "Failed", "own": "Finished"}
    for where in ("before", "after"):
        for number in range(len(calm.api.writes)):
            world = World()
            count = 0

            def strike(_: str, number: int = number) -> None:
                nonlocal count
                count += 1
                if count == number + 1:
                    raise Crash

            setattr(world.api, where, strike)
            await play(world)
            assert outcome(world) == want, f"killed {where} write {number}: {calm.api.writes[number]}"


def outcome(world: World) -> dict[str, object]:
    runs = world.runs()
    return {
        "runs": {name: run["status"]["state"] for name, run in runs.items()},
        "attempts": {name: len(run["status"]["attempts"]) for name, run in runs.items()},
        "failures": {name: run["status"].get("failure", {}).get("reason") for name, run in runs.items()},
        "jobs": {j["metadata"]["name"]: j["metadata"].get("annotations") for j in world.api.all(JOBS)},
    }


async def play(world: World) -> None:
    """A found Job that fails and a Run that makes its own; the controller is begun anew whenever it is killed."""

    async def settle() -> None:
        while True:
            try:
                await world.settle()
            except Crash:
                world.fresh()
            else:
                return

    found = world.job("ddp", uid="00000001-0000-4000-8000-000000000000")
    spec = {"completions": 1, "template": {"metadata": {}, "spec": {"containers": []}}}
    workload = {"apiVersion": "batch/v1", "kind": "Job", "spec": spec}
    meta = {"name": "own", "namespace": "team"}
    world.api.put(RUNS, {"metadata": meta, "spec": {"workload": workload}})
    await settle()
    world.pod(found, "ddp-0", **running())
    await settle()
    world.api.change(RUNS, "team", "own", lambda run: run["metadata"].update(labels={"a": "b"}))
    world.now += 9
    world.api.change(JOBS, "team", "own", lambda job: job["status"].update(conditions=[condition("Complete")]))
    from outrider_operator.kube.api import PODS

    world.api.change(PODS, "team", "ddp-0", lambda pod: pod["status"].update(ended(1)))
    await settle()
    world.api.change(JOBS, "team", "ddp", lambda job: job["status"].update(conditions=[condition("FailureTarget")]))
    await settle()


async def test_a_deleted_run_is_never_made_again() -> None:
    """By a person, with the controller there or away: the Job is marked forgotten."""
    world = World()
    await story(world)
    (name,) = world.runs()
    world.api.remove(RUNS, "team", name)
    world.fresh()
    await world.settle()
    assert world.runs() == {}
    (job,) = world.api.all(JOBS)
    assert job["metadata"]["annotations"]["outrider.dev/forgotten"] == "true"
    world.fresh()
    await world.settle()
    assert world.runs() == {}


async def test_a_run_that_only_the_watch_has_lost_is_not_forgotten() -> None:
    """Before a workload is marked, the API server itself is asked."""
    world = World()
    await story(world)
    (run,) = world.runs().values()
    world.store.drop_run("team", run["metadata"]["name"], run["metadata"]["uid"])
    key = ("workload", "", world.api.all(JOBS)[0]["metadata"]["uid"])
    from outrider_operator.controller.workload_pass import workload_pass

    await workload_pass(world.context, key[2])
    (job,) = world.api.all(JOBS)
    assert "outrider.dev/forgotten" not in job["metadata"]["annotations"]
    assert ("team", run["metadata"]["name"]) in world.store.runs


async def test_a_name_that_another_holds_is_never_adopted() -> None:
    """The other's Run is untouched, the Job has a Warning."""
    world = World()
    theirs = {"workloadRef": {"apiVersion": "batch/v1", "kind": "Job", "name": "else"}}
    world.api.put(RUNS, {"metadata": {"name": "ddp-00000007", "namespace": "team", "uid": "x"}, "spec": theirs})
    world.job("ddp", uid="00000007-0000-4000-8000-000000000000")
    await world.settle()
    (run,) = world.runs().values()
    assert run["spec"] == theirs
    assert run["metadata"]["uid"] == "x"


async def test_finished_runs_go_when_their_time_is_over_and_are_not_made_again() -> None:
    """TTL 100 s: gone after it; the finished Job, marked or not, gets none."""
    world = World(retention=Retention(auto_ttl=100))
    await story(world)
    world.api.change(JOBS, "team", "ddp", lambda job: job["status"].update(conditions=[condition("Complete")]))
    await world.settle()
    assert len(world.runs()) == 1
    world.now += 111
    await world.settle()
    assert world.runs() == {}
    world.api.change(JOBS, "team", "ddp", lambda job: job["metadata"].update(annotations={}))
    world.fresh()
    await world.settle()
    assert world.runs() == {}


def _set_status(status: Object, job: Object) -> None:
    job["status"].update(status)


async def test_a_namespace_keeps_so_many_finished_runs_and_no_more() -> None:
    """The oldest finished go; a running one stays."""
    world = World(retention=Retention(finished_limit=2))
    for number in range(4):
        world.job(f"j{number}")
        await world.settle()
        done = {"conditions": [condition("Complete", f"2026-11-21T12:00:{10 + number}Z")]}
        world.api.change(JOBS, "team", f"j{number}", partial(_set_status, done))
        await world.settle()
    world.job("running")
    await world.settle()
    left = sorted(r["spec"]["workloadRef"]["name"] for r in world.runs().values())
    assert left == ["j2", "j3", "running"]


async def test_a_written_run_claims_its_job() -> None:
    """No second Run is made for a Job that a person's Run names; the Run is bound to that object."""
    world = World()
    ref = {"apiVersion": "batch/v1", "kind": "Job", "name": "ddp"}
    world.api.put(RUNS, {"metadata": {"name": "mine", "namespace": "team"}, "spec": {"workloadRef": ref}})
    await world.settle()
    assert world.state_of("mine") == "Pending"
    made = await story(world)
    assert list(world.runs()) == ["mine"]
    assert world.runs()["mine"]["metadata"]["annotations"]["outrider.dev/workload-uid"] == made["metadata"]["uid"]
    assert world.state_of("mine") == "Running"


async def test_another_job_of_the_same_name_is_another_workload() -> None:
    """Delete-and-reapply: the written Run stays Killed, the new Job gets a Run of its own."""
    world = World()
    ref = {"apiVersion": "batch/v1", "kind": "Job", "name": "ddp"}
    world.api.put(RUNS, {"metadata": {"name": "mine", "namespace": "team"}, "spec": {"workloadRef": ref}})
    await story(world)
    world.api.remove(JOBS, "team", "ddp")
    await world.settle()
    assert world.state_of("mine") == "Killed"
    world.job("ddp")
    await world.settle()
    assert len(world.runs()) == 2
    assert world.state_of("mine") == "Killed"


async def test_a_status_that_somebody_else_wrote_meanwhile_is_not_overwritten_blindly() -> None:
    """The write names the version that it was decided on; after a conflict it is decided anew."""
    world = World()
    await story(world)
    (name,) = world.runs()
    world.api.change(
        RUNS, "team", name, lambda run: run["metadata"].update(labels={**run["metadata"]["labels"], "a": "b"})
    )
    from outrider_operator.kube.api import PODS

    world.api.change(PODS, "team", "ddp-0", lambda pod: pod["status"].update(ended(1)))
    from outrider_operator.controller.run_pass import run_pass
    from outrider_operator.core.observed import pod_view

    world.store.pod_changed(None, pod_view(world.api.all(PODS)[0]))
    await run_pass(world.context, "team", name)
    assert "failure" not in world.runs()[name]["status"]
    await world.settle()
    assert world.runs()[name]["status"]["failure"]["reason"] == "Error"
    assert world.runs()[name]["metadata"]["labels"]["a"] == "b"


async def test_a_run_shows_its_namespaces_project_and_follows_its_change() -> None:
    """What a Run names itself wins; a project that cannot be one is said."""
    world = World()
    ref = {"apiVersion": "batch/v1", "kind": "Job", "name": "a"}
    for name, spec in (("bare", {}), ("own", {"project": "mine"})):
        world.api.put(RUNS, {"metadata": {"name": name, "namespace": "team"}, "spec": {"workloadRef": ref, **spec}})
    await world.settle()

    def shown() -> dict[str, str]:
        return {name: run["status"]["project"] for name, run in world.runs().items()}

    assert shown() == {"bare": "uncategorized", "own": "mine"}
    before = NamespaceView(uid="u", name="team", asks=False, project=None)
    for text, wanted in (("vision", "vision"), ("speech", "speech"), ("a/b", "uncategorized")):
        after = NamespaceView(uid="u", name="team", asks=False, project=text)
        world.store.namespace_changed(before, after)
        before = after
        await world.settle()
        assert shown() == {"bare": wanted, "own": "mine"}
    said = {c["type"]: c for c in world.runs()["bare"]["status"]["conditions"]}["Accepted"]
    assert (said["status"], said["reason"]) == ("False", "InvalidAnnotation")
    assert "Annotation outrider.dev/project='a/b' of the namespace was left out" in said["message"]


async def test_a_pod_that_nothing_owns_is_marked_with_its_run() -> None:
    """The mark is what tells the next process that there was a Run, once somebody has deleted it."""
    world = World()
    asks = {"outrider.dev/inject": "true"}
    world.api.put(
        PODS, {"metadata": {"name": "bare", "namespace": "team", "annotations": asks}, "spec": {}, "status": {}}
    )
    await world.settle()
    (name,) = world.runs()
    (pod,) = world.api.all(PODS)
    assert pod["metadata"]["annotations"] == {**asks, "outrider.dev/run": name}
