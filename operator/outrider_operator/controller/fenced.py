"""Leadership as a decorator: whoever does not hold the Lease reads, and never writes."""

from __future__ import annotations

from collections.abc import Callable

from outrider_operator.kube.api import Api, Object, Resource


class NotLeading(Exception):  # noqa: N818
    """The Lease is not held (any more) by this process: it must not write."""


class FencedApi:
    """An Api whose writes need the Lease at the moment they are asked for."""

    def __init__(self, api: Api, holds: Callable[[], bool]) -> None:
        self._api, self._holds = api, holds

    def _check(self) -> None:
        if not self._holds():
            raise NotLeading("the Lease is not ours: nothing is written")

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        """One object."""
        return await self._api.get(resource, namespace, name)

    async def items(
        self, resource: Resource, namespace: str | None, *, labels: str = "", fields: str = "", limit: int = 0
    ) -> list[Object]:
        """All objects that match."""
        return await self._api.items(resource, namespace, labels=labels, fields=fields, limit=limit)

    async def create(self, resource: Resource, namespace: str, body: Object) -> Object:
        """A new object."""
        self._check()
        return await self._api.create(resource, namespace, body)

    async def merge(self, resource: Resource, namespace: str, name: str, body: Object) -> Object:
        """Merge-patch an object."""
        self._check()
        return await self._api.merge(resource, namespace, name, body)

    async def apply_status(self, resource: Resource, namespace: str, name: str, body: Object) -> Object:
        """Server-side apply of the status."""
        self._check()
        return await self._api.apply_status(resource, namespace, name, body)

    async def replace(self, resource: Resource, namespace: str, name: str, body: Object) -> Object:
        """Replace an object."""
        self._check()
        return await self._api.replace(resource, namespace, name, body)

    async def delete(self, resource: Resource, namespace: str, name: str, *, uid: str, version: str = "") -> None:
        """Delete exactly this object."""
        self._check()
        await self._api.delete(resource, namespace, name, uid=uid, version=version)
