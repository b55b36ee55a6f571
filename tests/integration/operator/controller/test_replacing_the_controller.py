"""Controllers that die, stop, and follow each other."""

import asyncio
import time
from collections.abc import Callable
from functools import partial

from outrider_operator.kube.api import LEASES, Object
from tests.integration.operator.controller.acting import Controller, Stage, job
from tests.tries import Tries

Make = Callable[..., Controller]


async def _holder(stage: Stage, lease: str, *unlike: str) -> str:
    async def look() -> str | None:
        found = (await stage.client.items(LEASES, stage.namespace, fields=f"metadata.name={lease}")) or [{}]
        holder = str((found[0].get("spec") or {}).get("holderIdentity") or "")
        return holder if holder and holder not in unlike else None

    return await stage.until("a holder of the Lease", look)


async def test_a_controller_that_is_killed_and_replaced_loses_no_change(stage: Stage, controllers: Make) -> None:
    """SIGKILL in Running; while nobody is there a rank fails and the Job ends; the next one says so, on the same Run"""
    first = await controllers("--identity=one").start()
    made = await stage.apply(job("long", pods=2))
    name = (await stage.run_of(made))["metadata"]["name"]
    one, two = await stage.pods("long", 2)
    await stage.start(one)
    await stage.start(two)
    before = await stage.state(name, "Running")
    await first.kill()
    await stage.end(two, 1)
    second = await controllers("--identity=two", lease=first.lease).start()
    # How long a process takes to start says nothing about the hand-over.
    await stage.until("the next one is ready", partial(_ready, second))
    begun = time.monotonic()
    run = await stage.state(name, "Failed", seconds=40)
    assert time.monotonic() - begun <= 20  # 15 s for the Lease, the rest for a busy machine
    assert run["status"]["failure"]["pod"] == two["metadata"]["name"]
    assert run["status"]["startTime"] == before["status"]["startTime"]
    assert run["status"]["attempt"] == 1
    assert [r["metadata"]["name"] for r in await stage.runs()] == [name]


async def test_a_follower_takes_over_within_two_seconds_of_a_graceful_stop(stage: Stage, controllers: Make) -> None:
    """The follower has written nothing before; after the hand-over it does all.

    Its time is that of the best of three: a shared machine may hold any one of them up.
    """
    holder = await controllers("--identity=0").start()
    await _holder(stage, holder.lease)
    made = await stage.apply(job("handed", pods=1))
    name = (await stage.run_of(made))["metadata"]["name"]
    tries = Tries(2.0)
    for number in tries:
        before, after = str(number), str(number + 1)
        follower = await controllers(f"--identity={after}", lease=holder.lease).start()
        # The follower is warm once it says so.
        await stage.until("the follower is ready", partial(_ready, follower))
        begun = time.monotonic()
        stopping = asyncio.create_task(holder.stop())
        assert await _holder(stage, holder.lease, before) == after
        took = time.monotonic() - begun
        tries.took(took)
        assert took < 7, "the Lease was not given back: the follower has waited until it was over"
        assert await stopping == 0
        holder = follower
    (pod,) = await stage.pods("handed", 1)
    await stage.start(pod)
    await stage.state(name, "Running", seconds=10)
    assert [r["metadata"]["name"] for r in await stage.runs()] == [name]


async def _ready(controller: Controller) -> bool | None:
    import aiohttp

    url = controller.url
    if url is None:
        return None
    try:
        async with aiohttp.ClientSession() as session, session.get(f"{url}/readyz") as answer:
            return True if answer.status == 200 else None
    except aiohttp.ClientError:
        return None


async def test_nobody_but_the_holder_writes(stage: Stage, controllers: Make) -> None:
    """A Lease that a stranger holds all the time: the controller watches, and makes nothing."""
    controller = controllers("--identity=one")
    lease: Object = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": controller.lease},
        "spec": {"holderIdentity": "stranger", "leaseDurationSeconds": 3600},
    }
    await stage.client.create(LEASES, stage.namespace, lease)
    await controller.start()
    await stage.apply(job("unseen", pods=1))
    await stage.until("the controller is ready", partial(_ready, controller))
    assert await stage.runs() == []
    assert (await stage.client.get(LEASES, stage.namespace, controller.lease))["spec"]["holderIdentity"] == "stranger"
