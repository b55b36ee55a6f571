"""The controller's process: what runs when, who may write, how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping
from typing import Any, Final

from outrider_operator.controller import health
from outrider_operator.controller.book import Book
from outrider_operator.controller.certificates import Certificates
from outrider_operator.controller.context import Context, QueueKey
from outrider_operator.controller.feed import Feed
from outrider_operator.controller.fenced import FencedApi
from outrider_operator.controller.outbox import Outbox
from outrider_operator.controller.queue import WorkQueue
from outrider_operator.controller.settings import Settings
from outrider_operator.controller.store import NamespaceView, Store, namespace_view, run_key
from outrider_operator.controller.tracker import HttpTracker, Tracker
from outrider_operator.controller.watching import Watching
from outrider_operator.controller.workers import WORKERS, work
from outrider_operator.core.naming import run_id
from outrider_operator.core.observed import PodView, pod_view
from outrider_operator.core.retention import finished_at
from outrider_operator.kube.api import JOBS, NAMESPACES, PODS, RUNS, ApiError, Unreachable
from outrider_operator.kube.client import Client
from outrider_operator.kube.credentials import Credentials
from outrider_operator.kube.informer import Informer
from outrider_operator.kube.lease import Elector
from outrider_sidecar import contract

log = logging.getLogger(__name__)

SWEEP: Final = 300.0
"""Seconds between two whole lists of Runs and Jobs: kopf's watches do not say what a re-list lost."""
SECOND: Final = 10.0
"""Seconds from the first list to the second: what went between the first one and kopf's own is gone from that one."""
KEPT: Final = 600.0
"""Seconds after a Run's end in which what is known of its vanished pods is kept: the tracker may still be told."""
METADATA: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


