"""`…/history` and `…/console`: what an SDK run logged and printed, page by page, and the console live."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from starlette.requests import Request

from outrider_tracker.api import sdk_access
from outrider_tracker.api.access import Access
from outrider_tracker.api.errors import ERRORS, Door, invalid
from outrider_tracker.api.sdk_models import Console, HistoryRows
from outrider_tracker.core import console, jsontext
from outrider_tracker.core.rows import read_rows, step_of
from outrider_tracker.notifier import sdk_run_topic
from outrider_tracker.services import Services
from outrider_tracker.store.read_sdk import ConsolePage
from outrider_tracker.store.sdk_runs import SdkRun

MAX_WAIT: Final = 30.0  # seconds: below the idle time-outs of common proxies
LOOK_AGAIN: Final = 1.0  # seconds: a lost hint delays a line so much, never for ever
MAX_NUMBER: Final = 1 << 53


@dataclass(frozen=True, slots=True)
class Follower:
    """Somebody who waits for lines from `start` on, and has seen `version`."""

    run: SdkRun
    client: str
    start: int
    limit: int
    seen: int

    async def wait(self, services: Services, request: Request, seconds: float) -> ConsolePage:
        """The lines as soon as one is new or was written again, at the latest after `seconds`."""
        topic = sdk_run_topic(self.run.id)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            moved = services.notifier.version(topic)
            page = await services.read(
                services.sdk.console, self.run.id, self.client, start=self.start, limit=self.limit
            )
            left = deadline - loop.time()
            if page.version != self.seen or left <= 0 or services.notifier.closed or await request.is_disconnected():
                return page
            await services.notifier.wait(topic, moved, min(left, LOOK_AGAIN))


def router(access: Access) -> APIRouter:
    """The doors of rows and lines."""
    made = APIRouter(prefix="/api/v1/runs", route_class=Door, responses=ERRORS, tags=["sdk runs"])
    services = access.services

    @made.get("/{entity}/{project}/{run}/history", response_model=HistoryRows)
    async def read_history(
        request: Request,
        entity: str,
        project: str,
        run: str,
        *,
        start: Annotated[int, Query(alias="from", ge=0, le=MAX_NUMBER, description="The first step.")] = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> Any:
        """Rows of history as they were logged, by step."""
        found = await sdk_access.sdk_run(access, await access.person(request), entity, project, run)
        return await services.answer(lambda: _history(services, found.run, start, limit))

    @made.get("/{entity}/{project}/{run}/console", response_model=Console)
    async def read_console(
        request: Request,
        entity: str,
        project: str,
        run: str,
        *,
        client: Annotated[str, Query(max_length=200, description="Whose lines, in shared mode.")] = "",
        start: Annotated[int | None, Query(alias="from", ge=0, le=MAX_NUMBER)] = None,
        before: Annotated[int | None, Query(ge=0, le=MAX_NUMBER)] = None,
        last: Annotated[int | None, Query(ge=1, le=5000)] = None,
        limit: Annotated[int, Query(ge=1, le=5000)] = 500,
        wait: Annotated[float, Query(ge=0, le=MAX_WAIT, allow_inf_nan=False)] = 0,
        seen: Annotated[int, Query(ge=-1, le=MAX_NUMBER, description="The `version` that is known.")] = -1,
    ) -> Any:
        """Lines `from` or `before` a number, or the `last` ones.

        With `from` and `wait`, the answer is held until `version` is another one than `seen`.
        """
        if [start, before, last].count(None) != 2:
            raise invalid("Say where to read: exactly one of from, before and last.")
        found = await sdk_access.sdk_run(access, await access.person(request), entity, project, run)
        if start is not None:
            page = await Follower(found.run, client, start, limit, seen).wait(services, request, wait)
        else:
            count = limit if last is None else last
            page = await services.read(services.sdk.console, found.run.id, client, before=before, limit=count)
        writers = await services.read(services.sdk.console_writers, found.run)
        return await services.answer(
            lambda: {
                "client": page.client,
                "branch": page.branch,
                "start": page.start,
                "end": page.end,
                "count": page.count,
                "version": page.version,
                "lines": [_line(number, text) for number, text in page.lines],
                "writers": [{"client": each.client, "lines": each.lines} for each in writers],
            }
        )

    return made


def _history(services: Services, run: SdkRun, start: int, limit: int) -> dict[str, Any]:
    rows = read_rows(services.sdk.history(run.id, start, limit + 1))
    more = step_of(rows[limit]) if len(rows) > limit else None
    if more == start:
        more += 1  # so many rows of one step: going on there would never end
    return {"rows": jsontext.finite(rows[:limit]), "next": more}


def _line(number: int, text: str) -> dict[str, Any]:
    line = console.read_line(text)
    return {
        "number": number,
        "text": line.text,
        "ts": _moment(line.timestamp),
        "level": line.level or None,
        "label": line.label or None,
    }


def _moment(text: str) -> float | None:
    """Unix seconds of the client's time, which is UTC where it names no zone; None: it is no time."""
    try:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
