"""The command line: python -m tools.images build | load | push."""

import argparse
import sys

from tools.cluster import Cluster, ClusterError
from tools.cluster.images import full_reference
from tools.images import engine
from tools.images.build import ImageError, build
from tools.images.load import load
from tools.images.parts import PARTS


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    top = argparse.ArgumentParser(prog="python -m tools.images", description="Outrider's images.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, default, help_ in (
        ("build", "all", "build what has changed, into docker archives of the cache folder; prints their paths"),
        ("load", "all", "build what has changed, and load what a cluster's nodes lack"),
        ("push", "all but trainer", "build what has changed on the real base image, and push it to a registry"),
    ):
        command = commands.add_parser(name, help=help_, description=help_)
        command.add_argument("images", nargs="*", metavar="IMAGE", help=f"some of {', '.join(PARTS)} ({default})")
        if name == "load":
            command.add_argument("--name", default="outrider", help="the cluster's name (outrider)")
        if name == "push":
            command.add_argument("--registry", required=True, help="where to, such as ghcr.io/me")
            command.add_argument("--tag", help="the tag (the version)")
    return top


def main(argv: list[str] | None = None) -> int:
    """Run one command; gives the exit code."""
    options = parser().parse_args(argv)
    names = options.images or [name for name in PARTS if name != "trainer" or options.command != "push"]
    if unknown := sorted(set(names) - set(PARTS)):
        print(f"tools.images: there is no image {', '.join(unknown)}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    try:
        images = build(names, for_registry=options.command == "push")
        if options.command == "build":
            for image in images:
                print(image.reference, image.archive)
        elif options.command == "load":
            load(Cluster(options.name), images)
        else:
            for image in images:
                target = f"{options.registry.rstrip('/')}/{image.part.repository}:{options.tag or image.part.version}"
                engine.choose().push(image.archive, full_reference(image.reference), target)
                print(target)
    except (ImageError, ClusterError) as error:
        print(f"tools.images: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
