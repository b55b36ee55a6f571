"""What all plain doors share: bounded bodies, JSON answers, errors as answers, one log line for each refusal."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from outrider_sidecar import contract
from outrider_tracker.core import jsontext
from outrider_tracker.core.errors import RefusedError
from outrider_tracker.log import say
from outrider_tracker.store.errors import StorageFullError, StoreError

MAX_JSON: Final = 1 << 20
PIECE: Final = 1 << 20
Handler = Callable[[Request], Awaitable[Response]]
Work = Callable[..., Awaitable[Any]]


@dataclass(slots=True)
class InProgress:
    """Requests at the plain doors right now; touched by the event loop alone."""

    count: int = 0


IN_PROGRESS: Final = InProgress()


def answer(value: Any, status: int = 200) -> Response:
    """A JSON answer."""
    body = json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    return Response(body, status, media_type="application/json", headers={"Cache-Control": "no-store"})


def refusal(error: RefusedError) -> Response:
    """The answer to a refused request."""
    response = answer(error.body(), error.status)
    response.headers.update(error.headers)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    if error.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def door(
    handler: Handler, refuse: Callable[[RefusedError], Response] = refusal, *, tell_message: bool = True
) -> Handler:
    """Turns what a handler raises into the answers that `refuse` makes: never a 500, which tells nobody anything.

    The log has the path's form, never the query or a token of it: they may hold a signature. `tell_message`: the log
    has the sentences, too, which may name what the caller sent.
    """

    async def guarded(request: Request) -> Response:
        IN_PROGRESS.count += 1
        try:
            return await handler(request)
        except RefusedError as error:
            refused = error
        except StorageFullError as error:
            refused = RefusedError(contract.ERROR_STORAGE_FULL, str(error), retry_after=30, accepts=[])
        except (StoreError, sqlite3.OperationalError) as error:
            refused = RefusedError(contract.ERROR_UNAVAILABLE, str(error), retry_after=5)
        except ClientDisconnect:
            return Response(status_code=499)
        except Exception as error:  # noqa: BLE001  clients would ask again for minutes, and tell nobody why
            say("door.failed", method=request.method, path=_path(request), reason=repr(error))
            refused = RefusedError(
                contract.ERROR_UNAVAILABLE,
                "the tracker failed: this is its fault, and its log says more",
                retry_after=30,
            )
        finally:
            IN_PROGRESS.count -= 1
        message = {"message": refused.message} if tell_message else {}
        say("refused", method=request.method, path=_path(request), status=refused.status, code=refused.code, **message)
        return refuse(refused)

    return guarded


def _path(request: Request) -> str:
    """For the log. The last part of an upload's address is its permission, and left out."""
    return request.url.path.rpartition("/")[0] if "token" in request.path_params else request.url.path


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body. RefusedError (too_large) as soon as it is known to be longer than `limit` bytes."""
    announced = content_length(request)
    if announced is not None and announced > limit:
        raise too_large(limit)
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise too_large(limit)
        parts.append(part)
    return b"".join(parts)


async def body_pieces(request: Request) -> AsyncIterator[bytes]:
    """The body in pieces of about 1 MiB, so that a thread is asked for each of those only."""
    held = bytearray()
    async for part in request.stream():
        held += part
        if len(held) >= PIECE:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)


async def file_pieces(work: Work, source: BinaryIO | Path, start: int, stop: int) -> AsyncIterator[bytes]:
    """Bytes [start, stop) of a file, or of an open one, which is closed then; `work` runs what blocks."""
    file = await work(open, source, "rb") if isinstance(source, Path) else source
    try:
        await work(file.seek, start)
        while start < stop:
            part = await work(file.read, min(PIECE, stop - start))
            if not part:
                # The length was announced: breaking off shows the reader that it has not everything.
                raise RuntimeError(f"{file.name} is {stop - start} bytes shorter than recorded")
            yield part
            start += len(part)
    finally:
        file.close()


async def read_json(request: Request, limit: int = MAX_JSON) -> dict[str, Any]:
    """The JSON object of the body. RefusedError: too_large, or frame where it is none."""
    try:
        return jsontext.read_object(await read_body(request, limit))
    except ValueError as error:
        raise RefusedError(contract.ERROR_FRAME, f"the request's body is malformed: {error}") from None


def content_length(request: Request) -> int | None:
    """The announced length of the body. RefusedError (frame) if it is no number."""
    text = request.headers.get("content-length")
    if text is None:
        return None
    if not text.isascii() or not text.isdigit():
        raise RefusedError(contract.ERROR_FRAME, "the header Content-Length is no number")
    return int(text)


def too_large(limit: int) -> RefusedError:
    """413 for a body over the bound."""
    return RefusedError(contract.ERROR_TOO_LARGE, f"the request's body is over the bound of {limit} bytes")


def query_integer(request: Request, name: str, low: int, high: int) -> int | None:
    """An integer of the query, cut to [low, high]; None if absent. RefusedError (frame) if it is none."""
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        return max(low, min(high, int(text[:32])))
    except ValueError:
        raise RefusedError(contract.ERROR_FRAME, f"the query's {name} is no integer") from None


def query_seconds(request: Request, name: str, default: float, high: float) -> float:
    """Seconds of the query, cut to [0, high]. RefusedError (frame) if it is no number."""
    try:
        value = float(request.query_params.get(name, str(default))[:32])
    except ValueError:
        raise RefusedError(contract.ERROR_FRAME, f"the query's {name} is no number of seconds") from None
    return max(0.0, min(high, value)) if value == value else 0.0  # noqa: PLR0124  NaN
