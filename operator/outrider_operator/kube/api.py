"""The few things that we ask of an API server, as a protocol over plain dicts.

Errors::

    ApiError                 the server answered and refused
    ├── NotFound             404
    ├── AlreadyExists        409 on create
    ├── Conflict             409 on anything else: a precondition (UID, resourceVersion) does not hold
    ├── Gone                 410: the version or continue token has expired
    └── TooManyRequests      429, with the seconds to wait
    Unreachable              no answer: connection, TLS, time-out; whether the request was done is unknown
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of the API: group ("" for core), version and plural."""

    group: str
    version: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str | None = None, name: str | None = None, sub: str | None = None) -> str:
        """Its URL path; without a namespace the whole cluster's collection."""
        parts = ["api", self.version] if not self.group else ["apis", self.group, self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        parts += [part for part in (name, sub) if part]
        return "/" + "/".join(parts)


RUNS: Final = Resource("outrider.dev", "v1alpha1", "runs")
JOBS: Final = Resource("batch", "v1", "jobs")
PODS: Final = Resource("", "v1", "pods")
EVENTS: Final = Resource("", "v1", "events")
NAMESPACES: Final = Resource("", "v1", "namespaces", namespaced=False)
LEASES: Final = Resource("coordination.k8s.io", "v1", "leases")


class ApiError(Exception):
    """The API server refused: HTTP status, machine reason, sentence."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message


class NotFound(ApiError):  # noqa: N818  the API's own word
    """There is no such object."""


class AlreadyExists(ApiError):  # noqa: N818
    """The name is taken."""


class Conflict(ApiError):  # noqa: N818
    """A precondition does not hold: the object is another, or has changed."""


class Gone(ApiError):  # noqa: N818
    """The version or continue token has expired: list again."""


class TooManyRequests(ApiError):  # noqa: N818
    """The server asks to wait ``retry_after`` seconds."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(429, "TooManyRequests", message)
        self.retry_after = retry_after


class Unreachable(Exception):  # noqa: N818
    """No answer; the request may have been done or not."""


def error_from(status: int, body: Mapping[str, Any], retry_after: float = 1.0) -> ApiError:
    """The exception for an answer of the API server."""
    reason, message = str(body.get("reason") or ""), str(body.get("message") or "")
    if status == 404:
        return NotFound(status, reason, message)
    if status == 409:
        return (AlreadyExists if reason == "AlreadyExists" else Conflict)(status, reason, message)
    if status == 410:
        return Gone(status, reason, message)
    if status == 429:
        return TooManyRequests(message, retry_after)
    return ApiError(status, reason, message)


class Api(Protocol):
    """What decisions are applied through. Every call has a time-out and raises ApiError or Unreachable."""

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        """One object."""
        ...

    async def items(
        self, resource: Resource, namespace: str | None, *, labels: str = "", fields: str = "", limit: int = 0
    ) -> list[Object]:
        """All objects that match, or the first ``limit``."""
        ...

    async def create(self, resource: Resource, namespace: str, body: Object) -> Object:
        """A new object; AlreadyExists where the name is taken."""
        ...

    async def merge(self, resource: Resource, namespace: str, name: str, body: Object) -> Object:
        """Merge-patch an object; UID and resourceVersion in the body's metadata are preconditions."""
        ...

    async def apply_status(self, resource: Resource, namespace: str, name: str, body: Object) -> Object:
        """Server-side apply of the status, forced, with our field manager; never makes an object."""
        ...

    async def replace(self, resource: Resource, namespace: str, name: str, body: Object) -> Object:
        """Replace an object of exactly the body's resourceVersion."""
        ...

    async def delete(self, resource: Resource, namespace: str, name: str, *, uid: str, version: str = "") -> None:
        """Delete in the background exactly this object (and version); NotFound where it is gone."""
        ...
