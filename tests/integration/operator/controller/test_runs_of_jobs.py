"""Runs of Jobs on a real API server and controller manager; the tests act as the kubelet."""

import time
from collections.abc import Callable

from outrider_operator.kube.api import EVENTS, JOBS, PODS, RUNS, ApiError, NotFound, Object
from tests.integration.operator.controller.acting import Controller, Stage, job
from tests.tries import Tries

Make = Callable[..., Controller]


async def test_an_annotated_job_has_a_run_that_is_finished_when_it_is(stage: Stage, controllers: Make) -> None:
    """From nothing to Finished 2/2, with the template's annotations as its spec, and Events."""
    await controllers().start()
    made = await stage.apply(job("ddp", annotations={"outrider.dev/project": "resnet", "outrider.dev/tags": "a, b"}))
    run = await stage.run_of(made)
    name = run["metadata"]["name"]
    assert name == f"ddp-{made['metadata']['uid'][:8]}"
    assert run["spec"]["project"] == "resnet"
    assert run["spec"]["tags"] == ["a", "b"]
    assert "ownerReferences" not in run["metadata"]
    assert "finalizers" not in run["metadata"]
    ours = {k: v for k, v in run["metadata"]["annotations"].items() if k != "outrider.dev/submitter"}
    assert ours == {"outrider.dev/workload-uid": made["metadata"]["uid"]}  # and nothing of kopf's

    first, second = await stage.pods("ddp", 2)
    await stage.start(first)
    await stage.state(name, "Starting")
    await stage.start(second)
    run = await stage.state(name, "Running")
    assert run["status"]["ranks"]["summary"] == "2/2"
    for pod in (first, second):
        await stage.end(pod, 0)
    run = await stage.state(name, "Finished")
    assert run["status"]["ranks"]["summary"] == "2/2"
    assert run["status"]["endTime"]
    assert "failure" not in run["status"]
    marked = await stage.client.get(JOBS, stage.namespace, "ddp")
    assert marked["metadata"]["annotations"]["outrider.dev/run"] == name
    assert {"Running", "Finished"} <= await _told(stage, name, "Finished")


async def _told(stage: Stage, run: str, reason: str) -> set[str]:
    """The reasons of a Run's Events, once this one is among them."""

    async def look() -> set[str] | None:
        events = await stage.client.items(EVENTS, stage.namespace, fields=f"involvedObject.name={run}")
        reasons = {e["reason"] for e in events}
        return reasons if reason in reasons else None

    return await stage.until(f"an Event {reason} of {run}", look)


async def test_a_rank_that_fails_is_named_before_the_job_has_failed(stage: Stage, controllers: Make) -> None:
    """Each is told within three seconds in the best of three Jobs: a shared machine may hold any one of them up."""
    await controllers().start()
    tries = Tries(3.0)
    for number in tries:
        tries.took(max(await _rank_and_job_fail(stage, f"oom-{number}")))


async def _rank_and_job_fail(stage: Stage, job_name: str) -> tuple[float, float]:
    """The container's end is enough: state stays Running, the failure is there; then Job and Run end.

    Gives the seconds until the Run says the one and the other.
    """
    made = await stage.apply(job(job_name))
    name = (await stage.run_of(made))["metadata"]["name"]
    first, second = await stage.pods(job_name, 2)
    await stage.start(first)
    await stage.start(second, "node-b")
    await stage.state(name, "Running")
    await stage.end(second, 137, reason="OOMKilled", phase=False)
    begun = time.monotonic()
    status = await stage.status(name, "a failure", lambda s: s.get("failure"))
    rank_took = time.monotonic() - begun
    assert status["state"] == "Running"
    failure = status["failure"]
    assert (failure["reason"], failure["pod"], failure["node"]) == ("OOMKilled", second["metadata"]["name"], "node-b")
    assert failure["exitCode"] == 137
    await stage.end(second, 137, reason="OOMKilled")

    async def failure_target() -> float | None:
        found = await stage.client.get(JOBS, stage.namespace, job_name)
        types = {c["type"] for c in found["status"].get("conditions") or () if c["status"] == "True"}
        return time.monotonic() if types & {"FailureTarget", "Failed"} else None

    told = await stage.until("the Job's FailureTarget", failure_target)
    run = await stage.state(name, "Failed")
    job_took = time.monotonic() - told
    assert run["status"]["failure"]["reason"] == "OOMKilled"
    return rank_took, job_took


