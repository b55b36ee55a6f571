"""Errors as W&B's clients read them: `{"errors": [{"message": …}]}`, whatever the status."""

from __future__ import annotations

import sqlite3

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from outrider_sidecar import contract
from outrider_tracker.core.errors import RefusedError
from outrider_tracker.http import IN_PROGRESS, Handler
from outrider_tracker.log import say
from outrider_tracker.store.errors import StorageFullError, StoreError

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
    """Turns what a handler raises into answers. The log has the path's form, never a token of it."""

    async def guarded(request: Request) -> Response:
        IN_PROGRESS.count += 1
        try:
            return await handler(request)
        except RefusedError as error:
            refused = error
        except StorageFullError as error:
            refused = RefusedError(contract.ERROR_STORAGE_FULL, str(error), retry_after=30)
        except (StoreError, sqlite3.OperationalError) as error:
            refused = RefusedError(contract.ERROR_UNAVAILABLE, str(error), retry_after=5)
        except ClientDisconnect:
            return Response(status_code=499)
        except Exception as error:  # noqa: BLE001  never a 500: clients would ask for minutes, and tell nobody why
            say("door.failed", method=request.method, path=_path(request), reason=repr(error))
            refused = RefusedError(
                contract.ERROR_UNAVAILABLE,
                "the tracker failed: this is its fault, and its log says more",
                retry_after=30,
            )
        finally:
            IN_PROGRESS.count -= 1
        say("refused", method=request.method, path=_path(request), status=refused.status, code=refused.code)
        return refusal(refused)

    return guarded


def _path(request: Request) -> str:
    """For the log. The last part of an upload's address is its permission, and left out."""
    return request.url.path.rpartition("/")[0] if "token" in request.path_params else request.url.path
