"""Composes the tracker: store, doors, background work. No decision is made here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fastapi import FastAPI

from outrider_sidecar import contract
from outrider_tracker import __version__, api, maintenance, metrics
from outrider_tracker.auth.entities import EntityMap
from outrider_tracker.auth.gate import Gate
from outrider_tracker.auth.signing import HmacSigner
from outrider_tracker.auth.tokens import Cluster, TokenVerifier
from outrider_tracker.control.doors import Control
from outrider_tracker.control.doors import routes as control_routes
from outrider_tracker.core.quotas import QuotaTable
from outrider_tracker.decode.decoder import Decoder
from outrider_tracker.decode.line_decoder import LineDecoder
from outrider_tracker.decode.process import DecodingProcess
from outrider_tracker.garbage import WholeLook
from outrider_tracker.ingest import doors, uploads
from outrider_tracker.ingest.appender import Appender
from outrider_tracker.ingest.context import Ingest
from outrider_tracker.ingest.directives import DirectiveBoard
from outrider_tracker.ingest.watermarks import DiskGauge, Watermarks
from outrider_tracker.limits import Limits
from outrider_tracker.log import say
from outrider_tracker.maintenance import Maintenance
from outrider_tracker.notifier import Notifier
from outrider_tracker.pool import FairPool
from outrider_tracker.services import Services
from outrider_tracker.store.checkpoints import Checkpointer
from outrider_tracker.store.errors import StoreBrokenError
from outrider_tracker.store.store import Store
from outrider_tracker.wandb import doors as wandb_doors
from outrider_tracker.wandb import engine
from outrider_tracker.wandb.addresses import Network
from outrider_tracker.wandb.composition import Wandb

READ_THREADS: Final = 8
INGEST_THREADS: Final = 4
WANDB_THREADS: Final = 16  # most of them wait for the writer
SHARE: Final = 2  # threads of each that one caller has at a time: more would only wait for the interpreter


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line decides."""

    data: Path
    cluster: Cluster | None = None
    entities: EntityMap = field(default_factory=EntityMap)
    marks: Watermarks = field(default_factory=Watermarks)
    quotas: QuotaTable = field(default_factory=QuotaTable)
    public_url: str = ""
    trusted_proxies: tuple[Network, ...] = ()
    seal_interval: float = maintenance.INTERVAL
    seal_bytes: int = maintenance.SEAL_BYTES


class Tracker:
    """The composed tracker; `app` is its ASGI application, usable while `running`."""

    def __init__(self, settings: Settings) -> None:
        """FolderRefusedError, SchemaRefusedError: the message says what to do."""
        self.failed = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.notifier = Notifier()
        self.store = Store(
            settings.data, on_broken=self._broken, max_series=lambda entity: settings.quotas.of(entity).series
        )
        self.limits = Limits(self.store, settings.quotas)
        crowded = self.store.writer.shared_with
        self.reads = FairPool(READ_THREADS, "read", SHARE, crowded)
        self.work = FairPool(INGEST_THREADS, "ingest", SHARE, crowded)
        self.clients = FairPool(WANDB_THREADS, "wandb", SHARE, crowded)
        self.decoding = DecodingProcess(self.store.folder.database, self.store.folder.objects)
        self.decoder = Decoder(self.store, self.notifier.publish, self.decoding)
        self.line_decoder = LineDecoder(self.store, self.notifier.publish, self.decoding)
        self.checkpointer = Checkpointer(self.store.folder.database, self.store.writer)
        self.maintenance = Maintenance(
            self.store,
            interval=settings.seal_interval,
            seal_bytes=settings.seal_bytes,
            chores=(self.limits.measure, WholeLook(), self.decoding.end_if_idle),
            serving=self._serving,
        )
        tokens = None if settings.cluster is None else TokenVerifier(settings.cluster, settings.entities)
        gate = Gate(self.store.people, tokens, self.reads)
        signer = HmacSigner(self.store.secret)
        self._gauge = gauge = DiskGauge(settings.data, settings.marks)
        self.ingest = Ingest(
            store=self.store,
            gate=gate,
            entities=settings.entities,
            appender=Appender(self.store, gauge),
            decoder=self.decoder,
            notifier=self.notifier,
            directives=DirectiveBoard(self.notifier.publish),
            gauge=gauge,
            signer=signer,
            pool=self.work,
            limits=self.limits,
        )
        self.services = Services(
            reader=self.store.reader,
            sdk=self.store.sdk,
            people=self.store.people,
            signer=signer,
            notifier=self.notifier,
            reads=self.reads,
            version=__version__,
            public_url=settings.public_url,
        )
        self.wandb = Wandb(
            store=self.store,
            gate=gate,
            engine=engine.load(),
            signer=signer,
            notifier=self.notifier,
            gauge=gauge,
            limits=self.limits,
            pool=self.clients,
            wake=self.line_decoder.wake,
            lag=self.line_decoder.lag,
            public_url=settings.public_url,
            trusted=settings.trusted_proxies,
        )
        self.app = FastAPI(
            title="Outrider tracker",
            version=__version__,
            openapi_url=None,
            docs_url=None,
            redoc_url=None,
        )
        collector = metrics.TrackerCollector(
            self.ingest, self.decoding, self.decoder, self.line_decoder, self.maintenance
        )
        plain = [
            *doors.routes(self.ingest),
            *uploads.routes(self.ingest),
            *control_routes(Control(self.store, gate, settings.entities, self.notifier, self.reads)),
            *wandb_doors.routes(self.wandb),
            *metrics.routes(collector, self._reason),
        ]
        self.app.router.routes.extend(plain)
        api.mount(self.app, self.services)

    def start(self) -> None:
        """Begins the background work; to be called in the event loop."""
        self._loop = asyncio.get_running_loop()
        self.notifier.start(self._loop)
        self.decoder.start()
        self.line_decoder.start()
        self.maintenance.start()
        self.checkpointer.start()

    def stop_waiting(self) -> None:
        """Lets long answers end."""
        self.notifier.close()

    def close(self) -> None:
        """Ends everything, in order. Blocking."""
        self.notifier.close()
        self.maintenance.close()
        self.checkpointer.close()
        self.decoder.close()
        self.line_decoder.close()
        self.decoding.close()
        self.work.shutdown()
        self.clients.shutdown()
        self.reads.shutdown()
        self.store.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[FastAPI]:
        """Started, and closed at the end. The servers run without ASGI lifespan, since there may be two of them."""
        self.start()
        try:
            yield self.app
        finally:
            await asyncio.get_running_loop().run_in_executor(None, self.close)

    def _broken(self, error: StoreBrokenError) -> None:
        say("store.broken", reason=str(error))
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.failed.set)

    def _serving(self) -> bool:
        return self.store.writer.broken is None and contract.KIND_METRICS in self._gauge.accepts()

    def _reason(self) -> str | None:
        return None if self.store.writer.broken is None else str(self.store.writer.broken)
