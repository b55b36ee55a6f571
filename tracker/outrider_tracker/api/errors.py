"""Errors of the read API: `{"error": {"code", "message"}}`, sentences for the person who must act."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request

from outrider_sidecar import contract
from outrider_tracker.api import headers
from outrider_tracker.api.models import ErrorAnswer
from outrider_tracker.log import say
from outrider_tracker.store.errors import StoreError

NOT_FOUND: Final = "not_found"
INVALID: Final = "invalid"
CROSS_SITE: Final = "cross_site"
METHOD: Final = "method_not_allowed"
RANGE: Final = "range"
TOO_LARGE: Final = "too_large"


class ApiError(Exception):
    """An answer that is no success; `message` says what happened, to which object, and what to do."""

    def __init__(self, status: int, code: str, message: str, extra: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.extra = extra or {}

    def response(self) -> JSONResponse:
        """The answer itself."""
        body = {"error": {"code": self.code, "message": self.message}}
        return JSONResponse(body, self.status, {**headers.API, **self.extra})


def missing(what: str) -> ApiError:
    """404. What one may not see is answered the same way as what does not exist: neither is told apart."""
    return ApiError(404, NOT_FOUND, f"There is no {what}, or it is not yours to see.")


def invalid(message: str) -> ApiError:
    """400: the question makes no sense."""
    return ApiError(400, INVALID, message)


def unknown_address(path: str) -> ApiError:
    """404 for an address behind which there is no door at all."""
    return ApiError(404, NOT_FOUND, f"There is nothing at {path[:200]!r}. Check the address and the tracker's release.")


def answer_unrouted(app: FastAPI) -> None:
    """What no door takes (404, 405) is answered in our form, too: programs read one form of errors only."""

    async def unrouted(request: Request, error: Exception) -> Response:
        path = request.url.path
        if not isinstance(error, HTTPException) or error.status_code == 404:
            return unknown_address(path).response()
        extra = dict(error.headers or {})
        if error.status_code == 405:
            message = (
                f"{request.method} does not work at {path[:200]!r}: it takes {extra.get('Allow', 'other methods')}."
            )
            return ApiError(405, METHOD, message, extra).response()
        return ApiError(error.status_code, INVALID, f"{error.detail}.", extra).response()

    app.add_exception_handler(HTTPException, unrouted)


class Door(APIRoute):
    """A route whose every answer has our headers and whose every error has our form."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wraps FastAPI's handler."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                response = await handle(request)
            except ApiError as error:
                return error.response()
            except RequestValidationError as error:
                return invalid(_validation(error)).response()
            except HTTPException as error:
                return ApiError(error.status_code, INVALID, str(error.detail)).response()
            except OverflowError:  # beyond 64 bits: no row has such a number
                return invalid("A number of the question is out of range.").response()
            except (StoreError, sqlite3.OperationalError) as error:
                say("read.failed", path=request.url.path, reason=str(error))
                message = "The tracker's store cannot answer now; try again in a few seconds."
                return ApiError(503, contract.ERROR_UNAVAILABLE, message, {"Retry-After": "2"}).response()
            except Exception as error:  # noqa: BLE001  never a 500, which tells nobody anything
                say("door.failed", method=request.method, path=request.url.path, reason=repr(error))
                message = "The tracker failed: this is its fault, and its log says more."
                return ApiError(503, contract.ERROR_UNAVAILABLE, message, {"Retry-After": "30"}).response()
            for name, value in headers.API.items():
                response.headers.setdefault(name, value)
            return response

        return answer


def _validation(error: RequestValidationError) -> str:
    """The first problem as a sentence, without echoing what was sent (it may be a key)."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or "the request"
    return f"{where}: {first['msg']}."


ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": ErrorAnswer, "description": text}
    for status, text in {
        400: "The question makes no sense; the message says why.",
        401: "Not logged in.",
        403: "Yours to see, not to change.",
        404: "No such object, or not yours to see.",
        422: "Not used: what makes no sense is 400.",
        503: "The store cannot answer now; Retry-After says when to come back.",
    }.items()
}
