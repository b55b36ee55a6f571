"""The built web UI (tracker/web) from the package's `static` folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from fastapi import APIRouter
from fastapi.responses import FileResponse, PlainTextResponse, Response
from starlette.requests import Request

from outrider_tracker.api import headers
from outrider_tracker.api.errors import Door, missing, unknown_address
from outrider_tracker.store.people import RESERVED

STATIC: Final = Path(__file__).parent.parent / "static"
# Names as the build makes them: no separators, so no way out of the folder.
_ASSET: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_TYPES: Final = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
_ALL: Final = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
_NOT_BUILT: Final = (
    "The web UI is not built.\n\n"
    "Run `make web` in the checkout, then load this page again; the tracker need not be restarted.\n"
    "The JSON API works without it: /api/v1/runs\n"
)


def router(static: Path = STATIC) -> APIRouter:
    """Pages and their assets. They hold no data: what they show comes from the read API, which asks who you are."""
    made = APIRouter(route_class=Door, include_in_schema=False)

    def page() -> Response:
        index = static / "index.html"
        sent = {**headers.PAGE, "Cache-Control": "no-cache"}
        if not index.is_file():
            return PlainTextResponse(_NOT_BUILT, 503, sent)
        return FileResponse(index, headers=sent, media_type="text/html; charset=utf-8")

    def page_of(entity: str, address: str) -> Response:
        # Addresses of programs begin with names that no entity has: who asks one that is not there must get no page.
        if entity in RESERVED:
            raise unknown_address(address)
        return page()

    @made.get("/")
    def home() -> Response:
        return page()

    @made.get("/login")
    def login() -> Response:
        return page()

    @made.api_route("/api", methods=_ALL)
    @made.api_route("/api/v1/runs/{run}", methods=_ALL)
    def no_page(request: Request) -> Response:
        # They have a page's shape, but a program that asks the API for what is not there must not get a page.
        raise unknown_address(request.url.path)

    # These are the addresses that the W&B client prints. A page reads its own address.
    @made.get("/{entity}/{project}/runs/{run}")
    @made.get("/{entity}/{project}/sweeps/{run}")
    def run_page(entity: str, project: str, run: str) -> Response:  # noqa: ARG001
        return project_page(entity, project)

    @made.get("/assets/{name}")
    def asset(name: str) -> Response:
        file = static / "assets" / name
        kind = _TYPES.get(file.suffix)
        if kind is None or not _ASSET.fullmatch(name) or not file.is_file():
            raise missing(f"asset {name!r}")
        # The name has the content's hash: another content has another name.
        sent = {**headers.PAGE, "Cache-Control": "public, max-age=31536000, immutable"}
        return FileResponse(file, headers=sent, media_type=kind)

    @made.get("/{entity}")
    def entity_page(entity: str) -> Response:
        return page_of(entity, f"/{entity}")

    @made.get("/{entity}/{project}")
    @made.get("/{entity}/{project}/workspace")
    def project_page(entity: str, project: str) -> Response:
        return page_of(entity, f"/{entity}/{project}")

    return made
