"""Runs that bring their own Job."""

from collections.abc import Callable

from outrider_operator.kube.api import JOBS, RUNS, NotFound, Object
from tests.integration.operator.controller.acting import Controller, Stage, job

Make = Callable[..., Controller]


def run(name: str, *, workload: Object | None = None, **spec: object) -> Object:
    body = job("unused", pods=1)
    # As a person writes it: injection is the controller's doing, and off in these tests.
    given = workload or {"apiVersion": "batch/v1", "kind": "Job", "spec": body["spec"]}
    return {
        "apiVersion": "outrider.dev/v1alpha1",
        "kind": "Run",
        "metadata": {"name": name},
        "spec": {"workload": given, **spec},
    }


async def test_a_run_makes_its_job_and_is_finished_when_that_completes(stage: Stage, controllers: Make) -> None:
    """Owned, named like the Run, labelled, and gone with it."""
    await controllers().start()
    made = await stage.client.create(RUNS, stage.namespace, run("resnet"))

    async def there() -> Object | None:
        try:
            return await stage.client.get(JOBS, stage.namespace, "resnet")
        except NotFound:
            return None

    found = await stage.until("the Job", there)
    (owner,) = found["metadata"]["ownerReferences"]
    assert (owner["uid"], owner["controller"]) == (made["metadata"]["uid"], True)
    assert found["metadata"]["labels"]["outrider.dev/run"] == "resnet"
    (pod,) = await stage.pods("resnet", 1)
    await stage.start(pod)
    await stage.state("resnet", "Running")
    await stage.end(pod, 0)
    finished = await stage.state("resnet", "Finished")
    assert finished["status"]["workload"] == "Job/resnet"
    assert [r["metadata"]["name"] for r in await stage.runs()] == ["resnet"]
    await stage.client.delete(RUNS, stage.namespace, "resnet", uid=made["metadata"]["uid"])

    async def gone() -> bool | None:
        return None if await there() else True

    # Kubernetes' garbage collector looks for new kinds of owners only every half minute.
    await stage.until("the Job is gone with its Run", gone, 90)


async def test_a_job_that_somebody_deletes_is_not_made_again(stage: Stage, controllers: Make) -> None:
    """The Run is Killed, by this controller and by the next one's view too."""
    controller = await controllers().start()
    await stage.client.create(RUNS, stage.namespace, run("once"))
    (pod,) = await stage.pods("once", 1)
    await stage.start(pod)
    await stage.state("once", "Running")
    await controller.kill()
    await stage.remove_job("once")
    await controllers(lease=f"{controller.lease}-next").start()
    await stage.state("once", "Killed")
    assert await stage.client.items(JOBS, stage.namespace) == []


async def test_a_foreign_object_of_that_name_is_left_alone(stage: Stage, controllers: Make) -> None:
    """Accepted=False NameTaken; once the name is free, the Job is made."""
    await controllers().start()
    foreign = job("taken", pods=1)
    foreign["spec"]["template"]["metadata"]["annotations"] = {}
    theirs = await stage.client.create(JOBS, stage.namespace, foreign)
    await stage.client.create(RUNS, stage.namespace, run("taken"))

    def taken(status: Object) -> bool:
        return any(c["reason"] == "NameTaken" and c["status"] == "False" for c in status.get("conditions") or ())

    await stage.status("taken", "NameTaken", taken)
    now = await stage.client.get(JOBS, stage.namespace, "taken")
    assert now["metadata"]["uid"] == theirs["metadata"]["uid"]
    assert "annotations" not in now["metadata"] or "outrider.dev/run" not in now["metadata"]["annotations"]


async def test_a_job_that_the_api_server_refuses_is_told_on_the_run(stage: Stage, controllers: Make) -> None:
    """The API server's own words, and the Run stays Pending."""
    await controllers().start()
    bad = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "spec": {"template": {"spec": {"restartPolicy": "Always", "containers": []}}},
    }
    await stage.client.create(RUNS, stage.namespace, run("bad", workload=bad))

    def refused(status: Object) -> bool:
        return any(c["reason"] == "InvalidWorkload" for c in status.get("conditions") or ())

    status = await stage.status("bad", "InvalidWorkload", refused)
    assert status["state"] == "Pending"
    (said,) = [c["message"] for c in status["conditions"] if c["reason"] == "InvalidWorkload"]
    assert "restartPolicy" in said
