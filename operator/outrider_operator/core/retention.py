"""When finished Runs go from Kubernetes. The tracker's record stays."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from outrider_operator.api.base import parse_duration
from outrider_operator.api.states import TERMINAL
from outrider_operator.core.observed import RunView
from outrider_operator.core.times import seconds

TERMINAL_NAMES: Final = frozenset(state.value for state in TERMINAL)


@dataclass(frozen=True, slots=True)
class Retention:
    """The administrator's settings: seconds, and Runs per namespace."""

    auto_ttl: float = 24 * 3600.0
    written_ttl: float = 168 * 3600.0
    finished_limit: int = 200


def finished_at(run: RunView) -> float | None:
    """When a Run came to its last state, Unix seconds; None while it has not."""
    if run.status.get("state") not in TERMINAL_NAMES:
        return None
    end = seconds(run.status.get("endTime"))
    return run.created if end is None else end


def expires_at(run: RunView, settings: Retention) -> float | None:
    """When a finished Run's time is over; None while it has not finished."""
    end = finished_at(run)
    if end is None:
        return None
    text = run.spec.get("ttlAfterFinished")
    ttl = settings.auto_ttl if run.auto else settings.written_ttl
    if isinstance(text, str):
        with contextlib.suppress(ValueError):  # the schema admits no such value; an older object keeps the default
            ttl = float(parse_duration(text))
    return end + ttl


def surplus(runs: Iterable[RunView], settings: Retention) -> list[RunView]:
    """The auto-made Runs of one namespace that are finished and beyond the limit: those that ended first."""
    finished = [(end, r.name, r) for r in runs if r.auto and r.deletion is None and (end := finished_at(r)) is not None]
    finished.sort(key=lambda item: item[:2])
    return [run for _, _, run in finished[: max(0, len(finished) - settings.finished_limit)]]
