"""The command ``outrider-operator``: controller, webhook, crds."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from outrider_operator import __version__


def main(argv: Sequence[str] | None = None) -> int:
    """Run one of the operator's processes and return its exit status.

    Each process imports only what it needs: the webhook starts without kopf and the Kubernetes client.
    """
    parser = argparse.ArgumentParser(prog="outrider-operator", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("controller", help="watch Runs, workloads and pods, and write their status", add_help=False)
    commands.add_parser("webhook", help="inject the sidecar into pods at admission", add_help=False)
    commands.add_parser("crds", help="print the CustomResourceDefinitions, policies or rules", add_help=False)
    chosen, rest = parser.parse_known_args(argv)
    if chosen.command == "controller":
        from outrider_operator.controller import run as run_controller

        return run_controller(rest)
    if chosen.command == "webhook":
        from outrider_operator.webhook import run as run_webhook

        return run_webhook(rest)
    from outrider_operator.manifests import run as run_manifests

    return run_manifests(rest)


if __name__ == "__main__":
    sys.exit(main())