class App:
    """One controller process. ``run`` returns when it is told to stop and raises where it cannot go on."""

    def __init__(self, settings: Settings, credentials: Credentials) -> None:
        self._settings, self._credentials = settings, credentials
        self._stop = asyncio.Event()
        self._synced = asyncio.Event()
        self._leading = asyncio.Event()
        self._queue: WorkQueue[QueueKey] = WorkQueue()
        self._store = Store(self._queue.add, time.time)

    def stop(self) -> None:
        """Give the Lease back and end."""
        self._stop.set()

    async def run(self) -> None:
        """Work until stopped. Raises LeaseLost, or what ended a part that the rest cannot do without."""
        app = health.application(
            lambda: "", lambda: "" if self._synced.is_set() else "the first lists are not complete"
        )
        runner = await health.serve(app, *self._settings.listen)
        try:
            async with Client(self._credentials) as client:
                await self._with_client(client)
        finally:
            await runner.cleanup()

    async def _with_client(self, client: Client) -> None:
        certificates = Certificates(client, self._settings)
        await certificates.read()
        if not self._settings.tracker_url:
            await self._with_tracker(client, certificates, None)
            return
        tracker = HttpTracker(
            self._settings.tracker_url,
            ca=certificates.bundle,
            token_file=self._settings.tracker_token_file,
            public_url=self._settings.public_url,
        )
        async with tracker:
            await self._with_tracker(client, certificates, tracker)

    def _context(
        self, client: Client, certificates: Certificates, tracker: Tracker | None, elector: Elector
    ) -> Context:
        def look_at(name: str) -> None:
            for run in self._store.runs.values():
                if run_id(run.name, run.uid, auto=run.auto) == name:
                    self._queue.add(run_key(run))

        def shown(name: str, url: str) -> None:
            if url and context.urls.get(name) != url:
                context.urls[name] = url
                look_at(name)

        def answered(why: str) -> None:
            if feed is not None:
                feed.answered(why)

        context = Context(
            api=FencedApi(client, lambda: elector.holds),
            store=self._store,
            queue=self._queue,
            book=Book(),
            outbox=Outbox(tracker, shown, answered, look_at),
            now=time.time,
            injection=certificates.injection,
            retention=self._settings.retention,
            watched=frozenset(self._settings.watch),
        )
        feed = Feed(context, tracker) if tracker is not None else None
        self._feed = feed
        return context

    async def _with_tracker(self, client: Client, certificates: Certificates, tracker: HttpTracker | None) -> None:
        elector = Elector(
            client, namespace=self._settings.namespace, name=self._settings.lease, me=self._settings.identity
        )
        context = self._context(client, certificates, tracker, elector)
        if tracker is None:
            context.book.away = "no tracker is configured (--tracker-url)"
        watching = Watching(self._credentials, self._event, self._settings.watch)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._until_stopped(elector))
                group.create_task(elector.run())
                for informer in self._informers(client):
                    group.create_task(informer.run())
                group.create_task(self._watch(client, watching))
                group.create_task(self._lead(group, context, certificates, elector, tracker))
        except* _Stopped:
            log.info("stopped")
        finally:
            await watching.stop()

    async def _until_stopped(self, elector: Elector) -> None:
        await self._stop.wait()
        # First the Lease, so that a follower takes over while the rest of this process ends.
        await elector.release()
        raise _Stopped

    def _informers(self, client: Client) -> list[Informer[Any]]:
        namespaces: tuple[str | None, ...] = self._settings.watch or (None,)
        pods = [
            Informer[PodView](
                client,
                PODS,
                pod_view,
                self._store.pod_changed,
                namespace=namespace,
                labels=f"{contract.TRACKED}=true",
            )
            for namespace in namespaces
        ]
        self._lists: list[Informer[Any]] = [*pods]
        if not self._settings.watch:
            # A namespaced install may not see namespaces: there is no opt-in by namespace then.
            self._lists.append(
                Informer[NamespaceView](
                    client, NAMESPACES, namespace_view, self._store.namespace_changed, accept=METADATA
                )
            )
        return self._lists

    async def _watch(self, client: Client, watching: Watching) -> None:
        """Fill the store, then follow kopf, with a whole list now and then. Raises where kopf has ended."""
        wait = 0.5
        while not self._synced.is_set():
            try:
                await self._sweep(client)
            except (ApiError, Unreachable) as error:
                log.warning("the first lists failed, next try in %.1f s: %s", wait, error)
                await asyncio.sleep(wait)
                wait = min(15.0, 2 * wait)
                continue
            for informer in self._lists:
                await informer.synced.wait()
            watching.start()
            self._synced.set()
        pause = SECOND
        while True:
            try:
                async with asyncio.timeout(pause):
                    await watching.ended.wait()
                raise RuntimeError(f"kopf has ended: {watching.error!r}")
            except TimeoutError:
                pause = SWEEP
                try:
                    await self._sweep(client)
                    self._store.tidy(lambda run: (end := finished_at(run)) is not None and time.time() - end > KEPT)
                except (ApiError, Unreachable) as error:
                    log.warning("the regular lists failed: %s", error)

    async def _sweep(self, client: Client) -> None:
        namespaces: tuple[str | None, ...] = self._settings.watch or (None,)
        runs: list[dict[str, Any]] = []
        jobs: list[dict[str, Any]] = []
        known_runs, known_jobs = list(self._store.runs.values()), list(self._store.jobs)
        for namespace in namespaces:
            runs += await client.items(RUNS, namespace)
            jobs += await client.items(JOBS, namespace)
        self._store.replace_all(runs, jobs, known_runs=known_runs, known_jobs=known_jobs)

    def _event(self, plural: str, kind: str | None, obj: Mapping[str, Any]) -> None:
        meta = obj.get("metadata") or {}
        if plural == "runs":
            if kind == "DELETED":
                self._store.drop_run(str(meta.get("namespace")), str(meta.get("name")), str(meta.get("uid")))
            else:
                self._store.put_run(obj)
        elif kind == "DELETED":
            self._store.drop_job(str(meta.get("uid")), obj)
        else:
            self._store.put_job(obj)

    async def _lead(
        self,
        group: asyncio.TaskGroup,
        context: Context,
        certificates: Certificates,
        elector: Elector,
        tracker: HttpTracker | None,
    ) -> None:
        """Begin to write once the store is full and the Lease is ours."""
        await elector.leading.wait()
        if self._settings.certificates:
            group.create_task(certificates.keep())
        await self._synced.wait()
        # What was seen as a follower may be older than what the former leader wrote: everything is looked at again.
        for run in list(self._store.runs.values()):
            self._queue.add(run_key(run))
        for _ in range(WORKERS):
            group.create_task(work(context))
        if tracker is not None and self._feed is not None:
            group.create_task(context.outbox.run())
            group.create_task(self._feed.follow())
            group.create_task(self._feed.ask())
            group.create_task(self._trust(certificates, tracker))

    async def _trust(self, certificates: Certificates, tracker: HttpTracker) -> None:
        """Tell the tracker's client of new CAs."""
        while True:
            with contextlib.suppress(OSError):
                tracker.trust(certificates.bundle)
            await asyncio.sleep(5.0)


class _Stopped(Exception):  # noqa: N818
    """Told to stop: how the task group ends."""
