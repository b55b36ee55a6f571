"""Errors as W&B's clients read them: `{"errors": [{"message": …}]}`, whatever the status."""

from __future__ import annotations

import msgspec
from starlette.responses import Response

from outrider_tracker import http
from outrider_tracker.core.errors import RefusedError
from outrider_tracker.http import Handler

_ENCODER = msgspec.json.Encoder()


def answer(value: object, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(
        _ENCODER.encode(value), status, media_type="application/json", headers={"Cache-Control": "no-store"}
    )


def refusal(error: RefusedError) -> Response:
    """The answer to a refused request. The client gives up at 4xx but 409 and 429, and asks again at those and 5xx."""
    response = answer({"errors": [{"message": error.message}]}, error.status)
    response.headers.update(error.headers)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    if error.status == 401:
        response.headers["WWW-Authenticate"] = 'Basic realm="tracker"'
    return response


def door(handler: Handler) -> Handler:
    """Turns what a handler raises into answers in this form."""
    return http.door(handler, refusal, tell_message=False)
