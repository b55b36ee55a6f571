"""`/api/v1/session`: who I am, log in, log out."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.requests import Request

from outrider_tracker.api.access import COOKIE, Access, refuse_cross_site
from outrider_tracker.api.errors import ERRORS, Door
from outrider_tracker.api.models import Login, SessionAnswer, User
from outrider_tracker.core.principals import Person


def router(access: Access) -> APIRouter:
    """The session's doors."""
    made = APIRouter(prefix="/api/v1/session", route_class=Door, responses=ERRORS, tags=["session"])

    def answer(person: Person) -> SessionAnswer:
        user = User(name=person.name, admin=person.admin, entities=sorted(person.roles))
        return SessionAnswer(user=user, version=access.services.version)

    @made.get("")
    async def who_am_i(request: Request) -> SessionAnswer:
        """Who is logged in."""
        return answer(await access.person(request))

    @made.post("")
    async def log_in(request: Request, response: Response, login: Login) -> SessionAnswer:
        """Takes an API key and sets the session cookie (HttpOnly, SameSite=Strict)."""
        refuse_cross_site(request)
        person = await access.by_key(login.key)
        access.open_session(person, request, response)
        return answer(person)

    @made.delete("", status_code=204)
    async def log_out(request: Request) -> Response:
        """Ends the browser's session."""
        refuse_cross_site(request)
        response = Response(status_code=204)
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
        return response

    return made