async def test_the_same_job_applied_again_has_a_second_run(stage: Stage, controllers: Make) -> None:
    """The first Run is Killed, for its Job was deleted while it ran; the second has another name."""
    await controllers().start()
    one = await stage.apply(job("again"))
    first = (await stage.run_of(one))["metadata"]["name"]
    for pod in await stage.pods("again", 2):
        await stage.start(pod)
    await stage.state(first, "Running")
    await stage.remove_job("again")
    run = await stage.state(first, "Killed")
    assert run["status"]["reason"] == "WorkloadDeleted"
    two = await stage.apply(job("again"))
    second = (await stage.run_of(two))["metadata"]["name"]
    assert second != first
    assert {r["metadata"]["name"] for r in await stage.runs()} == {first, second}


async def _end(stage: Stage, name: str) -> str:
    """A Job whose only pod has succeeded; gives the name of its Run."""
    made = await stage.apply(job(name, pods=1))
    run: str = (await stage.run_of(made))["metadata"]["name"]
    (pod,) = await stage.pods(name, 1)
    await stage.start(pod)
    await stage.end(pod, 0)
    return run


async def _finish(stage: Stage, name: str) -> str:
    run = await _end(stage, name)
    await stage.state(run, "Finished")
    return run


async def _is_gone(stage: Stage, run: str) -> None:
    async def gone() -> bool | None:
        try:
            await stage.client.get(RUNS, stage.namespace, run)
        except NotFound:
            return True
        return None

    await stage.until(f"Run {run} is gone", gone)


async def _is_forgotten(stage: Stage, name: str) -> None:
    async def forgotten() -> bool | None:
        found = await stage.client.get(JOBS, stage.namespace, name)
        return True if "outrider.dev/forgotten" in found["metadata"]["annotations"] else None

    await stage.until(f"Job {name} is marked", forgotten)


async def test_a_finished_job_gets_no_second_run_after_its_time_to_live(stage: Stage, controllers: Make) -> None:
    """The Run goes by itself; neither this controller nor the next one makes it again."""
    controller = await controllers("--ttl-auto=1s").start()
    run = await _end(stage, "brief")
    # Times of Jobs are whole seconds: the Run may go at once, and nobody may have seen it Finished. Its Events stay.
    await _is_gone(stage, run)
    await _told(stage, run, "Finished")
    await _is_forgotten(stage, "brief")
    await controller.stop()
    await controllers("--ttl-auto=24h").start()
    other = await stage.apply(job("other", pods=1))
    await stage.run_of(other)
    assert [r["spec"]["workloadRef"]["name"] for r in await stage.runs()] == ["other"]


async def test_a_run_that_a_person_deletes_stays_away(stage: Stage, controllers: Make) -> None:
    """Deleted while the controller runs, and deleted while it is away: the workload is marked in both cases."""
    controller = await controllers().start()
    here = await _finish(stage, "here")
    away = await _finish(stage, "away")
    for name in ("here", "away"):
        marked = await stage.client.get(JOBS, stage.namespace, name)
        assert marked["metadata"]["annotations"]["outrider.dev/run"]
    found = await stage.client.get(RUNS, stage.namespace, here)
    await stage.client.delete(RUNS, stage.namespace, here, uid=found["metadata"]["uid"])
    await _is_forgotten(stage, "here")
    await controller.stop()
    found = await stage.client.get(RUNS, stage.namespace, away)
    await stage.client.delete(RUNS, stage.namespace, away, uid=found["metadata"]["uid"])
    await controllers().start()
    await _is_forgotten(stage, "away")
    assert await stage.runs() == []


