"""Who asks the read API, and what they may see."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from outrider_sidecar import contract
from outrider_tracker.api.errors import CROSS_SITE, ApiError, missing
from outrider_tracker.auth.credentials import secret_of
from outrider_tracker.core.principals import Person
from outrider_tracker.core.rules import Action, Target, may
from outrider_tracker.pool import call_as, call_by_secret
from outrider_tracker.services import Services
from outrider_tracker.store.records import Run, StoredFile, StreamInfo

COOKIE: Final = "outrider_session"
PURPOSE: Final = "session"
SESSION_SECONDS: Final = 7 * 86400


@dataclass(frozen=True, slots=True)
class Access:
    """Answers with the object or with the error that its absence is: routers never see what a person may not."""

    services: Services
    clock: Callable[[], float] = time.time

    async def person(self, request: Request) -> Person:
        """Who asks, whose work the pools do from here on: by API key, else by session cookie. 401 otherwise.

        Today's roles count, not those at login.
        """
        found = await self._known(request)
        call_as(found.name, found.default_entity)
        return found

    async def _known(self, request: Request) -> Person:
        header = request.headers.get("authorization")
        if header is not None:
            key = secret_of(header)
            if key is not None:
                return await self.by_key(key)
            raise _unauthenticated("The Authorization header is no `Bearer <API key>`.")
        cookie = request.cookies.get(COOKIE)
        name = None if cookie is None else self.services.signer.verify(PURPOSE, cookie)
        person = None if name is None else await self.services.read(self.services.people.find_person, name)
        if person is None:
            message = "Your session has ended." if cookie else "You are not logged in."
            raise _unauthenticated(f"{message} Log in with an API key, or send one as `Authorization: Bearer <key>`.")
        return person

    async def by_key(self, key: str) -> Person:
        """The person whose API key this is, else 401."""
        call_by_secret(key)
        person = await self.services.read(self.services.people.authenticate_key, key)
        if person is None:
            raise _unauthenticated(
                "The tracker does not know this API key, or its user is disabled. Check that it is whole; an "
                "administrator makes a new one with `outrider-tracker key add`."
            )
        return person

    def open_session(self, person: Person, request: Request, response: Response) -> None:
        """Sets the cookie. It carries a name and a date, signed; never the key."""
        token = self.services.signer.sign(PURPOSE, person.name, int(self.clock()) + SESSION_SECONDS)
        # Behind a proxy that ends TLS we see plain HTTP. Forwarded headers are anybody's to forge: the flag counts.
        secure = request.url.scheme == "https" or self.services.public_url.startswith("https://")
        response.set_cookie(
            COOKIE, token, max_age=SESSION_SECONDS, path="/", secure=secure, httponly=True, samesite="strict"
        )

    async def run(self, person: Person, entity: str, project: str, run: str) -> Run:
        """The Run at this address, else 404."""
        found = await self.services.read(self.services.reader.get_run, run)
        if found is None or (found.entity, found.project) != (entity, project):
            raise missing(f"run {run!r} in {entity}/{project}")
        if not await self._may_read(person, found.entity, found.id):
            raise missing(f"run {run!r} in {entity}/{project}")
        return found

    async def file(self, person: Person, file: str) -> StoredFile:
        """The file, else 404."""
        found = await self.services.read(self.services.reader.get_file, file)
        if found is None or not await self._may_read(person, found.info.entity, found.info.run):
            raise missing(f"file {file!r}")
        return found

    async def stream(self, person: Person, stream: int) -> StreamInfo:
        """The stream, else 404."""
        found = await self.services.read(self.services.reader.get_stream, stream)
        if found is None or not await self._may_read(person, found.entity, found.run):
            raise missing(f"stream {stream}")
        return found

    async def _may_read(self, person: Person, entity: str, run: str | None) -> bool:
        """Whether the person may see what belongs to a Run (None: to no Run yet) of the entity."""
        project = None if run is None else await self.services.read(self.services.reader.project_of_run, run)
        return may(person, Action.READ, Target(entity, project=project))


def refuse_cross_site(request: Request) -> None:
    """403 for a state-changing call that another site's page made, or that a plain form could make.

    A browser names the page's origin in `Origin` and cannot be made to leave it out; clients that are no browsers send
    neither header and carry no cookie that somebody could borrow.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ApiError(415, CROSS_SITE, "Send this call with `Content-Type: application/json`.")
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site", "none")
    foreign = site not in {"none", "same-origin"}
    if origin is not None:
        foreign = foreign or _host_of(origin) != request.headers.get("host", "").lower()
    if foreign:
        raise ApiError(403, CROSS_SITE, "This call came from another site's page. Use the tracker's own pages.")


def _host_of(origin: str) -> str | None:
    """Host and port of an origin; None: it is none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def _unauthenticated(message: str) -> ApiError:
    return ApiError(401, contract.ERROR_UNAUTHENTICATED, message, {"WWW-Authenticate": "Bearer"})
