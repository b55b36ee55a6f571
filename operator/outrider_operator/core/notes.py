"""Kubernetes Events about a Run: one for each change that a person would want to be told of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from outrider_operator.core import conditions, naming
from outrider_operator.core.observed import RunView


@dataclass(frozen=True, slots=True)
class Note:
    """A Kubernetes Event to write once the status is."""

    name: str
    type: str
    reason: str
    message: str


def notes_of(run: RunView, after: Mapping[str, Any]) -> tuple[Note, ...]:
    """Events for what changed, in the order in which a person reads them."""
    before = run.status
    attempt = str(after.get("attempt", 1))
    notes: list[Note] = []

    def note(kind: str, reason: str, message: str, *key: str) -> None:
        name = naming.event_name(run.name, run.uid, attempt, reason, *key)
        notes.append(Note(name, kind, reason, message[:1000]))

    old_failure, failure = before.get("failure") or {}, after.get("failure") or {}
    if after.get("attempt", 1) > before.get("attempt", 1):
        note("Normal", "AttemptStarted", f"attempt {attempt} has started")
    if failure and (failure["summary"], failure.get("attempt")) != (
        old_failure.get("summary"),
        old_failure.get("attempt"),
    ):
        note("Warning", "RankFailed", f"{failure['summary']}: {failure.get('message', '')}", failure["summary"])
    said: dict[str, Mapping[str, Any]] = {c["type"]: c for c in before.get("conditions") or ()}
    for condition in after["conditions"]:
        old = said.get(condition["type"], {})
        bad = condition["status"] == "False" and condition["type"] in {"Accepted", "Injected", "Collecting"}
        if bad and (old.get("status"), old.get("reason")) != ("False", condition["reason"]):
            note("Warning", condition["reason"], condition.get("message", ""), condition["type"])
    if after["state"] != before.get("state"):
        bad = after["state"] in {"Failed", "Crashed", "Killed", "Preempted"}
        complete = next(c for c in after["conditions"] if c["type"] == conditions.COMPLETE)
        note("Warning" if bad else "Normal", after["state"], complete.get("message") or after["state"], "state")
    return tuple(notes)
