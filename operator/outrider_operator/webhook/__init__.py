"""The admission webhook: puts the sidecar into pods. No kopf, no Kubernetes client, no API calls while answering."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["run"]


def run(argv: Sequence[str]) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit status."""
    from outrider_operator.webhook.command import main

    return main(argv)
