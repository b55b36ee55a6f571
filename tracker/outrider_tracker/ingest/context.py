"""What the ingest doors work with."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Final, ParamSpec, TypeVar

from starlette.requests import Request

from outrider_sidecar import contract
from outrider_tracker.auth.entities import EntityMap
from outrider_tracker.auth.gate import Gate, demand
from outrider_tracker.auth.signing import HmacSigner
from outrider_tracker.core.errors import RefusedError
from outrider_tracker.core.principals import Pod, Principal
from outrider_tracker.core.rules import Action, Target
from outrider_tracker.decode.decoder import Decoder
from outrider_tracker.ingest.appender import Appender
from outrider_tracker.ingest.directives import DirectiveBoard
from outrider_tracker.ingest.watermarks import DiskGauge
from outrider_tracker.limits import Limits
from outrider_tracker.notifier import Notifier
from outrider_tracker.store.sources import SourceRow, get_source
from outrider_tracker.store.store import Store

P = ParamSpec("P")
T = TypeVar("T")
ACTIVE_SECONDS: Final = 30.0
REMEMBERED: Final = 20_000


@dataclass(slots=True)
class Activity:
    """When each source was last answered, by our wall clock: bounds clocks, and tells how many are active."""

    answered: OrderedDict[str, float] = field(default_factory=OrderedDict)

    def note(self, source: str, now: float) -> None:
        """An answer leaves now."""
        self.answered[source] = now
        self.answered.move_to_end(source)
        while len(self.answered) > REMEMBERED:
            self.answered.popitem(last=False)

    def active(self, now: float) -> int:
        """Sources that were answered within 30 s (counted from the newest; stops at the first older one)."""
        count = 0
        for moment in reversed(self.answered.values()):
            if now - moment > ACTIVE_SECONDS:
                break
            count += 1
        return count


@dataclass(slots=True)
class Counters:
    """Since the start, for /metrics."""

    requests: int = 0
    raw_bytes: int = 0
    stored_bytes: int = 0
    frames: int = 0
    unknown_frames: int = 0
    refused: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ingest:
    """Composed once by app.py."""

    store: Store
    gate: Gate
    entities: EntityMap
    appender: Appender
    decoder: Decoder
    notifier: Notifier
    directives: DirectiveBoard
    gauge: DiskGauge
    signer: HmacSigner
    pool: Executor
    limits: Limits
    activity: Activity = field(default_factory=Activity)
    counters: Counters = field(default_factory=Counters)
    clock: Callable[[], float] = time.time

    async def work(self, job: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs blocking work in the pool."""
        return await asyncio.get_running_loop().run_in_executor(self.pool, lambda: job(*args, **kwargs))

    def find_source(self, uid: str) -> SourceRow | None:
        """The source as it is stored (blocking)."""
        return self.store.readers.read(lambda connection: get_source(connection, uid))

    async def own_source(self, request: Request) -> tuple[Principal, str, SourceRow]:
        """The declared source of the path, for a caller who may write it. RefusedError: 401, 403, undeclared."""
        principal = await self.gate.principal(request)
        uid = request.path_params["source"]
        if isinstance(principal, Pod):
            demand(principal, Action.INGEST, Target(principal.entity, uid))
        row = await self.work(self.find_source, uid)
        if row is None or row.epoch == 0:
            raise RefusedError(
                contract.ERROR_UNDECLARED, f"source {uid} was never declared here: PUT it first, then send its data"
            )
        check_owner(principal, uid, row)
        return principal, uid, row


def check_owner(principal: Principal, uid: str, row: SourceRow) -> None:
    """RefusedError: 401 for a pod that is deleted, 403 for a source of another entity or cluster."""
    demand(principal, Action.INGEST, Target(row.entity, uid))
    if isinstance(principal, Pod):
        if row.issuer and row.issuer != principal.issuer:
            raise RefusedError(contract.ERROR_FORBIDDEN, f"source {uid} belongs to a pod of another cluster")
        if row.deleted:
            raise RefusedError(contract.ERROR_UNAUTHENTICATED, f"pod {uid} is deleted: its token is no longer accepted")
