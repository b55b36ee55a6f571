"""The read API and the web UI: docs/protocol.md section 7, described in tracker/openapi.json."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter

from outrider_tracker.api import files, runs, sessions, streams, web
from outrider_tracker.api.access import Access
from outrider_tracker.services import Services


def routers(services: Services) -> Sequence[APIRouter]:
    """All doors of the read API and the UI's pages, for app.py to mount behind the ingest and control doors."""
    access = Access(services)
    data = [door.router(access) for door in (sessions, runs, streams, files)]
    return [*data, web.router()]
