"""The README's pictures, from the demo: `make demo`, then `python -m tests.browser.demo_screenshots docs/images`.

They show the demo's own training, and beside it examples/rank-failure, which this applies.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from tests.browser.browsing import browser, log_in, new_page
from tools.cluster import Cluster
from tools.demo import ready, training
from tools.demo.progress import until

FAILING: Final = training.EXAMPLE.parents[2] / "rank-failure" / "restricted" / "job.yaml"
NAME: Final = "rank-failure"


def failed_run(cluster: Cluster) -> dict[str, Any]:
    """Train examples/rank-failure anew; the Run once it has ended."""
    cluster.kubectl("delete", "job", NAME, "-n", training.NAMESPACE, "--ignore-not-found", "--cascade=foreground")
    cluster.kubectl("apply", "-n", training.NAMESPACE, "-f", str(FAILING))
    uid = json.loads(cluster.kubectl("get", "job", NAME, "-n", training.NAMESPACE, "-o", "json"))["metadata"]["uid"]

    def look() -> tuple[dict[str, Any] | None, str]:
        run = training.of_job(runs(cluster), uid)
        state = (run or {}).get("status", {}).get("state")
        return (run, "") if state in training.ENDED else (None, f"its Run is {state}")

    return until(f"the end of Job {NAME}", look, 180)


def runs(cluster: Cluster) -> list[dict[str, Any]]:
    """The demo's Runs."""
    items: list[dict[str, Any]] = json.loads(
        cluster.kubectl("get", "runs.outrider.dev", "-n", training.NAMESPACE, "-o", "json")
    )["items"]
    return items


def path_of(run: dict[str, Any]) -> str:
    """The Run's page."""
    return urlsplit(str(run["status"]["url"])).path


def main(folder: Path) -> None:
    """Write demo-{runs,failure,ranks,logs,charts}.png."""
    cluster = Cluster()
    failed = path_of(failed_run(cluster))
    finished = path_of(next(run for run in runs(cluster) if run["status"]["state"] == "Finished"))
    folder.mkdir(parents=True, exist_ok=True)
    with browser() as made:
        page = new_page(made, ready.ui_address(cluster))
        page.set_viewport_size({"width": 1280, "height": 420})
        log_in(page, ready.admin_key(cluster))
        page.get_by_role("link", name=NAME).first.wait_for()
        page.screenshot(path=folder / "demo-runs.png")
        page.set_viewport_size({"width": 1280, "height": 900})
        page.goto(f"{failed}?tab=overview")
        page.locator("text=ValueError").first.wait_for()
        page.screenshot(path=folder / "demo-failure.png")
        page.goto(f"{failed}?tab=ranks")
        page.locator("[role=row]").nth(4).wait_for()
        page.set_viewport_size({"width": 1280, "height": 620})
        page.screenshot(path=folder / "demo-ranks.png")
        page.goto(f"{finished}?tab=logs")
        page.locator(".line").first.wait_for()
        page.screenshot(path=folder / "demo-logs.png")
        page.goto(f"{finished}?tab=charts")
        page.set_viewport_size({"width": 1280, "height": 900})
        page.locator("article:has-text('loss') canvas").first.wait_for()
        page.wait_for_load_state("networkidle")
        page.screenshot(path=folder / "demo-charts.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
