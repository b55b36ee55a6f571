"""The command line: python -m tools.cluster COMMAND --help."""

import argparse
import os
import shlex
import sys
import time
from pathlib import Path

from tools.cluster import build
from tools.cluster.cluster import Cluster
from tools.cluster.errors import ClusterError
from tools.cluster.images import ImageConfig
from tools.cluster.status import describe


def parser() -> argparse.ArgumentParser:
    """All commands and their options. An option that is not given leaves a running cluster's setting as it is."""
    top = argparse.ArgumentParser(prog="python -m tools.cluster", description="A real Kubernetes on one Linux machine.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, help_: str) -> argparse.ArgumentParser:
        found = commands.add_parser(name, help=help_, description=help_, argument_default=argparse.SUPPRESS)
        found.add_argument("--name", default="outrider", help="the cluster's name (outrider)")
        return found

    up = add("up", "bring a cluster up: start what is missing, replace what changed, add nodes")
    up.add_argument(
        "--mode",
        choices=["api", "control", "node"],
        help="node (default): with nodes; control: API and controllers; api",
    )
    up.add_argument("--nodes", type=int, help="how many nodes (2); never takes any away")
    up.add_argument("--audit", action="store_true", help="write the API server's audit log and print where")
    up.add_argument("--node-cpu", metavar="QUANTITY", help="what a node lets pods have (all of the machine)")
    up.add_argument("--node-memory", metavar="QUANTITY", help="the same for memory")
    up.add_argument("--node-grace", metavar="DURATION", help="how long a silent node stays Ready (20s)")
    up.add_argument(
        "--toleration-seconds", type=int, metavar="N", help="how long pods stay on a node that is not Ready (30)"
    )
    add("build", "build the cluster's programs where they are missing")
    add("down", "take a cluster down and remove everything of it")
    add("status", "what runs and what it says of itself; exit code 1 where something is missing")
    add("env", "print the shell line that points kubectl at the cluster")
    kubectl = add("kubectl", "run kubectl on the cluster: kubectl [--name NAME] ARGUMENTS")
    kubectl.add_argument("arguments", nargs=argparse.REMAINDER)
    load = add("load-image", "bring an image to all nodes: a docker archive, or a root file system with --ref")
    load.add_argument(
        "source", type=Path, help="a docker archive; with --ref: a folder, or a tar file, of a root file system"
    )
    load.add_argument("--ref", help="the name that a root file system gets, such as busybox:1")
    load.add_argument("--cmd", default="", help="its command")
    load.add_argument("--entrypoint", default="", help="its entry point")
    load.add_argument("--env", action="append", default=[], metavar="NAME=VALUE", help="a variable of its environment")
    load.add_argument("--workdir", default="/", help="its working folder")
    load.add_argument("--user", default="", help="its user")
    for name, help_ in (
        ("kill-node", "end a node as a power cut would (up brings it back)"),
        ("cut-node", "pull a node's network cable"),
        ("join-node", "put a node's network cable back"),
    ):
        add(name, help_).add_argument("number", type=int, help="the node's number, from 1")
    return top


def main(argv: list[str] | None = None) -> int:
    """Run one command; gives the exit code."""
    options = vars(parser().parse_args(argv))
    command, name = options.pop("command"), options.pop("name")
    try:
        return _run(command, name, options)
    except ClusterError as error:
        print(f"tools.cluster: {error}", file=sys.stderr)
        return 1


def _run(command: str, name: str, options: dict[str, object]) -> int:
    began = time.monotonic()
    if command == "up":
        cluster = Cluster(name, **options)
        cluster.up()
        print(f"cluster {name} is up ({time.monotonic() - began:.1f} s)", file=sys.stderr)
        if cluster.state.settings.audit:
            print(f"audit log: {cluster.audit_log}", file=sys.stderr)
        print(f"export KUBECONFIG={shlex.quote(str(cluster.kubeconfig))}")
        return 0
    cluster = Cluster(name)
    if command == "build":
        for module in (build.KUBERNETES, build.COREDNS):
            print(build.built(module))
        build.pause_program()
        return 0
    if command == "down":
        there = cluster.exists
        cluster.down()
        print(
            f"cluster {name} is down ({time.monotonic() - began:.1f} s)" if there else f"there is no cluster {name}",
            file=sys.stderr,
        )
        return 0
    state = cluster.state
    match command, options:
        case "status", _:
            lines, whole = describe(cluster)
            print("\n".join(lines))
            return 0 if whole else 1
        case "env", _:
            print(f"export KUBECONFIG={shlex.quote(str(cluster.kubeconfig))}")
        case "kubectl", {"arguments": list(arguments)}:
            words = cluster.kubectl_command(*arguments)
            os.execv(words[0], words)
        case "load-image", {"source": Path() as source, **how}:
            _load(cluster, source, how)
            print(f"loaded on {state.settings.nodes} node(s) in {time.monotonic() - began:.1f} s", file=sys.stderr)
        case "kill-node", {"number": int(number)}:
            cluster.kill_node(number)
        case "cut-node", {"number": int(number)}:
            cluster.cut_node(number)
        case "join-node", {"number": int(number)}:
            cluster.join_node(number)
    return 0


def _load(cluster: Cluster, source: Path, how: dict[str, object]) -> None:
    if not source.exists():
        raise ClusterError(f"there is no {source}")
    if "ref" not in how:
        cluster.load_archive(source)
        return
    environment = how["env"]
    assert isinstance(environment, list)
    config = ImageConfig(
        command=tuple(shlex.split(str(how["cmd"]))),
        entrypoint=tuple(shlex.split(str(how["entrypoint"]))),
        environment=tuple(environment),
        folder=str(how["workdir"]),
        user=str(how["user"]),
    )
    cluster.load_rootfs(str(how["ref"]), source, config)


if __name__ == "__main__":
    sys.exit(main())
