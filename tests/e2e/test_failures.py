"""A failed rank is named in the Run while its peers still wait, and the Run ends with the Job.

How many seconds it takes is measured by bench/failure_latency.py; here the order of things is what counts.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import partial

import pytest

from tests.e2e.kube import Obj
from tests.e2e.pair import Pair
from tests.e2e.product import Product, names_of


def main_container(pod: Obj) -> Obj:
    """State of a pod's trainer."""
    found: Obj = next(c for c in pod["status"]["containerStatuses"] if c["name"] == "train")["state"]
    return found


def since(obj: Obj, condition: str) -> dt.datetime:
    """When a condition came to be true, in whole seconds."""
    conditions = {c["type"]: c for c in obj["status"].get("conditions", []) if c["status"] == "True"}
    assert condition in conditions, f"not {condition} yet: {obj['status']}"
    return dt.datetime.fromisoformat(conditions[condition]["lastTransitionTime"])


@pytest.mark.parametrize(
    ("example", "reason", "words"),
    [
        ("rank-failure", "Error", "ValueError: rank 3 was asked to fail at step 20"),
        ("oom", "OOMKilled", "holding_mib="),
    ],
)
def test_named_while_the_peers_wait(
    product: Product, start: Callable[..., Pair], example: str, reason: str, words: str
) -> None:
    """Rank, pod, node, reason and last lines are in the Run while pod 0's ranks still wait at that step; what the rank
    wrote until it died arrives whole.
    """
    pair = start(example, PEERS_WAIT="20")
    pair.each(partial(named, product, reason=reason, words=words))
    pair.check("Failed")
    for job in pair.jobs:
        status = product.wait_ended(job)["status"]
        conditions = {c["type"]: c for c in status["conditions"]}
        assert conditions["RankFailed"]["status"] == "True"
        assert conditions["Complete"]["status"] == "True"
        assert status["failure"]["rank"] == 3, "no victim may take the blame later on"


def named(product: Product, job: Obj, reason: str, words: str) -> None:
    """The Run says who failed first, and how."""
    run = product.wait_run(job, "the failure", lambda run: run.get("status", {}).get("failure"), 120)
    ns, name = names_of(job)
    pods = product.pods_of(ns, name)
    third = pods[-1]
    if len(pods) < 2 or "running" not in main_container(pods[0]):
        # We come late: pod 0 ends because its Job has failed, which is to be later than the Run's word.
        made = product.kube.get("Job", ns, name)
        assert made
        assert since(run, "RankFailed") < since(made, "FailureTarget"), (
            "pod 0's ranks were to wait for their peer still"
        )
    run = product.wait_run(job, "its last words", lambda run: run["status"]["failure"].get("lastWords"), 10)
    failure = run["status"]["failure"]
    assert (failure["rank"], failure["pod"], failure["node"], failure["reason"]) == (
        3,
        third["metadata"]["name"],
        third["spec"]["nodeName"],
        reason,
    )
    assert any(words in line for line in failure["lastWords"]), failure["lastWords"]
    table = product.cluster.kubectl("get", "orun", "-n", ns, "-o", "wide")
    assert f"rank 3 {reason}" in table, table
