"""/healthz, /readyz and /metrics, up before anything else: a follower is healthy and ready though it writes nothing."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest


def application(problem: Callable[[], str], unready: Callable[[], str]) -> web.Application:
    """The three doors; each function gives a sentence where all is not well, else an empty string."""

    def door(check: Callable[[], str]) -> Callable[[web.Request], object]:
        async def answer(_: web.Request) -> web.Response:
            why = check()
            return web.Response(text=f"{why or 'ok'}\n", status=503 if why else 200)

        return answer

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/healthz", door(problem))  # type: ignore[arg-type]
    app.router.add_get("/readyz", door(unready))  # type: ignore[arg-type]
    app.router.add_get("/metrics", metrics)
    return app


async def serve(app: web.Application, host: str, port: int) -> web.AppRunner:
    """Listen; the caller cleans the runner up."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host or None, port).start()
    return runner
