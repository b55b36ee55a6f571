"""The one rule of who may do what. Pure; every door asks it, and one matrix tests it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from outrider_tracker.core.principals import Controller, Person, Pod, Principal, Role


class Action(StrEnum):
    """What doors do."""

    READ = "read"  # Runs, ranks, streams, series, files of an entity
    INGEST = "ingest"  # declare a source, append to it, upload its files, hear its directives
    CONTROL = "control"  # write Runs and joins, read the feed
    ADMINISTER = "administer"  # members and keys of an entity (or, with entity "", of the tracker)


@dataclass(frozen=True, slots=True)
class Target:
    """What is acted on: things of an entity ("" = the whole tracker); `source` for a pod's own."""

    entity: str
    source: str | None = None


def may(principal: Principal | None, action: Action, target: Target) -> bool:
    """Whether the principal may do this. None (nobody) may do nothing."""
    if isinstance(principal, Person):
        return _person_may(principal, action, target)
    if isinstance(principal, Pod):
        # A pod writes its own source and no other; it reads nothing and rules nothing.
        return action is Action.INGEST and target.source == principal.uid and target.entity == principal.entity
    if isinstance(principal, Controller):
        return action is Action.CONTROL
    return False


def _person_may(person: Person, action: Action, target: Target) -> bool:
    if person.admin:
        return True
    role = person.roles.get(target.entity) if target.entity else None
    if action is Action.READ:
        return role is not None
    if action is Action.INGEST:
        return role in {Role.ADMIN, Role.MEMBER}
    if action is Action.ADMINISTER:
        return role is Role.ADMIN
    return False
