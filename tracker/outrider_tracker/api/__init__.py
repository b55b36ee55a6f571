"""The read API and the web UI: docs/protocol.md section 7, described in tracker/openapi.json."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, FastAPI

from outrider_tracker.api import files, projects, run_data, runs, sdk_lines, sdk_runs, sessions, streams, web
from outrider_tracker.api.access import Access
from outrider_tracker.api.errors import answer_unrouted
from outrider_tracker.services import Services


def routers(services: Services) -> Sequence[APIRouter]:
    """All doors of the read API and the UI's pages."""
    access = Access(services)
    data = [door.router(access) for door in (sessions, runs, run_data, sdk_runs, sdk_lines, projects, streams, files)]
    return [*data, web.router()]


def mount(app: FastAPI, services: Services) -> None:
    """Adds the read API and the UI behind the doors that are there, and an answer for every other address."""
    for router in routers(services):
        app.include_router(router)
    answer_unrouted(app)
