"""What is there for requests to be about."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field

ENTITY, PROJECT, RUN, SOURCE = "fuzz", "play", "run1", "fuzz-source"


@dataclass
class World:
    """`member`, `admin`: the keys of a member of the entity, and of the administrator."""

    member: str
    admin: str
    epoch: int = 0
    incarnation: str = ""
    ends: dict[str, int] = field(default_factory=dict)  # durable ends of the source's streams
    uploads: list[str] = field(default_factory=list)  # signed addresses, for PUT and GET

    def basic(self) -> dict[str, str]:
        """Credentials as W&B's client sends them."""
        return {"Authorization": "Basic " + base64.b64encode(f"api:{self.member}".encode()).decode()}

    def bearer(self, *, admin: bool = False) -> dict[str, str]:
        """Credentials as sidecars and the CLI send them."""
        return {"Authorization": f"Bearer {self.admin if admin else self.member}"}
