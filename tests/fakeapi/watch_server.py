"""An HTTP server that lists and watches as told: each request is answered by the next step of a script."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Object = dict[str, Any]


def pod(name: str, version: int, **status: Any) -> Object:
    """A small pod."""
    meta = {"name": name, "namespace": "team", "uid": f"uid-{name}", "resourceVersion": str(version)}
    return {"metadata": meta, "spec": {}, "status": status}


def page(items: list[Object], version: int, token: str = "") -> Object:
    """A page of a list."""
    return {"metadata": {"resourceVersion": str(version), "continue": token}, "items": items}


def event(kind: str, obj: Object) -> bytes:
    """A line of a watch."""
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


def bookmark(version: int) -> bytes:
    """A line that only says how far the watch is."""
    return event("BOOKMARK", {"metadata": {"resourceVersion": str(version)}})


@dataclass
class Answer:
    """How one request is answered: a status with JSON, or the lines of a watch and how it ends."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    lines: list[bytes] | None = None
    end: str = "close"
    """close | silence | cut (the connection breaks in the middle of a line)."""


class WatchServer:
    """Answers requests in order; ``asked`` has their parameters."""

    def __init__(self) -> None:
        self.script: list[Answer] = []
        self.asked: list[dict[str, str]] = []
        self.accepts: list[str] = []
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def start(self) -> "WatchServer":
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        assert site._server is not None
        self.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"  # type: ignore[attr-defined]
        return self

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(dict(request.query))
        self.accepts.append(request.headers["Accept"])
        answer = self.script.pop(0) if self.script else Answer(lines=[], end="silence")
        if answer.lines is None:
            return web.json_response(answer.body, status=answer.status, headers=answer.headers)
        response = web.StreamResponse()
        await response.prepare(request)
        for line in answer.lines:
            await response.write(line)
        if answer.end == "silence":
            while request.transport is not None and not request.transport.is_closing():  # noqa: ASYNC110
                await asyncio.sleep(0.05)  # the client's leaving sets no event
        if answer.end == "cut":
            await response.write(b'{"type": "MODI')
            assert request.transport is not None
            request.transport.abort()
        return response


async def until(what: str, check: Callable[[], bool], seconds: float = 10) -> None:
    """Wait for something that another task does."""
    try:
        async with asyncio.timeout(seconds):
            while not check():  # noqa: ASYNC110  other tasks' state sets no event
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"waited {seconds} s in vain: {what}") from None
