"""Every byte that each rank wrote is at the tracker under its rank, once, whatever happens in the middle.

Each scenario is a pair of jobs at once. What is compared is the record that the training script keeps of itself. Ranks
that fail have their bytes compared in test_failures.py.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial

from tests.e2e import faults
from tests.e2e.kube import Obj, wait_for
from tests.e2e.pair import Pair
from tests.e2e.product import Product, names_of, state

TRACKER_PORT = 8443


def test_normal_end(product: Product, start: Callable[..., Pair]) -> None:
    """A job that nothing happens to: Finished, 4 of 4 ranks, every byte."""
    pair = start(linger="")  # as the examples have it
    pair.check("Finished")
    for job in pair.jobs:
        run = product.wait_ended(job)
        assert run["status"]["ranks"]["summary"] == "4/4"
        ranks = [rank for rank in product.ranks(run) if rank["role"] == "rank"]
        assert sorted((r["rank"], r["exitCode"], r["state"]) for r in ranks) == [(n, 0, "exited") for n in range(4)]
        assert [r["nodeRank"] for r in sorted(ranks, key=lambda r: r["rank"])] == [0, 0, 1, 1] or {
            r["nodeRank"] for r in ranks
        } == {0, 1}


def test_deletion_with_grace(product: Product, start: Callable[..., Pair]) -> None:
    """The Job is deleted in the middle: the ranks' last lines still arrive, and the Run says Killed."""
    pair = start(STEPS="1000", STEP_DELAY="0.2")
    pair.each(lambda job: product.wait_step(job, 8))
    pair.each(lambda job: product.kube.delete("Job", *names_of(job), policy="Foreground"))
    pair.check("Killed")


def test_tracker_away_for_30_seconds(product: Product, start: Callable[..., Pair]) -> None:
    """Packets to the tracker are swallowed for half a minute: the ranks never notice, and nothing is missing."""
    pair = start(STEPS="130", STEP_DELAY="0.3")
    addresses = [pod["status"]["podIP"] for pod in product.part("tracker")]
    with faults.packets_dropped(product.nodes, addresses, TRACKER_PORT):
        # 100 steps of at least 0.3 s are half a minute by the trainers' own clocks.
        pair.each(lambda job: product.wait_step(job, 110, 180))
    pair.check("Finished")


def test_collector_killed_twice(product: Product, start: Callable[..., Pair]) -> None:
    """SIGKILL to the collector of every pod, twice: it comes back, and nothing is missing or doubled."""
    pair = start(STEPS="80", STEP_DELAY="0.3")
    killed: set[int] = set()
    for step in (5, 30):
        pair.each(partial(product.wait_step, step=step))
        for pod in pair.pods():
            killed.add(wait_for("the collector", partial(_kill_collector, pod)))
    assert len(killed) == 8
    pair.check("Finished")


def _kill_collector(pod: Obj) -> int | None:
    try:
        return faults.kill(pod, "outrider", "outrider_sidecar", signal.SIGKILL)
    except AssertionError:
        return None  # it is just being started again


def test_tracker_killed(product: Product, start: Callable[..., Pair]) -> None:
    """SIGKILL to the tracker in the middle: what it had acknowledged it still has, the rest is sent again."""
    pair = start(STEPS="120", STEP_DELAY="0.3")  # its pods outlive the kubelet's back-off, as nothing waits for them
    for step in (5, 25):
        pair.each(partial(product.wait_step, step=step))
        (pod,) = product.part("tracker")
        before = restarts(pod)
        faults.kill(pod, "tracker", "outrider-tracker")

        def back(before: int = before) -> bool:
            (now,) = product.part("tracker")
            return restarts(now) > before and now["status"]["containerStatuses"][0]["ready"]

        wait_for("the tracker to be back", back, 90)
    pair.check("Finished")


def restarts(pod: Obj) -> int:
    """How often the pod's first container was started again."""
    return int(pod["status"]["containerStatuses"][0]["restartCount"])


def test_tracker_gone_for_good(product: Product, start: Callable[..., Pair]) -> None:
    """The tracker goes before the end and stays away: the job ends with its own code in its own time, and what could
    not be sent is shown to the byte."""
    pair = start(linger="", STEPS="40", STEP_DELAY="0.2")
    addresses = [pod["status"]["podIP"] for pod in product.part("tracker")]
    with faults.packets_dropped(product.nodes, addresses, TRACKER_PORT):
        for job in pair.jobs:
            ns, name = names_of(job)
            wait_for(f"Job {name} to be Complete", partial(complete, product, ns, name), 180)
        written = [product.recorder.written(pod_uids) for pod_uids in pair.pod_uids]
    for job, sizes in zip(pair.jobs, written, strict=True):
        run = product.wait_run(job, "the loss in the Run's status", lost, 60)
        assert state(run) == "Finished"
        kept = product.ends(run)
        missing = sum(size - kept.get(stream, 0) for stream, size in sizes.items())
        assert missing > 0
        product.wait_run(job, f"{missing} lost bytes in the Run's status", partial(lost_exactly, missing), 90)


def lost(run: Obj) -> int:
    """Bytes that the Run says will not come, or have not."""
    collection = run["status"].get("collection", {})
    return int(collection.get("unsentBytes", 0) + collection.get("lostBytes", 0))


def lost_exactly(count: int, run: Obj) -> bool:
    """Whether the Run says just this many."""
    return lost(run) == count


def complete(product: Product, ns: str, job: str) -> bool:
    """Whether Kubernetes says that the Job has succeeded."""
    return "Complete" in product.job_conditions(ns, job)
