"""Artifacts of runs and projects: none are kept yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from outrider_tracker.wandb.context import Resolvers
from outrider_tracker.wandb.nodes import EMPTY


def none(_parent: Any, _info: Any, **_: Any) -> Mapping[str, Any]:
    """A connection without anything in it."""
    return EMPTY


RESOLVERS: Final[Resolvers] = {
    "Run.inputArtifacts": none,
    "Run.outputArtifacts": none,
    "Project.artifactTypes": none,
    "Project.artifactCollections": none,
}
