"""The content of one Secret, now and whenever it changes: a list, then a watch, for ever.

Raw HTTP, so that the webhook needs no Kubernetes client. The right it needs is get, list and watch on that one name.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import aiohttp

from outrider_operator.kube.credentials import Credentials
from outrider_operator.kube.secrets import text_entries

log = logging.getLogger(__name__)

_WATCH_SECONDS: Final = 300  # the server ends a watch after this long; a dead connection is noticed a little later
_BACKOFF: Final = (0.5, 1.0, 2.0, 5.0, 10.0)


class _ExpiredError(Exception):
    """The watch cannot go on from where it was: list again."""


async def watch_secret(credentials: Credentials, namespace: str, name: str) -> AsyncIterator[Mapping[str, str]]:
    """Yield the Secret's decoded data, first as it is and then at each change. Waits while it does not exist.

    Errors are logged and tried again with back-off; it ends only by cancellation.
    """
    failures = 0
    timeout = aiohttp.ClientTimeout(total=None, connect=10, sock_read=_WATCH_SECONDS + 30)
    connector = aiohttp.TCPConnector(ssl=credentials.ssl_context() or True)
    async with aiohttp.ClientSession(credentials.server, connector=connector, timeout=timeout) as session:
        while True:
            try:
                async for data in _list_and_watch(session, credentials, namespace, name):
                    failures = 0
                    yield data
            except _ExpiredError:
                await asyncio.sleep(_BACKOFF[0])
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                wait = _BACKOFF[min(failures, len(_BACKOFF) - 1)]
                failures += 1
                log.warning("Secret %s/%s cannot be watched, trying again in %s s: %s", namespace, name, wait, error)
                await asyncio.sleep(wait)


async def _list_and_watch(
    session: aiohttp.ClientSession, credentials: Credentials, namespace: str, name: str
) -> AsyncIterator[Mapping[str, str]]:
    url = f"/api/v1/namespaces/{namespace}/secrets"
    query = {"fieldSelector": f"metadata.name={name}"}
    async with session.get(url, params=query, headers=_headers(credentials)) as response:
        listed = await _json(response)
    for item in listed.get("items") or ():
        yield text_entries(item)
    version = listed["metadata"]["resourceVersion"]
    query |= {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(_WATCH_SECONDS)}
    while True:
        query["resourceVersion"] = version
        async with session.get(url, params=query, headers=_headers(credentials)) as response:
            if response.status == 410:
                raise _ExpiredError
            response.raise_for_status()
            async for line in response.content:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise _ExpiredError
                version = event["object"]["metadata"]["resourceVersion"]
                if event["type"] in {"ADDED", "MODIFIED"}:
                    yield text_entries(event["object"])
        await asyncio.sleep(_BACKOFF[0])  # whatever ends the watch at once must not make it a busy loop


def _headers(credentials: Credentials) -> dict[str, str]:
    token = credentials.bearer()
    return {"Authorization": f"Bearer {token}"} if token else {}


async def _json(response: aiohttp.ClientResponse) -> dict[str, Any]:
    response.raise_for_status()
    found: dict[str, Any] = await response.json()
    return found
