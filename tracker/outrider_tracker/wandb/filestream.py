"""The filestream door: rows, console lines, summary, heartbeat and end of a run. What was answered is durable.

body ─ unpack (bounded) ─ read ─ decide (pure; blocks are packed here) ─┐
address ─ run, branch, right to write (remembered for seconds) ─────────┴─ writer: one transaction ─ 200
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from outrider_sidecar import contract
from outrider_tracker import failpoints, http
from outrider_tracker.auth.gate import demand
from outrider_tracker.core import jsontext
from outrider_tracker.core.errors import RefusedError
from outrider_tracker.core.principals import Principal
from outrider_tracker.core.rules import Action, Target
from outrider_tracker.notifier import sdk_run_topic
from outrider_tracker.pool import call_as
from outrider_tracker.store import sdk_stream
from outrider_tracker.store.line_blocks import LineFile
from outrider_tracker.store.lines import LineBatch, Looked, look
from outrider_tracker.store.projects import project_by_id
from outrider_tracker.store.sdk_runs import find_run
from outrider_tracker.store.sdk_stream import Posted
from outrider_tracker.wandb.composition import Wandb
from outrider_tracker.wandb.errors import answer, door
from outrider_tracker.wandb.run_cache import KnownRun

MAX_BODY: Final = 11 << 20  # the client sends at most about 10 MiB at once
MAX_UNPACKED: Final = 24 << 20
PIECE: Final = 256 << 10  # bytes unpacked at once …
PACKED_PIECE: Final = 64 << 10  # … from so many
MAX_CLIENT: Final = 128
HOLD_SECONDS: Final = 10.0  # the client waits for an answer far longer
MAX_EXIT: Final = 1 << 31
FILES: Final = {
    "wandb-history.jsonl": LineFile.HISTORY,
    "wandb-events.jsonl": LineFile.EVENTS,
    "output.log": LineFile.CONSOLE,
}
SUMMARY: Final = "wandb-summary.json"
LEADS: Final = frozenset({"config.yaml", "wandb-metadata.json"})  # only a primary writer of shared mode sends them


class _Chunk(msgspec.Struct):
    """Lines of one file, from line `offset` on."""

    content: list[str] = []
    offset: int = 0


class _Body(msgspec.Struct):
    """A post. Fields that we do not know are left alone."""

    files: dict[str, _Chunk] | None = None
    preempting: bool | None = None
    complete: bool | None = None
    exitcode: int | None = None
    uploaded: list[str] | None = None


_DECODER: Final = msgspec.json.Decoder(_Body)
_OBJECT: Final = msgspec.json.Decoder(dict[str, Any])


def routes(wandb: Wandb) -> list[Route]:
    """The door."""
    return [
        Route("/files/{entity}/{project}/{run}/file_stream", door(Filestream(wandb).post), methods=["POST"]),
    ]


@dataclass(frozen=True, slots=True)
class Filestream:
    """The handler over one Wandb."""

    wandb: Wandb

    async def post(self, request: Request) -> Response:
        """`POST /files/{entity}/{project}/{run}/file_stream`: `{}`, or `{"stopped": true}`."""
        wandb = self.wandb
        known = await self._known(request, *(request.path_params[part] for part in ("entity", "project", "run")))
        announced = http.content_length(request)
        size = MAX_BODY if announced is None else min(announced, MAX_BODY)
        wandb.limits.admit(known.entity, size)
        with wandb.limits.body(size, known.entity):
            body = await http.read_body(request, MAX_BODY)
            looked: Mapping[LineFile, Looked] = {}
            coding, client = request.headers.get("content-encoding", ""), client_of(request.headers)
            # Small bodies are decided here: a thread's hand-over would cost more than the work.
            if len(body) <= _SMALL and not coding:
                posted = decide(read(body), client)
            else:
                posted, looked = await wandb.work(self._prepare, known, body, coding, client)
            self._refuse_when_full(posted)
            if posted.batches:
                wandb.limits.check_storage(known.entity, len(body))
            job = _job(known, posted, looked, wandb.store.clock())
            outcome = await wandb.write(job, len(body), known.entity)
        failpoints.passing(failpoints.BEFORE_ANSWER)
        wandb.notifier.publish([sdk_run_topic(known.id)])
        if posted.batches:
            wandb.lag.came(known.id, sum(len(b.lines) for b in posted.batches if b.file is not LineFile.CONSOLE))
            wandb.wake()
            await self._let_decode(known.id)
        response = answer({"stopped": True} if outcome.stopped else {})
        response.headers.update(wandb.limits.pace(known.entity))
        return response

    def _prepare(self, known: KnownRun, body: bytes, coding: str, client: str) -> tuple[Posted, dict[LineFile, Looked]]:
        """The post, and what stands where its lines go: all that takes long is done before the writer has it."""
        posted = decide(read(unpack(body, coding)), client)
        with self.wandb.store.readers.snapshot() as connection:
            found = {batch.file: look(connection, known.id, known.branch, batch) for batch in posted.batches}
        return posted, {file: looked for file, looked in found.items() if looked is not None}

    async def _let_decode(self, run: int) -> None:
        """Holds the answer back while decoding is far behind this run: its writer then sends no faster than that."""
        wandb, topic = self.wandb, sdk_run_topic(run)
        deadline = time.monotonic() + HOLD_SECONDS
        while wandb.lag.over(run) and not wandb.notifier.closed:
            version, left = wandb.notifier.version(topic), deadline - time.monotonic()
            if left <= 0 or not wandb.lag.over(run):
                return
            await wandb.notifier.wait(topic, version, left)

    async def _known(self, request: Request, entity: str, project: str, run: str) -> KnownRun:
        """The run, which whoever asks may write. RefusedError: 401, 403, 404.

        A writer posts for hours with the same credentials: who it is and what it may is asked every ten seconds, not
        with every post.
        """
        cache = self.wandb.runs
        secret = request.headers.get("authorization", "")
        key = (hashlib.sha256(secret.encode(errors="replace")).digest(), entity, project, run)
        found = cache.get(key)
        if found is not None:
            call_as(found.entity, found.entity)
        else:
            changes = cache.changes
            principal = await self.wandb.gate.visitor(request)
            found = await self.wandb.work(self._find, principal, entity, project, run)
            cache.put(key, found, changes)
        return found

    def _find(self, principal: Principal | None, entity: str, project: str, name: str) -> KnownRun:
        with self.wandb.store.readers.snapshot() as connection:
            run = find_run(connection, entity, project, name)
            home = None if run is None else project_by_id(connection, run.project_id)
        if run is None or home is None:
            demand(principal, Action.WRITE, Target(entity))
            raise RefusedError(
                contract.ERROR_UNDECLARED,
                f"there is no run {name[:128]!r} in {entity[:128]}/{project[:128]}: it was deleted, or never begun",
                status=404,
            )
        demand(principal, Action.WRITE, Target(entity, project=home, run=run))
        return KnownRun(run.id, run.branch, run.entity)

    def _refuse_when_full(self, posted: Posted) -> None:
        """States and heartbeats are taken until the very end; lines wait with the client."""
        if posted.batches and contract.KIND_METRICS not in self.wandb.gauge.accepts():
            raise RefusedError(
                contract.ERROR_STORAGE_FULL,
                "the tracker's disk is nearly full: it takes no metrics and logs until there is room",
                retry_after=30,
            )


_SMALL: Final = 16 << 10


def client_of(headers: Mapping[str, str]) -> str:
    """The writer's id in shared mode, else "". RefusedError (400): it says that it shares, but not who it is."""
    if headers.get("x-wandb-use-async-filestream", "").lower() != "true":
        return ""
    client = headers.get("x-wandb-async-client-id", "")
    if not 0 < len(client) <= MAX_CLIENT:
        raise RefusedError(contract.ERROR_FRAME, "in shared mode the header X-WANDB-ASYNC-CLIENT-ID names the writer")
    return client


