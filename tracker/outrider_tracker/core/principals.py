"""Who asks: a person, a pod, or the controller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Role(StrEnum):
    """What a person is in an entity."""

    ADMIN = "admin"
    MEMBER = "member"
    VIEWER = "viewer"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an API key. `admin` rules the whole tracker; `roles` maps entity to role."""

    name: str
    admin: bool = False
    roles: Mapping[str, Role] = field(default_factory=dict)

    def readable_entities(self) -> tuple[str, ...] | None:
        """Entities whose Runs this person may read, sorted; None = all (for RunFilter.entities)."""
        return None if self.admin else tuple(sorted(self.roles))


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod, known by its projected token; `uid` is the only source it may write."""

    uid: str
    issuer: str
    namespace: str
    name: str
    entity: str


@dataclass(frozen=True, slots=True)
class Controller:
    """The operator of a cluster, known by the subject of its projected token."""

    subject: str


Principal = Person | Pod | Controller
