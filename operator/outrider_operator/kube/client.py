"""The Api protocol over HTTP with aiohttp and plain dicts."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
from prometheus_client import Counter

from outrider_operator import __version__
from outrider_operator.kube.api import ApiError, Object, Resource, Unreachable, error_from
from outrider_operator.kube.credentials import Credentials
from outrider_sidecar import contract

PAGE: Final = 500
TIMEOUT: Final = 15.0  # seconds of one request
_MERGE: Final = "application/merge-patch+json"
_APPLY: Final = "application/apply-patch+yaml"

CALLS = Counter("outrider_api_calls", "Requests to the API server", ["verb", "resource", "code"])


class Client:
    """A connection pool to one API server. Use as an async context manager."""

    def __init__(self, credentials: Credentials, *, timeout: float = TIMEOUT) -> None:
        self._credentials = credentials
        self._timeout = aiohttp.ClientTimeout(total=timeout, connect=min(5.0, timeout))
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        context = self._credentials.ssl_context()
        connector = aiohttp.TCPConnector(limit=64, ssl=context if context is not None else True)
        self._session = aiohttp.ClientSession(
            base_url=self._credentials.server,
            connector=connector,
            headers={"User-Agent": f"outrider-controller/{__version__}"},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    @asynccontextmanager
    async def open(
        self,
        verb: str,
        resource: Resource,
        path: str,
        *,
        params: dict[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        limits: aiohttp.ClientTimeout | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A request whose answer is 2xx; raises ApiError for any other, Unreachable for none."""
        assert self._session is not None, "the client is used outside its context"
        headers = {"Accept": accept}
        if token := self._credentials.bearer():
            headers["Authorization"] = f"Bearer {token}"
        if body is not None:
            headers["Content-Type"] = content_type
        code = "none"
        try:
            async with self._session.request(
                verb,
                path,
                params=params,
                headers=headers,
                data=None if body is None else json.dumps(body),
                timeout=limits or self._timeout,
            ) as response:
                code = str(response.status)
                if response.status >= 300:
                    raise await _refusal(response)
                yield response
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(f"{verb} {path}: {error or type(error).__name__}") from error
        finally:
            CALLS.labels(verb, resource.plural, code).inc()

    async def _json(self, verb: str, resource: Resource, path: str, **more: Any) -> Object:
        async with self.open(verb, resource, path, **more) as response:
            answer = await response.json(content_type=None)
        return answer if isinstance(answer, dict) else {}

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        """One object."""
        return await self._json("GET", resource, resource.path(namespace, name))

    async def page(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        labels: str = "",
        fields: str = "",
        limit: int = PAGE,
        token: str = "",
        accept: str = "application/json",
    ) -> Object:
        """One page of a list, as the server answers it; raises Gone where the continue token has expired."""
        params = {"limit": str(limit)}
        params |= {k: v for k, v in (("labelSelector", labels), ("fieldSelector", fields), ("continue", token)) if v}
        return await self._json("GET", resource, resource.path(namespace), params=params, accept=accept)

    async def items(
        self, resource: Resource, namespace: str | None, *, labels: str = "", fields: str = "", limit: int = 0
    ) -> list[Object]:
        """All objects that match, or the first ``limit``."""
        found: list[Object] = []
        token = ""
        while True:
            size = min(PAGE, limit - len(found)) if limit else PAGE
            page = await self.page(resource, namespace, labels=labels, fields=fields, limit=size, token=token)
            found += page.get("items") or []
            token = (page.get("metadata") or {}).get("continue") or ""
            if not token or (limit and len(found) >= limit):
                return found

    async def create(self, resource: Resource, namespace: str, body: Object) -> Object:
        """A new object."""
        return await self._json("POST", resource, resource.path(namespace), body=body)

    async def merge(self, resource: Resource, namespace: str, name: str, body: Object) -> Object:
        """Merge-patch an object."""
        path = resource.path(namespace, name)
        return await self._json("PATCH", resource, path, body=body, content_type=_MERGE)

    async def apply_status(self, resource: Resource, namespace: str, name: str, body: Object) -> Object:
        """Server-side apply of the status."""
        params = {"fieldManager": contract.FIELD_MANAGER, "force": "true"}
        path = resource.path(namespace, name, "status")
        return await self._json("PATCH", resource, path, params=params, body=body, content_type=_APPLY)

    async def replace(self, resource: Resource, namespace: str, name: str, body: Object) -> Object:
        """Replace an object."""
        return await self._json("PUT", resource, resource.path(namespace, name), body=body)

    async def json_patch(
        self, resource: Resource, namespace: str | None, name: str, patch: list[dict[str, Any]]
    ) -> Object:
        """Apply a JSON patch."""
        path = resource.path(namespace, name)
        return await self._json("PATCH", resource, path, body=patch, content_type="application/json-patch+json")

    async def delete(self, resource: Resource, namespace: str, name: str, *, uid: str, version: str = "") -> None:
        """Delete exactly this object in the background."""
        preconditions = {"uid": uid} | ({"resourceVersion": version} if version else {})
        body = {
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "preconditions": preconditions,
            "propagationPolicy": "Background",
        }
        await self._json("DELETE", resource, resource.path(namespace, name), body=body)


async def _refusal(response: aiohttp.ClientResponse) -> ApiError:
    text = await response.text(errors="replace")
    try:
        body = json.loads(text)
    except ValueError:
        body = {"message": text[:500]}
    try:
        wait = float(response.headers.get("Retry-After", "1"))
    except ValueError:
        wait = 1.0
    return error_from(response.status, body if isinstance(body, dict) else {}, wait)
