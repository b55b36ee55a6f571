"""Controllers that die, stop, and follow each other."""

import asyncio
import time
from collections.abc import Callable

from outrider_operator.kube.api import LEASES, Object
from tests.integration.operator.controller.acting import Controller, Stage, job

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
    await controllers("--identity=two", lease=first.lease).start()
    begun = time.monotonic()
    run = await stage.state(name, "Failed", seconds=40)
    assert time.monotonic() - begun <= 20  # 15 s for the Lease, the rest for a start on a busy machine
    assert run["status"]["failure"]["pod"] == two["metadata"]["name"]
    assert run["status"]["startTime"] == before["status"]["startTime"]
    assert run["status"]["attempt"] == 1
    assert [r["metadata"]["name"] for r in await stage.runs()] == [name]


async def test_a_follower_takes_over_within_two_seconds_of_a_graceful_stop(stage: Stage, controllers: Make) -> None:
    """The follower has written nothing before; after the hand-over it does all."""
    first = await controllers("--identity=one").start()
    await _holder(stage, first.lease)
    second = await controllers("--identity=two", lease=first.lease).start()
    made = await stage.apply(job("handed", pods=1))
    name = (await stage.run_of(made))["metadata"]["name"]
    # The follower is warm once it says so.
    await stage.until("the follower is ready", lambda: _ready(second))
    begun = time.monotonic()
    stopping = asyncio.create_task(first.stop())
    assert await _holder(stage, first.lease, "one") == "two"
    assert time.monotonic() - begun <= 2
    assert await stopping == 0
    (pod,) = await stage.pods("handed", 1)
    await stage.start(pod)
    await stage.state(name, "Running", seconds=10)
    assert [r["metadata"]["name"] for r in await stage.runs()] == [name]


async def _ready(controller: Controller) -> bool | None:
    import aiohttp

    try:
        async with aiohttp.ClientSession() as session, session.get(f"{controller.url}/readyz") as answer:
            return True if answer.status == 200 else None
    except aiohttp.ClientError:
        return None


async def test_nobody_but_the_holder_writes(stage: Stage, controllers: Make) -> None:
    """A Lease that a stranger keeps renewing: the controller watches, and makes nothing."""
    controller = controllers("--identity=one")
    lease: Object = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": controller.lease},
        "spec": {"holderIdentity": "stranger", "leaseDurationSeconds": 15},
    }
    await stage.client.create(LEASES, stage.namespace, lease)
    await controller.start()
    await stage.apply(job("unseen", pods=1))
    await stage.until("the controller is ready", lambda: _ready(controller))
    assert await stage.runs() == []
    assert (await stage.client.get(LEASES, stage.namespace, controller.lease))["spec"]["holderIdentity"] == "stranger"
