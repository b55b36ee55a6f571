"""The watch of one Secret against a server that does what API servers do on bad days."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web

from outrider_operator.kube import secret_watch
from outrider_operator.kube.credentials import Credentials

Step = Callable[[web.Request], Any]


def secret(text: str, version: str = "1") -> dict[str, Any]:
    """A Secret with one entry of text, and one that is none."""
    entries = {"text": base64.b64encode(text.encode()).decode(), "binary": base64.b64encode(b"\xff").decode()}
    return {"metadata": {"name": "certificates", "resourceVersion": version}, "data": entries}


def listing(*items: Any) -> Step:
    """Answer a list."""

    async def step(request: web.Request) -> web.StreamResponse:
        assert "watch" not in request.query
        assert request.query["fieldSelector"] == "metadata.name=certificates"
        return web.json_response({"metadata": {"resourceVersion": "9"}, "items": list(items)})

    return step


def failing(status: int) -> Step:
    """Answer anything with an error."""

    async def step(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status)

    return step


def watching(*lines: Any, raw: bytes = b"", since: str = "9", stay: bool = False) -> Step:
    """Answer a watch with events, perhaps with what is no line at its end, perhaps staying open."""

    async def step(request: web.Request) -> web.StreamResponse:
        assert request.query["watch"] == "true"
        assert request.query["resourceVersion"] == since
        response = web.StreamResponse()
        await response.prepare(request)
        for line in lines:
            await response.write(json.dumps(line).encode() + b"\n")
        await response.write(raw)
        if stay:
            await asyncio.Event().wait()
        return response

    return step


@contextlib.asynccontextmanager
async def following(steps: list[Step]) -> AsyncIterator[tuple[asyncio.Queue[Any], list[Step]]]:
    """Follow the Secret at a server that takes the steps one after the other."""

    async def serve(request: web.Request) -> web.StreamResponse:
        if not steps:
            await asyncio.Event().wait()
        response: web.StreamResponse = await steps.pop(0)(request)
        return response

    app = web.Application()
    app.router.add_get("/api/v1/namespaces/outrider/secrets", serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server = f"http://127.0.0.1:{runner.addresses[0][1]}"
    seen: asyncio.Queue[Any] = asyncio.Queue()

    async def follow() -> None:
        async for data in secret_watch.watch_secret(Credentials(server, token="t"), "outrider", "certificates"):
            seen.put_nowait(data["text"])

    task = asyncio.create_task(follow())
    try:
        yield seen, steps
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await runner.cleanup()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Back-off without waiting."""
    monkeypatch.setattr(secret_watch, "_BACKOFF", (0.01, 0.01))


BOOKMARK = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "20"}}}
EXPIRED = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "metadata": {}}}


def changed(text: str, version: str) -> dict[str, Any]:
    """An event."""
    return {"type": "MODIFIED", "object": secret(text, version)}


@pytest.mark.parametrize(
    "between",
    [
        [watching(EXPIRED)],
        [failing(410)],
        [failing(500), failing(403), failing(401)],
        [watching(raw=b'{"type": "MODIF')],
        [watching(raw=b"<html>\n")],
        [watching(BOOKMARK, EXPIRED)],
    ],
    ids=["expired in the stream", "expired", "refused and broken", "cut in a line", "not JSON", "after a bookmark"],
)
async def test_after_any_mishap_the_secret_is_read_anew(between: list[Step]) -> None:
    """Nothing that a server may do ends the watch or hides a change."""
    async with following([listing(secret("one")), *between, listing(secret("two")), watching(stay=True)]) as (seen, _):
        assert await asyncio.wait_for(seen.get(), 20) == "one"
        assert await asyncio.wait_for(seen.get(), 20) == "two"


async def test_a_watch_that_ends_goes_on_where_it_was() -> None:
    """A server ends each watch after some minutes; what it said last is where the next begins."""
    steps = [
        listing(),
        watching(changed("one", "10")),
        watching(BOOKMARK, since="10"),
        watching(changed("two", "21"), since="20", stay=True),
    ]
    async with following(steps) as (seen, left):
        assert await asyncio.wait_for(seen.get(), 20) == "one"
        assert await asyncio.wait_for(seen.get(), 20) == "two"
        assert left == []