def unpack(body: bytes, coding: str) -> bytes | bytearray:
    """The body without its coding. RefusedError: 415, 400, 413.

    In pieces: nobody else's thread runs while bytes of many MiB are put into one.
    """
    coding = coding.strip().lower()
    if coding in {"", "identity"}:
        return body
    if coding != "gzip":
        raise RefusedError(contract.ERROR_FRAME, f"the coding {coding[:40]!r} is not taken: gzip is", status=415)
    reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
    found = bytearray()
    try:
        for start in range(0, len(body), PACKED_PIECE):
            packed, part = body[start : start + PACKED_PIECE], b""
            while not reader.eof and (packed or len(part) == PIECE):  # of no more input there may be more output
                part = reader.decompress(packed, PIECE)
                packed = reader.unconsumed_tail
                found += part
                if len(found) > MAX_UNPACKED:
                    raise http.too_large(MAX_UNPACKED)
    except zlib.error:
        raise RefusedError(contract.ERROR_FRAME, "the request's body is no gzip") from None
    if not reader.eof:
        raise RefusedError(contract.ERROR_FRAME, "the request's gzip ends too early")
    return found


def read(body: bytes | bytearray) -> _Body:
    """The post. RefusedError (400): it is none."""
    try:
        return _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        refused = str(error)  # not the error: it would hold the body until garbage is looked for
    whole = jsontext.without_halves(body)  # a user's text may hold them
    if whole is not body:
        try:
            return _DECODER.decode(whole)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            refused = str(error)
    raise RefusedError(contract.ERROR_FRAME, f"the request's body is no post of a run: {refused}")


def decide(body: _Body, client: str) -> Posted:
    """What a post does to its run. RefusedError (400): a summary that is no JSON object, a line's number below 0."""
    files = body.files or {}
    batches = [
        LineBatch(FILES[name], client, chunk.offset, chunk.content)
        for name, chunk in files.items()
        if name in FILES and chunk.content
    ]
    summary = files.get(SUMMARY)
    ended = bool(body.complete) or body.exitcode is not None
    return Posted(
        batches=batches,
        client=client,
        summary=_summary(summary.content[-1]) if summary is not None and summary.content else None,
        preempting=bool(body.preempting),
        exit_code=max(-MAX_EXIT, min(body.exitcode or 0, MAX_EXIT)) if ended else None,
        leads=not LEADS.isdisjoint(body.uploaded or ()),
    )


def _summary(text: str) -> Mapping[str, Any]:
    """The summary; numbers that JSON lacks become texts."""
    try:
        return _OBJECT.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        pass
    try:
        found: Mapping[str, Any] = jsontext.finite(jsontext.read_object(text.encode(errors="replace"), allow_nan=True))
    except ValueError as error:
        raise RefusedError(contract.ERROR_FRAME, f"the summary is malformed: {error}") from None
    return found


def _job(
    known: KnownRun, posted: Posted, looked: Mapping[LineFile, Looked], now: float
) -> Callable[[sqlite3.Connection], sdk_stream.Outcome]:
    return lambda connection: sdk_stream.apply(connection, known.id, known.branch, posted, now, looked)
