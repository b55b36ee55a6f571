"""An API server in memory behind the Api protocol: versions, preconditions, UIDs; a crash before or after any write.

What the controller relies on is here; what it does not use is not. The real API server has tests of its own.
"""

import copy
import itertools
from collections.abc import Callable
from typing import Any

from outrider_operator.kube.api import AlreadyExists, Conflict, NotFound, Object, Resource


class Crash(BaseException):
    """The process is killed here. Not an Exception, so that nothing handles it."""


class MemoryApi:
    """Objects by (plural, namespace, name)."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Object] = {}
        self.writes: list[str] = []
        self.before: Callable[[str], None] = lambda _: None
        """Called before a write is done; may raise."""
        self.after: Callable[[str], None] = lambda _: None
        """Called after a write was done and before its answer arrives; may raise."""
        self._version = itertools.count(100)
        self._uid = itertools.count(1)

    def _find(self, resource: Resource, namespace: str | None, name: str) -> Object:
        try:
            return self.objects[resource.plural, namespace or "", name]
        except KeyError:
            raise NotFound(404, "NotFound", f"{resource.plural} {name!r} not found") from None

    def _touch(self, found: Object) -> None:
        found["metadata"]["resourceVersion"] = str(next(self._version))

    def _check(self, found: Object, meta: Object) -> None:
        for key in ("uid", "resourceVersion"):
            if meta.get(key) and meta[key] != found["metadata"][key]:
                raise Conflict(409, "Conflict", f"Precondition failed: {key}")

    def put(self, resource: Resource, body: Object) -> Object:
        """Make an object as another client would: no crash, not in the list of writes."""
        body = copy.deepcopy(body)
        meta = body["metadata"]
        meta.setdefault("uid", f"{next(self._uid):08x}-0000-4000-8000-000000000000")
        meta.setdefault("creationTimestamp", "2026-11-21T12:00:00Z")
        meta["generation"] = 1
        body.setdefault("status", {})
        self.objects[resource.plural, meta.get("namespace", ""), meta["name"]] = body
        self._touch(body)
        return copy.deepcopy(body)

    def change(self, resource: Resource, namespace: str, name: str, change: Callable[[Object], None]) -> Object:
        """Change an object as another client would."""
        found = self._find(resource, namespace, name)
        change(found)
        self._touch(found)
        return copy.deepcopy(found)

    def remove(self, resource: Resource, namespace: str, name: str) -> None:
        """Delete as another client would, with what it owns."""
        gone = self.objects.pop((resource.plural, namespace, name), None)
        if gone is None:
            return
        for key, other in list(self.objects.items()):
            owners = other["metadata"].get("ownerReferences") or ()
            if any(ref["uid"] == gone["metadata"]["uid"] for ref in owners):
                del self.objects[key]

    def all(self, resource: Resource) -> list[Object]:
        """Copies of all objects of a resource."""
        return [copy.deepcopy(o) for (plural, _, _), o in sorted(self.objects.items()) if plural == resource.plural]

    def _write(self, what: str, do: Callable[[], Any]) -> Any:
        self.before(what)
        done = do()
        self.writes.append(what)
        self.after(what)
        return copy.deepcopy(done)

    # ------------------------------------------------------------------------------ the Api protocol
    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        return copy.deepcopy(self._find(resource, namespace, name))

    async def items(
        self, resource: Resource, namespace: str | None, *, labels: str = "", fields: str = "", limit: int = 0
    ) -> list[Object]:
        assert not fields or resource.plural == "events"
        found = [o for o in self.all(resource) if namespace in {None, o["metadata"].get("namespace")}]
        if fields:
            return []
        for pair in filter(None, labels.split(",")):
            key, _, value = pair.partition("=")
            found = [o for o in found if (o["metadata"].get("labels") or {}).get(key) == value]
        return found[:limit] if limit else found

    async def create(self, resource: Resource, namespace: str, body: Object) -> Object:
        name = body["metadata"]["name"]
        if (resource.plural, namespace, name) in self.objects:
            raise AlreadyExists(409, "AlreadyExists", f"{resource.plural} {name!r} already exists")
        return self._write(f"create {resource.plural} {name}", lambda: self.put(resource, body))  # type: ignore[no-any-return]

    async def merge(self, resource: Resource, namespace: str, name: str, body: Object) -> Object:
        found = self._find(resource, namespace, name)
        self._check(found, body.get("metadata") or {})

        def do() -> Object:
            _merge(found, {**body, "metadata": {k: v for k, v in body["metadata"].items() if k != "resourceVersion"}})
            self._touch(found)
            return found

        return self._write(f"merge {resource.plural} {name}", do)  # type: ignore[no-any-return]

    async def apply_status(self, resource: Resource, namespace: str, name: str, body: Object) -> Object:
        found = self._find(resource, namespace, name)
        self._check(found, body["metadata"])

        def do() -> Object:
            found["status"] = copy.deepcopy(body["status"])
            self._touch(found)
            return found

        return self._write(f"status {resource.plural} {name}", do)  # type: ignore[no-any-return]

    async def replace(self, resource: Resource, namespace: str, name: str, body: Object) -> Object:
        found = self._find(resource, namespace, name)
        self._check(found, body["metadata"])

        def do() -> Object:
            new = copy.deepcopy(body)
            self.objects[resource.plural, namespace, name] = new
            self._touch(new)
            return new

        return self._write(f"replace {resource.plural} {name}", do)  # type: ignore[no-any-return]

    async def delete(self, resource: Resource, namespace: str, name: str, *, uid: str, version: str = "") -> None:
        self._check(self._find(resource, namespace, name), {"uid": uid, "resourceVersion": version})
        self._write(f"delete {resource.plural} {name}", lambda: self.remove(resource, namespace, name))


def _merge(target: Object, patch: Object) -> None:
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict):
            _merge(target.setdefault(key, {}), value)
        else:
            target[key] = value
