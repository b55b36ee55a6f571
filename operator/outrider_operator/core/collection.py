"""How complete the tracker's copy is: by its own word, else by the sidecars' termination messages."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from outrider_operator.core.observed import PodView


@dataclass(frozen=True, slots=True)
class LastWords:
    """What a sidecar wrote to its termination log (docs/protocol.md section 8), in bytes."""

    unsent_bytes: int
    lost_bytes: int
    reason: str


@dataclass(frozen=True, slots=True)
class Collection:
    """Bytes that are missing, the age of the oldest that waits, and sources that are silent."""

    unsent_bytes: int = 0
    lost_bytes: int = 0
    lag_seconds: int = 0
    sources: int = 0
    silent: tuple[str, ...] = ()
    from_tracker: bool = False


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return 0
    return max(0, min(int(value), 2**53))


def last_words(pod: PodView) -> LastWords | None:
    """What the pod's sidecar said at its end; None while it runs, or where it could not say anything."""
    end = pod.sidecar.final if pod.sidecar is not None else None
    if end is None or not end.message:
        return None
    try:
        said = json.loads(end.message)
    except ValueError:
        return None
    if not isinstance(said, dict) or said.get("outrider") != 1:
        return None
    return LastWords(_count(said.get("unsentBytes")), _count(said.get("lostBytes")), str(said.get("reason") or ""))


def from_pods(pods: Iterable[PodView]) -> Collection:
    """What the sidecars' last words add up to."""
    said = [words for words in map(last_words, pods) if words is not None]
    return Collection(sum(w.unsent_bytes for w in said), sum(w.lost_bytes for w in said))


def from_tracker(answer: Mapping[str, Any]) -> Collection:
    """The tracker's answer of section 6."""
    silent = answer.get("silent")
    return Collection(
        unsent_bytes=_count(answer.get("unsentBytes")),
        lost_bytes=_count(answer.get("lostBytes")),
        lag_seconds=_count(answer.get("lagSeconds")),
        sources=_count(answer.get("sources")),
        silent=tuple(str(uid) for uid in silent) if isinstance(silent, list) else (),
        from_tracker=True,
    )
