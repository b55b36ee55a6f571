"""The doors that W&B's clients come to: GraphQL, and the small ones. Filestream and files have modules of their own."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from outrider_sidecar import contract
from outrider_tracker import http
from outrider_tracker.core import jsontext
from outrider_tracker.core.errors import RefusedError
from outrider_tracker.wandb import filestream, uploads
from outrider_tracker.wandb.composition import Wandb
from outrider_tracker.wandb.context import Context
from outrider_tracker.wandb.engine import Engine, Question
from outrider_tracker.wandb.errors import answer, door
from outrider_tracker.wandb.nodes import default_entity

MAX_BODY: Final = 16 << 20  # a config or a summary may be that long


class _Body(msgspec.Struct):
    """A request of GraphQL. Clients send "" for no operation, and null for no variables."""

    query: str
    variables: dict[str, Any] | None = None
    operationName: str | None = None  # noqa: N815  as it is on the wire


_DECODER: Final = msgspec.json.Decoder(_Body)


def routes(wandb: Wandb) -> list[Route]:
    """The doors."""
    doors = Doors(wandb)
    return [
        Route("/graphql", door(doors.graphql), methods=["POST"]),
        Route("/sdk/otel/v1/metrics", door(doors.telemetry), methods=["POST"]),
        Route("/ready", door(doors.ready), methods=["GET"]),
        *filestream.routes(wandb),
        *uploads.routes(wandb),
    ]


class Doors:
    """Handlers over one Wandb."""

    def __init__(self, wandb: Wandb) -> None:
        self._wandb = wandb

    async def graphql(self, request: Request) -> Response:
        """`POST /graphql`: `{query, variables, operationName}`."""
        wandb = self._wandb
        principal = await wandb.gate.visitor(request)
        context = wandb.context(request, principal)
        announced = http.content_length(request)
        size, tenant = MAX_BODY if announced is None else min(announced, MAX_BODY), default_entity(principal)
        wandb.limits.admit(tenant, size)
        with wandb.limits.body(size, tenant):
            return await wandb.work(_answer, wandb.engine, await http.read_body(request, MAX_BODY), context)

    async def telemetry(self, request: Request) -> Response:  # noqa: ARG002
        """`POST /sdk/otel/v1/metrics`: the client's reports about itself, which nobody here wants."""
        return answer({}, 404)

    async def ready(self, request: Request) -> Response:  # noqa: ARG002
        """`GET /ready`: whether the tracker can write."""
        broken = self._wandb.store.writer.broken
        return answer({}) if broken is None else answer({"errors": [{"message": str(broken)}]}, 503)


def read_question(body: bytes) -> Question:
    """The request of a body. RefusedError (400): it is none."""
    try:
        read = _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise RefusedError(contract.ERROR_FRAME, f"the request's body is no GraphQL request: {error}") from None
    return Question(read.query, read.variables or {}, read.operationName or None)


def _answer(engine: Engine, body: bytes, context: Context) -> Response:
    """All of it in the pool: question and answer may be large, and the event loop is everybody's.

    The JSON is such that any reader takes it: scalars.py has texts for numbers that it lacks, as W&B does it.
    """
    found = engine.answer(read_question(body), context)
    text = jsontext.encode(found.body)
    response = Response(text, found.status, media_type="application/json", headers={"Cache-Control": "no-store"})
    if found.retry_after is not None:
        response.headers["Retry-After"] = str(found.retry_after)
    return response
