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
    """Somebody with an API key. `admin` rules the whole tracker; `roles` maps entity to role.

    `id`: the user's row, 0 where there is none. `service`: no human, but the service account of one team.
    `default_entity`: where runs go that name no entity, never empty in the store.
    """

    name: str
    admin: bool = False
    roles: Mapping[str, Role] = field(default_factory=dict)
    id: int = 0
    service: bool = False
    email: str = ""
    default_entity: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the controller put a pod: its Run, and that Run's project and group ("" = none)."""

    run: str
    project: str
    group: str = ""


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod, known by its projected token; `uid` is the only source it may write.

    `place` None: not asked for, or the controller has not joined the pod to a Run yet.
    """

    uid: str
    issuer: str
    namespace: str
    name: str
    entity: str
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Controller:
    """The operator of a cluster, known by the subject of its projected token."""

    subject: str


Principal = Person | Pod | Controller
