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
from outrider_tracker.wandb.engine import Question
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
            question = read_question(await http.read_body(request, MAX_BODY))
            found = await wandb.work(wandb.engine.answer, question, context)
        response = _json(found.body, found.status)
        if found.retry_after is not None:
            response.headers["Retry-After"] = str(found.retry_after)
        return response

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


def _json(body: dict[str, Any], status: int) -> Response:
    """JSON that any reader takes: numbers that it lacks become texts, as W&B does it."""
    text = jsontext.write(body)
    return Response(text.encode(), status, media_type="application/json", headers={"Cache-Control": "no-store"})