async def test_a_replacement_pod_begins_the_second_attempt(stage: Stage, controllers: Make) -> None:
    """The failure belongs to attempt 1; attempt 2 has none; the Run finishes with both listed."""
    await controllers().start()
    made = await stage.apply(job("retry", pods=1, backoff=2))
    name = (await stage.run_of(made))["metadata"]["name"]
    (pod,) = await stage.pods("retry", 1)
    await stage.start(pod)
    await stage.end(pod, 1)
    await stage.status(name, "a failure", lambda s: s.get("failure"))

    async def successor() -> Object | None:
        living = await stage.pods("retry", 1)
        return living[0] if living[0]["metadata"]["uid"] != pod["metadata"]["uid"] else None

    second = await stage.until("a replacement pod", successor, 40)
    status = await stage.status(name, "attempt 2", lambda s: s.get("attempt") == 2)
    assert "failure" not in status
    await stage.start(second)
    await stage.end(second, 0)
    run = await stage.state(name, "Finished")
    assert [(a["number"], a["state"]) for a in run["status"]["attempts"]] == [(1, "Failed"), (2, "Finished")]


async def test_a_suspended_job_is_pending_and_never_failed(stage: Stage, controllers: Make) -> None:
    """Suspended at birth, resumed, run."""
    await controllers().start()
    made = await stage.apply(job("later", pods=1, suspend=True))
    run = await stage.run_of(made)
    name = run["metadata"]["name"]
    status = await stage.status(name, "suspended", lambda s: s.get("reason") == "Suspended")
    assert status["state"] == "Pending"
    await stage.client.merge(JOBS, stage.namespace, "later", {"spec": {"suspend": False}})
    (pod,) = await stage.pods("later", 1)
    await stage.start(pod)
    await stage.state(name, "Running")


async def test_pods_without_the_sidecar_are_told_within_seconds(stage: Stage, controllers: Make) -> None:
    """A Job that asks, whose pods the webhook never saw."""
    await controllers().start()
    body = job("bare", pods=1)
    body["spec"]["template"]["metadata"]["labels"] = {}
    made = await stage.apply(body)
    name = (await stage.run_of(made))["metadata"]["name"]

    def missed(status: Object) -> bool:
        said = {c["type"]: (c["status"], c["reason"]) for c in status.get("conditions") or ()}
        return said.get("Injected") == ("False", "WebhookMissed")

    await stage.status(name, "WebhookMissed", missed)


async def test_a_quota_that_refuses_the_pods_is_told_with_the_sum(stage: Stage, controllers: Make) -> None:
    """The Job's Event is the only source; the sentence says what the sidecar adds."""
    await controllers().start()
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "team"},
        "spec": {"hard": {"requests.cpu": "1"}},
    }
    from outrider_operator.kube.api import Resource

    await stage.client.create(Resource("", "v1", "resourcequotas"), stage.namespace, quota)
    body = job("large", pods=1)
    pod = body["spec"]["template"]["spec"]
    pod["containers"][0]["resources"] = {"requests": {"cpu": "1"}}
    pod["initContainers"] = [
        {"name": "outrider", "image": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "10m"}}}
    ]

    async def exceeded() -> bool | None:
        probe = {"metadata": {"generateName": "probe-"}, "spec": pod}
        path, dry = PODS.path(stage.namespace), {"dryRun": "All"}
        try:
            async with stage.client.open("POST", PODS, path, params=dry, body=probe):
                return None
        except ApiError as error:
            return True if "exceeded quota" in error.message else None

    # A quota counts once Kubernetes' controller has filled its status: a pod that came before would be made.
    await stage.until("the quota holds", exceeded)
    made = await stage.apply(body)
    name = (await stage.run_of(made))["metadata"]["name"]

    def refused(status: Object) -> bool:
        return any(c["reason"] == "QuotaRefused" for c in status.get("conditions") or ())

    status = await stage.status(name, "QuotaRefused", refused, 30)
    (said,) = [c["message"] for c in status["conditions"] if c["reason"] == "QuotaRefused"]
    assert "of 1010m cpu that a pod asks, 1000m are its template's and 10m the sidecar's" in said


async def test_a_job_that_says_false_has_no_run(stage: Stage, controllers: Make) -> None:
    """The label "false" wins over the annotation "true"; another Job's Run shows that the controller has looked."""
    await controllers().start()
    body = job("no", pods=1)
    body["spec"]["template"]["metadata"]["labels"] = {"outrider.dev/inject": "false"}
    await stage.apply(body)
    made = await stage.apply(job("yes", pods=1))
    await stage.run_of(made)
    assert [r["spec"]["workloadRef"]["name"] for r in await stage.runs()] == ["yes"]
