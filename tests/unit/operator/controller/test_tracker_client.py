"""The client of the tracker's doors, against a server on loopback."""

from __future__ import annotations

import asyncio

from aiohttp import web

from outrider_operator.controller.tracker import HttpTracker


async def test_new_cas_do_not_end_a_call_that_waits() -> None:
    """The feed's long-poll survives a rotation of the CA: its task once was cancelled with the session, silently."""
    asked, answer = asyncio.Event(), asyncio.Event()

    async def feed(request: web.Request) -> web.Response:
        asked.set()
        await answer.wait()
        return web.json_response({"next": 7, "items": []})

    app = web.Application()
    app.router.add_get("/api/v1/control/feed", feed)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        async with HttpTracker(f"http://{host}:{port}") as tracker:
            waiting = asyncio.create_task(tracker.feed(3))
            await asked.wait()
            tracker.trust("another bundle")
            answer.set()
            assert await waiting == (7, [])
    finally:
        await runner.cleanup()
