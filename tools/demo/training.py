"""The example that the demo runs, and the Run that comes of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tools.cluster import Cluster
from tools.demo.errors import DemoError
from tools.demo.progress import until

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "torchrun-ddp" / "restricted" / "job.yaml"
NAMESPACE = "demo"
JOB = "digits"
ENDED = ("Finished", "Failed", "Crashed", "Killed", "Preempted")


def namespace(name: str) -> dict[str, Any]:
    """A namespace that enforces the strictest Pod Security."""
    level = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": level}}


def ensure_namespace(cluster: Cluster, name: str) -> None:
    """Make the namespace, or bring it to its labels."""
    cluster.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(namespace(name)))


def start(cluster: Cluster) -> str:
    """Apply the example, after the Job of an earlier demo is gone; gives the new Job's UID."""
    cluster.kubectl(
        "delete", "job", JOB, "-n", NAMESPACE, "--ignore-not-found", "--cascade=foreground", "--timeout=90s"
    )
    cluster.kubectl("apply", "-n", NAMESPACE, "-f", str(EXAMPLE))
    return str(json.loads(cluster.kubectl("get", "job", JOB, "-n", NAMESPACE, "-o", "json"))["metadata"]["uid"])


def of_job(runs: list[dict[str, Any]], uid: str) -> dict[str, Any] | None:
    """The Run that the controller made for a Job: its name ends with the first 8 digits of the Job's UID."""
    return next((run for run in runs if run["metadata"]["name"].endswith(f"-{uid[:8]}")), None)


def wait_until_ended(cluster: Cluster, uid: str, seconds: float, tell: Callable[[str], None]) -> dict[str, Any]:
    """The Job's Run once it has ended; each change of its state and ranks is told on the way."""
    told = ""

    def look() -> tuple[dict[str, Any] | None, str]:
        nonlocal told
        runs = json.loads(cluster.kubectl("get", "runs.outrider.dev", "-n", NAMESPACE, "-o", "json"))["items"]
        run = of_job(runs, uid)
        if run is None:
            return None, f"there is no Run for Job {NAMESPACE}/{JOB}; see the controller's log"
        now = summary(run)
        if now != told:
            told = now
            tell(now)
        return (run, "") if run.get("status", {}).get("state") in ENDED else (None, now)

    return until(f"the end of the Run of Job {NAMESPACE}/{JOB}", look, seconds)


def summary(run: dict[str, Any]) -> str:
    """A Run in one line: name, state, ranks."""
    status = run.get("status", {})
    ranks = status.get("ranks", {})
    counts = ", ".join(f"{ranks[key]} {key}" for key in ("expected", "running", "succeeded", "failed") if key in ranks)
    return f"{run['metadata']['name']}: {status.get('state', 'new')}" + (f" ({counts} ranks)" if counts else "")


def require_finished(run: dict[str, Any], ranks: int = 4) -> None:
    """Raise DemoError unless every rank succeeded."""
    status = run["status"]
    succeeded = status.get("ranks", {}).get("succeeded")
    if status["state"] != "Finished" or succeeded != ranks:
        failure = status.get("failure") or status.get("conditions") or "nothing more is said"
        raise DemoError(
            f"Run {NAMESPACE}/{run['metadata']['name']} ended as {status['state']} with {succeeded} of {ranks} ranks "
            f"succeeded, not as Finished with all: {json.dumps(failure)}"
        )
