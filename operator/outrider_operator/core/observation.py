"""All that one pass over a Run has seen, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass

from outrider_operator.api.run import DEFAULT_PROJECT
from outrider_operator.core.collection import Collection
from outrider_operator.core.conditions import Untracked
from outrider_operator.core.observed import JobView, PodView, RunView
from outrider_operator.core.ranks import RankRecord
from outrider_operator.core.refusals import Refusal


@dataclass(frozen=True, slots=True)
class Observation:
    """All that a pass over a Run knows; times in Unix seconds."""

    run: RunView
    now: float
    workload: JobView | PodView | None = None
    bound: bool = False
    """Whether there was a workload once."""
    workload_kind: str = "Job"
    workload_name: str = ""
    pods: tuple[PodView, ...] = ()
    records: tuple[RankRecord, ...] = ()
    collection: Collection | None = None
    heard: frozenset[str] = frozenset()
    tracker_away: str = ""
    record_refused: str = ""
    """Why the tracker does not take the Run's record."""
    warnings: tuple[tuple[str, str], ...] = ()
    refusal: Refusal | None = None
    untracked: Untracked | None = None
    skipped_template: str = ""
    problems: tuple[tuple[str, str], ...] = ()
    project: str = DEFAULT_PROJECT
    """Of a Run that names none itself."""
    url: str = ""
    written_at: float = 0.0
    """When this process last wrote the Run's status."""
