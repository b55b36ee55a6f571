"""How long until a failed rank is named: from its exit to `status.failure`, and from the Job's verdict to the Run's.

Beside it, in the same runs, what Kubernetes alone says: seconds from the rank's exit to the Job's `Failed` condition.
Needs the demo's cluster (`make demo`). Every run trains examples/rank-failure and examples/oom once.

    .venv/bin/python bench/failure_latency.py [runs]
"""

from __future__ import annotations

import statistics
import sys
import time
import uuid

from tests.e2e.kube import Kube, wait_for
from tests.e2e.product import ENDED, Product, Tracker, names_of, state
from tests.e2e.recorder import Recorder
from tools.cluster import Cluster
from tools.demo import ready

EVERY = 0.05  # seconds between two looks


def measure(product: Product, ns: str, example: str) -> dict[str, float]:
    """One training; seconds by name."""
    job = product.start(ns, example, {"PEERS_WAIT": "15"})
    seen: dict[str, float] = {}

    def look() -> bool:
        now = time.time()
        run = product.run_of(ns, job["metadata"]["uid"]) or {}
        types = product.job_conditions(*names_of(job))
        failure = run.get("status", {}).get("failure") or {}
        for name, there in (
            ("named", failure.get("rank") == 3),
            ("words", bool(failure.get("lastWords"))),
            ("verdict", bool(types & {"FailureTarget", "Failed"})),
            ("failed", "Failed" in types),
            ("ended", state(run) in ENDED),
        ):
            if there:
                seen.setdefault(name, now)
        return {"named", "words", "verdict", "failed", "ended"} <= seen.keys()

    wait_for(f"the end of {example}", look, 180, EVERY)
    run = product.run_of(ns, job["metadata"]["uid"])
    assert run
    exit_time = min(r["endedAt"] for r in product.ranks(run) if r["rank"] == 3)
    return {
        "exit -> status.failure names the rank": seen["named"] - exit_time,
        "exit -> its last words are there": seen["words"] - exit_time,
        "Job's verdict -> Run terminal": seen["ended"] - seen["verdict"],
        "peer: exit -> Job says Failed": seen["failed"] - exit_time,
    }


def main() -> int:
    """Print the table."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    cluster = Cluster("outrider")
    if not cluster.exists:
        print(
            "bench/failure_latency.py: there is no demo cluster to measure on; run `make demo` first", file=sys.stderr
        )
        return 1
    kube = Kube(cluster.kubeconfig)
    recorder = Recorder(cluster.layout.root)
    product = Product(cluster, kube, Tracker(lambda: ready.ui_address(cluster), ready.admin_key(cluster)), recorder)
    ns = f"bench-{uuid.uuid4().hex[:6]}"
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ns}})
    wait_for("the default service account", lambda: cluster.kubectl("get", "sa", "-n", ns, "-o", "name"), 30)
    try:
        for example in ("rank-failure", "oom"):
            found: dict[str, list[float]] = {}
            for _ in range(runs):
                for name, seconds in measure(product, ns, example).items():
                    found.setdefault(name, []).append(seconds)
                for kind in ("Job", "Service"):
                    kube.delete(kind, ns, example, policy="Foreground")
                wait_for("the Job to be gone", lambda name=example: kube.get("Job", ns, name) is None, 60)  # type: ignore[misc]
            print(f"\n{example}, {runs} runs: seconds, median (least to most)")
            for name, values in found.items():
                print(f"  {name:42} {statistics.median(values):6.2f}  ({min(values):.2f} to {max(values):.2f})")
    finally:
        kube.delete("Namespace", "", ns)
        recorder.close()
        kube.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
