"""The command line: python -m tools.demo up."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from tools import images
from tools.cluster import Cluster, ClusterError
from tools.demo import diagnosis, ready, release, training
from tools.demo.errors import DemoError
from tools.demo.progress import say, step, until
from tools.demo.tracker import Tracker

NAME = "outrider"  # the cluster that tools.cluster takes where no other is named


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; gives the exit code."""
    top = argparse.ArgumentParser(prog="python -m tools.demo", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="bring everything up, run a training job, show its Run; leave it running")
    up.add_argument("--name", default=NAME, help=f"the cluster's name ({NAME})")
    up.add_argument("--nodes", type=int, default=2, help="how many nodes (2)")
    options = top.parse_args(argv)
    if os.geteuid():
        print("The demo starts real Kubernetes nodes, which needs root: sudo make demo", file=sys.stderr)
        return 1
    cluster = Cluster(options.name, mode="node", nodes=options.nodes)
    try:
        demo(cluster)
    except (DemoError, ClusterError, images.ImageError) as error:
        print(f"\nThe demo stopped: {error}\n", file=sys.stderr)
        if cluster.exists:
            for line in diagnosis.report(cluster, (release.NAMESPACE, training.NAMESPACE)):
                print(line, file=sys.stderr)
        return 1
    return 0


def demo(cluster: Cluster) -> None:
    """All steps, in order; each may be there already."""
    began = time.monotonic()
    with step("Images: the operator, the sidecar, the tracker, the example's trainer (built the first time: minutes)"):
        built = images.build()
    with step("A Kubernetes cluster with two nodes on this machine (its programs are built the first time: minutes)"):
        cluster.up()
    with step("The images on its nodes"):
        images.load(cluster, built)
    contents = {image.part.repository: image.key for image in built}
    with step(f"Outrider, from charts/outrider, into namespace {release.NAMESPACE}"):
        for name in (release.NAMESPACE, training.NAMESPACE):
            training.ensure_namespace(cluster, name)
        say(f"    {release.install(cluster.kubeconfig, release.values(contents, ready.node_address(cluster)))}")
    with step("Controller, webhook and tracker become ready"):
        ready.wait_for_parts(cluster, 180)
        ready.wait_for_injection(cluster, training.NAMESPACE, 60)
        tracker = Tracker(ready.ui_address(cluster), ready.admin_key(cluster))
        until("the UI", lambda: _answers(tracker), 30)
    with step(f"A torchrun job of 2 pods x 2 ranks, examples/torchrun-ddp, in namespace {training.NAMESPACE}"):
        uid = training.start(cluster)
        run = training.wait_until_ended(cluster, uid, 300, lambda line: say(f"    {line}"))
        training.require_finished(run)
    show(cluster, tracker, run)
    say(f"\nAll in {time.monotonic() - began:.0f} s.")


def _answers(tracker: Tracker) -> tuple[bool | None, str]:
    """Whether the UI and its API answer, in the form that `until` asks for."""
    try:
        tracker.page()
        tracker.get("/session")
    except DemoError as error:
        return None, str(error)
    return True, ""


def show(cluster: Cluster, tracker: Tracker, run: dict[str, Any]) -> None:
    """What came of it: the table of Runs, the last words of each rank, where to look and how to go on."""
    url = urlsplit(run["status"]["url"]).path
    say(f"\n$ kubectl get runs --namespace {training.NAMESPACE}")
    say(cluster.kubectl("get", "runs.outrider.dev", "--namespace", training.NAMESPACE).rstrip())
    say("\nThe last lines of each rank, from the tracker:")
    for title, lines in tracker.last_lines(url.replace("/runs/", "/", 1), 2):
        say(f"  {title}")
        for line in lines:
            say(f"    {line}")
    say(f"\nThe UI:         {tracker.address}{url}")
    say(f"Log in with:    {tracker.key}")
    tool = ".venv/bin/python -m tools.cluster kubectl" + (f" --name {cluster.name}" if cluster.name != NAME else "")
    say("\nGo on with a rank that fails, what Outrider says of it, and the end of all this:")
    say(f"  {tool} apply -n {training.NAMESPACE} -f examples/rank-failure/restricted/job.yaml")
    say(f"  {tool} get orun -A -o wide --watch")
    say("  make clean-cluster")


if __name__ == "__main__":
    sys.exit(main())
