"""kopf as plumbing: it watches Runs and Jobs, and every event becomes one call. It writes nothing to any object.

kopf runs in a thread of its own, with a loop of its own: it takes over signals and, at its end, cancels every task of
its loop.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import kopf

from outrider_operator.kube.credentials import Credentials

CHUNK: Final = 500
IDLE: Final = 0.2
TOKEN_LIFE: Final = dt.timedelta(minutes=10)  # a service account's token is renewed by the kubelet, kopf reads it anew

OnEvent = Callable[[str, str | None, Mapping[str, Any]], None]
"""(plural, type or None for an initial object, object)."""


class Connection(kopf.ConnectionInfo):
    """kopf's, which takes certificates without key identifiers too, as our other clients of the API do."""

    def as_ssl_context(self) -> ssl.SSLContext:
        """TLS settings."""
        context = super().as_ssl_context()
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return context


def settings() -> kopf.OperatorSettings:
    """Kopf's settings for a controller that only listens."""
    made = kopf.OperatorSettings()
    made.scanning.disabled = True
    made.watching.chunk_size = CHUNK
    made.queueing.idle_timeout = IDLE
    made.networking.request_timeout = 30
    made.networking.connect_timeout = 5
    made.posting.enabled = False
    made.process.ultimate_exiting_timeout = 30
    made.persistence.finalizer = "outrider.dev/never-set"
    return made


def registry(credentials: Credentials, on_event: OnEvent) -> kopf.OperatorRegistry:
    """The handlers: ``on.event`` for each watched kind, and how to log in."""
    made = kopf.OperatorRegistry()

    @kopf.on.login(registry=made)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        expiration = dt.datetime.now(dt.UTC) + TOKEN_LIFE if credentials.token_file is not None else None
        return Connection(
            server=credentials.server,
            ca_data=credentials.ca or None,
            token=credentials.bearer() or None,
            certificate_data=credentials.certificate or None,
            private_key_data=credentials.key or None,
            insecure=credentials.insecure or None,
            default_namespace=credentials.namespace,
            expiration=expiration,
        )

    @kopf.on.event("outrider.dev", "v1alpha1", "runs", registry=made)
    async def run_event(type: str | None, event: Mapping[str, Any], **_: Any) -> None:  # noqa: A002  kopf's name
        on_event("runs", type, event["object"])

    @kopf.on.event("batch", "v1", "jobs", registry=made)
    async def job_event(type: str | None, event: Mapping[str, Any], **_: Any) -> None:  # noqa: A002
        on_event("jobs", type, event["object"])

    return made


class Watching:
    """The thread that kopf runs in. ``ended`` is set once it has ended, ``error`` says why where it failed."""

    def __init__(self, credentials: Credentials, on_event: OnEvent, namespaces: tuple[str, ...]) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = threading.Event()
        self.ended = asyncio.Event()
        self.error: BaseException | None = None

        def forward(plural: str, kind: str | None, obj: Mapping[str, Any]) -> None:
            self._loop.call_soon_threadsafe(on_event, plural, kind, obj)

        self._registry = registry(credentials, forward)
        self._namespaces = namespaces
        self._thread = threading.Thread(target=self._run, name="kopf", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def _run(self) -> None:
        try:
            asyncio.run(
                kopf.operator(
                    registry=self._registry,
                    settings=settings(),
                    standalone=True,
                    # Else kopf asks for the name of the user, and the image's has none; peering itself is off.
                    identity=cast("Any", "outrider"),
                    clusterwide=not self._namespaces,
                    namespaces=self._namespaces,
                    stop_flag=self._stop,
                )
            )
        except BaseException as error:  # noqa: BLE001  told to the main thread, which ends the process
            self.error = error
        finally:
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self.ended.set)

    async def stop(self) -> None:
        """Ask kopf to end and wait a short while for it; the thread is a daemon and holds nothing."""
        self._stop.set()
        try:
            async with asyncio.timeout(3.0):
                await self.ended.wait()
        except TimeoutError:
            return
