"""What the doors for W&B's clients work with; composed once by app.py."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import ParamSpec, Protocol, TypeVar

from starlette.requests import Request

from outrider_sidecar import contract
from outrider_tracker.auth.gate import Gate
from outrider_tracker.auth.signing import HmacSigner
from outrider_tracker.core.errors import RefusedError
from outrider_tracker.core.principals import Principal
from outrider_tracker.decode.line_lag import LineLag
from outrider_tracker.limits import Limits
from outrider_tracker.notifier import Notifier
from outrider_tracker.store.store import Store
from outrider_tracker.store.writer import OWN
from outrider_tracker.wandb.addresses import Network, base_url
from outrider_tracker.wandb.context import Context
from outrider_tracker.wandb.engine import Engine
from outrider_tracker.wandb.nodes import default_entity
from outrider_tracker.wandb.run_cache import RunCache

P = ParamSpec("P")
T = TypeVar("T")


class Gauge(Protocol):
    """What the disk takes now."""

    def accepts(self) -> tuple[str, ...]:
        """Kinds of data, `files` and `metrics` among them."""


@dataclass(frozen=True, slots=True)
class Wandb:
    """Handed to every door. `pool` runs what blocks; `wake` tells the decoder that lines came."""

    store: Store
    gate: Gate
    engine: Engine
    signer: HmacSigner
    notifier: Notifier
    gauge: Gauge
    limits: Limits
    pool: Executor
    wake: Callable[[], None] = lambda: None
    lag: LineLag = field(default_factory=LineLag)
    public_url: str = ""
    trusted: Sequence[Network] = ()
    runs: RunCache = field(default_factory=RunCache)

    async def work(self, job: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs blocking work in the pool."""
        return await asyncio.get_running_loop().run_in_executor(self.pool, lambda: job(*args, **kwargs))

    async def write(self, job: Callable[[sqlite3.Connection], T], weight: int = 0, tenant: str = OWN) -> T:
        """Runs a job in the writer; back when it is durable."""
        waiting: Future[T] = self.store.writer.submit(job, weight, tenant)
        return await asyncio.wrap_future(waiting)

    def context(self, request: Request, principal: Principal | None) -> Context:
        """What resolvers get of this request. RefusedError (400): the client's Host is none."""
        headers = request.headers
        peer = request.client.host if request.client else ""
        base = base_url(request.url.scheme, headers, peer, public_url=self.public_url, trusted=self.trusted)
        if not base:
            raise RefusedError(contract.ERROR_FRAME, "the header Host names no host")
        shared = headers.get("x-wandb-use-async-filestream", "").lower() == "true"
        return Context(
            store=self.store,
            signer=self.signer,
            notifier=self.notifier,
            principal=principal,
            base_url=base,
            client=headers.get("x-wandb-client-id", "")[:128] if shared else "",
            username=(headers.get("x-wandb-username") or headers.get("x-wandb-user-email") or "")[:254],
            tenant=default_entity(principal),
            forget_run=self.runs.forget,
            check_runs=self.limits.check_runs,
        )
