"""The controller: watches Runs, workloads and pods, joins them, and is the authority on where each Run is."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["run"]


def run(argv: Sequence[str]) -> int:
    """Work until SIGTERM or SIGINT; returns the exit status."""
    from outrider_operator.controller.command import main

    return main(argv)
