"""Attempts: which executions of the workload's pods there were, and which pod belongs to which.

For Jobs a new attempt begins when a replacement pod is created. A replacement is a pod that takes the place of one that
ended without success: of the same completion index in an indexed Job; of any in another one. Further replacements of
pods that had ended before that attempt began belong to it; when a pod that lived through into an attempt is replaced,
the next attempt begins. Restarts of a container inside its pod are incarnations of the launcher, not attempts.

Pods vanish, and controllers restart. What stays is the start of each attempt in the Run's status and the Job's own
count of failures; a failure that the Job has counted and that no visible pod explains means that the youngest pods are
replacements.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from outrider_operator.core.observed import PodView

FIRST_WAVE: Final = 30.0
"""Seconds after an attempt's first pod in which a new pod is taken for one of its own, not for the replacement of a pod
that nobody saw.
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a pod stands: the attempt it began in, the pod number of its node rank, and the pod whose place it took."""

    attempt: int
    incarnation: int
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class Attempts:
    """``starts``: (number, Unix seconds) of each attempt, oldest first; ``places`` by pod UID."""

    starts: tuple[tuple[int, float], ...]
    places: Mapping[str, Place]

    @property
    def current(self) -> int:
        """Number of the newest attempt."""
        return self.starts[-1][0] if self.starts else 1

    @property
    def current_start(self) -> float:
        """When the newest attempt began, Unix seconds; 0 before anything began."""
        return self.starts[-1][1] if self.starts else 0.0

    def at(self, moment: float) -> int:
        """The attempt that was under way at a time."""
        return max((n for n, start in self.starts if start <= moment), default=self.starts[0][0] if self.starts else 1)

    def end_of(self, number: int) -> float | None:
        """When the next attempt began; None for the newest."""
        return next((start for n, start in self.starts if n > number), None)

    @property
    def replaced(self) -> frozenset[str]:
        """UIDs of the pods whose place another one took."""
        return frozenset(place.replaces for place in self.places.values() if place.replaces is not None)

    def covers(self, pod: PodView, number: int) -> bool:
        """Whether the pod took part in an attempt: it began in it, or lived through into it."""
        place = self.places.get(pod.uid)
        if place is None or place.attempt > number:
            return False
        if place.attempt == number:
            return True
        start = next((s for n, s in self.starts if n == number), None)
        end = pod.end_time
        return start is not None and (end is None or end > start)


def _replacements(pods: Sequence[PodView]) -> dict[str, PodView]:
    """For each pod that took another's place: that other pod. Pods in order of creation."""
    found: dict[str, PodView] = {}
    newest: dict[int, PodView] = {}
    loose = [p for p in pods if p.index is None and p.end_time is not None and not p.succeeded]
    loose.sort(key=lambda p: (p.end_time or 0.0, p.uid))
    taken: set[str] = set()
    for pod in pods:
        if pod.index is not None:
            earlier = newest.get(pod.index)
            if earlier is not None:
                found[pod.uid] = earlier
            newest[pod.index] = pod
            continue
        for dead in loose:
            if dead.uid not in taken and dead.uid != pod.uid and (dead.end_time or 0.0) <= pod.created:
                taken.add(dead.uid)
                found[pod.uid] = dead
                break
    return found


def _unseen(
    pods: Sequence[PodView],
    found: Mapping[str, PodView],
    recorded: Sequence[tuple[int, float]],
    failures: int,
) -> set[str]:
    """Pods that must be replacements though nobody saw whom they replaced: the youngest, as many as failures are
    unexplained.
    """
    if not pods:
        return set()
    dead = sum(1 for p in pods if p.ended and not p.succeeded)
    floor = max(pods[0].created, recorded[-1][1] if recorded else 0.0) + FIRST_WAVE
    young = [p for p in pods if p.uid not in found and p.created > floor]
    missing = failures - dead
    return {p.uid for p in young[-missing:]} if missing > 0 else set()


def assign(
    pods: Iterable[PodView],
    *,
    recorded: Sequence[tuple[int, float]] = (),
    failures: int = 0,
) -> Attempts:
    """Attempts of a workload and the place of each pod.

    Args:
        pods: all pods of the workload that are or were seen, in any order.
        recorded: (number, start in Unix seconds) of the attempts that the Run's status names.
        failures: how many pods the workload itself has counted as failed; 0 if it ended, when nothing is replaced any
        more.

    """
    ordered = sorted(pods, key=lambda p: (p.created, p.name, p.uid))
    found = _replacements(ordered)
    unseen = _unseen(ordered, found, recorded, failures)

    starts = sorted(recorded)
    if not starts and ordered:
        starts = [(1, ordered[0].created)]
    for pod in ordered:
        if pod.uid not in found and pod.uid not in unseen:
            continue
        number, start = starts[-1]
        if pod.created <= start:
            continue
        earlier = found.get(pod.uid)
        died = earlier.end_time if earlier is not None else None
        if number > 1 and died is not None and died <= start:
            continue
        starts.append((number + 1, pod.created))

    incarnation: dict[str, int] = {}
    for pod in ordered:
        earlier = found.get(pod.uid)
        incarnation[pod.uid] = incarnation.get(earlier.uid, 0) + 1 if earlier else int(pod.uid in unseen)
    first = starts[0][0] if starts else 1
    places = {
        pod.uid: Place(
            attempt=max((n for n, start in starts if start <= pod.created), default=first),
            incarnation=incarnation[pod.uid],
            replaces=found[pod.uid].uid if pod.uid in found else None,
        )
        for pod in ordered
    }
    return Attempts(tuple(starts), places)
