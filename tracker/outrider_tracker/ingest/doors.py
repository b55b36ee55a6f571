"""Declaring sources, appending to their streams, and asking for directives."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from outrider_sidecar import contract
from outrider_tracker import failpoints, http
from outrider_tracker.auth.gate import demand
from outrider_tracker.core.errors import RefusedError
from outrider_tracker.core.principals import Pod, Principal
from outrider_tracker.core.rules import Action, Target
from outrider_tracker.ingest import directives
from outrider_tracker.ingest.appender import ATTEMPTS
from outrider_tracker.ingest.clock import ClockBounds, Contact, narrow
from outrider_tracker.ingest.context import Ingest, check_owner
from outrider_tracker.notifier import FEED, run_topic, stream_topic
from outrider_tracker.store.appending import Applied, Sent, StaleError, Writing
from outrider_tracker.store.sources import Declaration, Declared, OtherOwnerError, Owner, SourceRow, declare

SOURCE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,62}")
MAX_DECLARATION: Final = 256 << 10
MAX_WAIT: Final = 60.0
MAX_TEXT: Final = 253  # the longest name of a Kubernetes object: pods and nodes may have it


def routes(ingest: Ingest) -> list[Route]:
    """The doors."""
    doors = Doors(ingest)
    prefix = "/ingest/v1/sources/{source}"
    return [
        Route(prefix, http.door(doors.declare), methods=["PUT"]),
        Route(prefix + "/append", http.door(doors.append), methods=["POST"]),
        Route(prefix + "/directives", http.door(doors.directives), methods=["GET"]),
    ]


class Doors:
    """Handlers over one Ingest."""

    def __init__(self, ingest: Ingest) -> None:
        self._ingest = ingest

    async def declare(self, request: Request) -> Response:
        """`PUT /ingest/v1/sources/{source}`."""
        ingest = self._ingest
        principal = await ingest.gate.principal(request)
        wanted = self._declaration(
            principal, request.path_params["source"], await http.read_json(request, MAX_DECLARATION)
        )
        row = await ingest.work(ingest.find_source, wanted.uid)
        if row is not None:
            check_owner(principal, wanted.uid, row)
        now = ingest.clock()
        ingest.limits.admit(wanted.owner.entity, 0)
        job = ingest.store.writer.submit(
            lambda connection: declare(connection, wanted, now), tenant=wanted.owner.entity
        )
        try:
            declared = await asyncio.wrap_future(job)
        except OtherOwnerError:
            raise RefusedError(contract.ERROR_FORBIDDEN, f"source {wanted.uid} belongs to somebody else") from None
        ingest.notifier.publish([FEED, *([run_topic(declared.run)] if declared.run else [])])
        return self._declared(wanted, declared)

    def _declared(self, wanted: Declaration, declared: Declared) -> Response:
        self._ingest.activity.note(wanted.uid, self._ingest.clock())
        return http.answer(
            {
                "epoch": declared.epoch,
                "incarnation": self._ingest.store.incarnation,
                "streams": [
                    {"name": name, "generation": generation, "end": end} for name, generation, end in declared.streams
                ],
                "pace": {"interval": self._pace()},
                "directives": self._ingest.directives.take(wanted.uid),
            }
        )

    def _declaration(self, principal: Principal, uid: str, body: dict[str, Any]) -> Declaration:
        """What is declared, by someone who may. RefusedError: frame, forbidden."""
        if SOURCE.fullmatch(uid) is None:
            raise RefusedError(
                contract.ERROR_FRAME, "a source's name is a UID: at most 63 letters, digits, dots and dashes"
            )
        if body.get("protocol") != contract.PROTOCOL:
            raise RefusedError(
                contract.ERROR_FRAME,
                f"this tracker speaks protocol {contract.PROTOCOL}, not {str(body.get('protocol'))[:20]}: "
                "use a sidecar of its release or of the two before it",
            )
        instance, pod = _text(body, "instance"), body.get("pod")
        if not instance or not isinstance(pod, dict):
            raise RefusedError(contract.ERROR_FRAME, "a declaration needs instance (a text) and pod (an object)")
        workload = body.get("owner")
        if isinstance(principal, Pod):
            owner, name = Owner(principal.entity, principal.issuer, principal.namespace), principal.name
        else:
            namespace = _text(pod, "namespace")
            if not namespace:
                raise RefusedError(contract.ERROR_FRAME, "a declaration with an API key needs pod.namespace")
            owner, name = Owner(self._ingest.entities.entity("", namespace), "", namespace), _text(pod, "name")
        demand(principal, Action.INGEST, Target(owner.entity, uid))
        return Declaration(
            uid,
            owner,
            name,
            _text(pod, "node"),
            workload if isinstance(workload, dict) else {},
            _text(body, "agent"),
            instance,
        )

    async def append(self, request: Request) -> Response:
        """`POST /ingest/v1/sources/{source}/append`: applied whole and durable, or not at all."""
        ingest = self._ingest
        received = ingest.clock()
        _, uid, row = await ingest.own_source(request)
        writing = self._writing(request, uid, row, received)
        announced = _announced(request)
        ingest.limits.admit(row.entity, announced)
        with ingest.limits.body(announced, row.entity):
            body = await http.read_body(request, contract.MAX_BODY)
            sent = await ingest.work(ingest.appender.unpack, body)
            applied, unknown, weight = await self._apply(writing, row.entity, sent)
        failpoints.passing(failpoints.BEFORE_ANSWER)
        self._count(sent, unknown, weight)
        if applied.decodable:
            ingest.decoder.wake()
        if applied.grown:
            ingest.notifier.publish([stream_topic(stream) for stream in applied.grown])
        watched = any(ingest.notifier.watched(stream_topic(stream)) for stream in applied.grown)
        ingest.activity.note(uid, ingest.clock())
        return http.answer(
            {
                "ends": {name: list(end) for name, end in applied.ends.items()},
                "unknownFrames": unknown,
                "pace": {"interval": self._pace(watched=watched)},
                "directives": ingest.directives.take(uid),
            }
        )

    async def _apply(self, writing: Writing, entity: str, sent: Sent) -> tuple[Applied, int, int]:
        ingest = self._ingest
        over = ingest.limits.over_storage(entity)
        for _ in range(ATTEMPTS):
            ready = await ingest.work(ingest.appender.decide, writing.source, sent, over)
            try:
                applied = await asyncio.wrap_future(ingest.appender.write(writing, ready, entity))
            except StaleError:
                continue
            return applied, ready.plan.unknown, ready.weight
        raise RefusedError(
            contract.ERROR_BUSY,
            "this source's streams are being written by several requests: send one at a time",
            status=503,
            retry_after=1,
        )

    def _writing(self, request: Request, uid: str, row: SourceRow, received: float) -> Writing:
        """The writer's standing. RefusedError: frame, incarnation, fenced."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != contract.FRAMES_TYPE:
            raise RefusedError(
                contract.ERROR_FRAME, f"the content type is {kind[:80]!r}: this door takes {contract.FRAMES_TYPE}"
            )
        if request.headers.get(contract.HEADER_INCARNATION) != self._ingest.store.incarnation:
            raise RefusedError(
                contract.ERROR_INCARNATION,
                "this is another store, or one that was restored: declare the source anew and reconcile its streams",
            )
        epoch = _header(request, contract.HEADER_EPOCH)
        if epoch is None:
            raise RefusedError(contract.ERROR_FRAME, f"the header {contract.HEADER_EPOCH} is missing")
        if epoch != row.epoch:
            raise RefusedError(
                contract.ERROR_FENCED, f"writer epoch {epoch} of source {uid} is over: epoch {row.epoch} writes now"
            )
        unsent = _header(request, contract.HEADER_UNSENT)
        return Writing(row.id, epoch, received, unsent, self._clock_bounds(request, uid, row, received))

    def _clock_bounds(
        self, request: Request, uid: str, row: SourceRow, received: float
    ) -> tuple[float, float, float] | None:
        wall, mono = _header(request, contract.HEADER_WALL), _header(request, contract.HEADER_MONO)
        if wall is None or mono is None:
            return None
        answered = self._ingest.activity.answered.get(uid)
        known = None if row.clock is None else ClockBounds(*row.clock)
        since = 0.0 if answered is None else received - answered
        bounds = narrow(known, Contact(answered, received, wall / 1e9, mono / 1e9), since)
        return None if bounds is None else (bounds.low, bounds.high, bounds.base)

    def _count(self, sent: Sent, unknown: int, weight: int) -> None:
        counters = self._ingest.counters
        counters.requests += 1
        counters.raw_bytes += sum(map(len, sent.raws.values()))
        counters.stored_bytes += weight
        counters.frames += len(sent.frames)
        counters.unknown_frames += unknown

    def _pace(self, *, watched: bool = False) -> float:
        return directives.pace(self._ingest.activity.active(self._ingest.clock()), watched=watched)

    async def directives(self, request: Request) -> Response:
        """`GET /ingest/v1/sources/{source}/directives?after=N&wait=20`."""
        ingest = self._ingest
        _, uid, _ = await ingest.own_source(request)
        after = http.query_integer(request, "after", 0, 1 << 62) or 0
        deadline = ingest.clock() + http.query_seconds(request, "wait", 20.0, MAX_WAIT)
        topic = directives.topic(uid)
        while True:
            version = ingest.notifier.version(topic)
            number, posted = ingest.directives.after(uid, after)
            left = deadline - ingest.clock()
            if posted or left <= 0 or ingest.notifier.closed:
                return http.answer({"after": number, "directives": posted})
            await ingest.notifier.wait(topic, version, left)


def _announced(request: Request) -> int:
    """Bytes of the body, the most it may have where that is not said. RefusedError: frame, too_large."""
    announced = http.content_length(request)
    if announced is not None and announced > contract.MAX_BODY:
        raise http.too_large(contract.MAX_BODY)
    return contract.MAX_BODY if announced is None else announced


def _text(body: dict[str, Any], key: str) -> str:
    """A text of a declaration, "" if absent. RefusedError (frame) where it is too long: a cut name is another name."""
    value = body.get(key)
    if not isinstance(value, str):
        return ""
    if len(value) > MAX_TEXT:
        raise RefusedError(
            contract.ERROR_FRAME, f"{key} of the declaration has {len(value)} characters: at most {MAX_TEXT} are taken"
        )
    return value


def _header(request: Request, name: str) -> int | None:
    """A header's non-negative integer; None if absent. RefusedError (frame) if it is none."""
    text = request.headers.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18 + 1:
        raise RefusedError(contract.ERROR_FRAME, f"the header {name} is no integer")
    value = int(text)
    return value if value < 1 << 63 else None
