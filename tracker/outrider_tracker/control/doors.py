"""The controller's door: Runs and joins in, the feed, ranks and collection out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final, ParamSpec, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from outrider_sidecar import contract
from outrider_tracker import http
from outrider_tracker.auth.entities import EntityMap
from outrider_tracker.auth.gate import Gate, demand
from outrider_tracker.control import records
from outrider_tracker.core.errors import RefusedError
from outrider_tracker.core.rules import Action, Target
from outrider_tracker.notifier import FEED, Notifier, run_topic
from outrider_tracker.store.feed import Feed, FeedExpiredError, newest, read_feed
from outrider_tracker.store.runs import OtherEntityError, RunKey, put_run, run_url
from outrider_tracker.store.sources import Join, OtherOwnerError, Owner, join
from outrider_tracker.store.store import Store

P = ParamSpec("P")
T = TypeVar("T")
MAX_WAIT: Final = 60.0
EXPIRED: Final = "expired"


@dataclass(frozen=True, slots=True)
class Control:
    """What the doors work with; composed once by app.py."""

    store: Store
    gate: Gate
    entities: EntityMap
    notifier: Notifier
    pool: Executor

    async def read(self, job: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a blocking read in the pool."""
        return await asyncio.get_running_loop().run_in_executor(self.pool, lambda: job(*args, **kwargs))


def routes(control: Control) -> list[Route]:
    """The doors."""
    doors = Doors(control)
    prefix = "/api/v1/control"
    return [
        Route(f"{prefix}/runs/{{run}}", http.door(doors.put_run), methods=["PUT"]),
        Route(f"{prefix}/sources/{{source}}", http.door(doors.put_source), methods=["PUT"]),
        Route(f"{prefix}/feed", http.door(doors.feed), methods=["GET"]),
        Route(f"{prefix}/runs/{{run}}/ranks", http.door(doors.ranks), methods=["GET"]),
        Route(f"{prefix}/runs/{{run}}/collection", http.door(doors.collection), methods=["GET"]),
    ]


class Doors:
    """Handlers over one Control."""

    def __init__(self, control: Control) -> None:
        self._control = control

    async def _admit(self, request: Request) -> None:
        """RefusedError: 401, 403, 503."""
        demand(await self._control.gate.principal(request), Action.CONTROL, Target(""))

    async def put_run(self, request: Request) -> Response:
        """`PUT /api/v1/control/runs/{run id}`."""
        await self._admit(request)
        control = self._control
        run = records.run_id(request.path_params["run"])
        record = records.complete(await http.read_json(request, records.MAX_RECORD))
        namespace, project = record["namespace"], record["project"]
        entity = control.entities.entity("", namespace)
        now = control.store.clock()
        key = RunKey(run, entity, project, records.created(record, now))
        try:
            await asyncio.wrap_future(
                control.store.writer.submit(lambda connection: put_run(connection, key, record, now), tenant=entity)
            )
        except OtherEntityError:
            raise RefusedError(
                contract.ERROR_FORBIDDEN,
                f"run {run} belongs to another entity than that of namespace {namespace}: give this Run another id",
            ) from None
        control.notifier.publish([run_topic(run)])
        return http.answer({"url": run_url(entity, project, run)})

    async def put_source(self, request: Request) -> Response:
        """`PUT /api/v1/control/sources/{pod uid}`."""
        await self._admit(request)
        control = self._control
        wanted = self._join(request.path_params["source"], await http.read_json(request))
        now = control.store.clock()
        try:
            await asyncio.wrap_future(control.store.writer.submit(lambda connection: join(connection, wanted, now)))
        except OtherOwnerError:
            raise RefusedError(
                contract.ERROR_FORBIDDEN, f"source {wanted.uid} belongs to another entity than {wanted.owner.entity}"
            ) from None
        control.notifier.publish([run_topic(wanted.run)])
        return http.answer({})

    def _join(self, uid: str, body: dict[str, object]) -> Join:
        namespace = records.required(body, "namespace")
        deleted = body.get("deleted", False)
        if not isinstance(deleted, bool):
            raise records.wrong("deleted", "true or false")
        return Join(
            uid=records.run_id(uid),
            # The controller names no issuer: the pod's own token fixes it when it declares.
            owner=Owner(self._control.entities.entity("", namespace), "", namespace),
            run=records.run_id(records.required(body, "run")),
            attempt=records.integer(body, "attempt") or 1,
            node_rank=records.integer(body, "nodeRank"),
            incarnation=records.integer(body, "incarnation") or 0,
            pod=records.text(body, "pod"),
            node=records.text(body, "node"),
            phase=records.text(body, "phase"),
            deleted=deleted,
            final_unsent=records.integer(body, "unsentBytes"),
            lost_reason=records.text(body, "lostReason") or None,
        )

    async def feed(self, request: Request) -> Response:
        """`GET /api/v1/control/feed?after=SEQ&wait=25`."""
        await self._admit(request)
        control = self._control
        after = http.query_integer(request, "after", 0, 1 << 62)
        if after is None:
            last = await control.read(control.store.readers.read, newest)
            return http.answer({"next": last, "items": []})
        loop = asyncio.get_running_loop()
        deadline = loop.time() + http.query_seconds(request, "wait", 25.0, MAX_WAIT)
        while True:
            version = control.notifier.version(FEED)
            try:
                found = await control.read(self._read_feed, after)
            except FeedExpiredError:
                message = "the feed no longer reaches back to there: read the ranks again, then begin without after"
                return http.answer({"error": {"code": EXPIRED, "message": message}}, 410)
            left = deadline - loop.time()
            if found.items or left <= 0 or control.notifier.closed:
                return http.answer({"next": found.next, "items": found.items})
            await control.notifier.wait(FEED, version, left)

    def _read_feed(self, after: int) -> Feed:
        with self._control.store.reader.snapshot() as snapshot:
            return read_feed(snapshot, after)

    async def ranks(self, request: Request) -> Response:
        """`GET /api/v1/control/runs/{run id}/ranks`."""
        await self._admit(request)
        reader = self._control.store.reader
        found = await self._control.read(reader.list_ranks, request.path_params["run"], last_words=True)
        return http.answer({"items": [rank.to_json() for rank in found]})

    async def collection(self, request: Request) -> Response:
        """`GET /api/v1/control/runs/{run id}/collection`."""
        await self._admit(request)
        found = await self._control.read(self._control.store.reader.collection, request.path_params["run"])
        return http.answer(
            {
                "unsentBytes": found.unsent_bytes,
                "lostBytes": found.lost_bytes,
                "lagSeconds": found.lag_seconds,
                "sources": found.sources,
                "silent": list(found.silent),
            }
        )
