"""The webhook's two doors: admission over TLS, health and metrics in plain HTTP. It asks nobody while it answers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from outrider_operator.core.injection_config import InjectionConfig
from outrider_operator.webhook.review import Outcome, answer
from outrider_operator.webhook.tls import LiveCertificate

log = logging.getLogger(__name__)

# A pod is at most 1.5 MiB in etcd, and a review holds it once on creation; the API server's own bound is 3 MiB.
MAX_BODY: Final = 4 << 20
Address = tuple[str | None, int]  # host, or None for all; port
PATHS: Final = {"/inject/namespace": True, "/inject/pod": False}  # path -> the namespace opted in
BODY_SECONDS: Final = 5  # the API server gives up after 2 s
_BUCKETS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


@dataclass(slots=True)
class Metrics:
    """What the webhook counts."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    reviews: Counter = field(init=False)
    seconds: Histogram = field(init=False)
    certificate: Gauge = field(init=False)

    def __post_init__(self) -> None:
        """Register the metrics."""
        self.reviews = Counter(
            "outrider_webhook_reviews", "Admission reviews by what became of them", ["outcome"], registry=self.registry
        )
        for outcome in Outcome:
            self.reviews.labels(str(outcome))
        self.seconds = Histogram(
            "outrider_webhook_answer_seconds", "Time to answer a review", buckets=_BUCKETS, registry=self.registry
        )
        self.certificate = Gauge(
            "outrider_webhook_certificate_loads", "How often a certificate was loaded", registry=self.registry
        )


class Webhook:
    """State of one process: the configuration in use, the certificate, the counters."""

    def __init__(self, config: InjectionConfig) -> None:
        self.config = config
        self._follow_ca = config.ca is None
        self.tls = LiveCertificate()
        self.metrics = Metrics()
        self._counters = {outcome: self.metrics.reviews.labels(str(outcome)) for outcome in Outcome}

    @property
    def ready(self) -> bool:
        """Whether reviews can be answered."""
        return self.tls.loaded

    def use(self, certificate: str, key: str, ca: str) -> None:
        """Take a new certificate, and the bundle of CAs that new sidecars will trust.

        Raises:
            ssl.SSLError: the pair is unusable; the old one stays in use.

        """
        if self.tls.load(certificate, key):
            self.metrics.certificate.inc()
            log.info("certificate loaded")
        if self._follow_ca and ca and ca != self.config.ca:
            self.config = self.config.with_ca(ca)
            log.info("bundle of CAs for sidecars loaded")

    async def review(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer an admission review; anything else on this port is 404 or 405."""
        by_namespace = PATHS.get(request.path)
        if by_namespace is None:
            return web.Response(status=404, text=f"no such door; there are {', '.join(PATHS)}\n")
        if request.method != "POST":
            return web.Response(status=405, text="admission reviews are POSTed\n", headers={"Allow": "POST"})
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _bounded(request)
        except TimeoutError:
            return web.Response(status=408, text=f"the review did not come within {BODY_SECONDS} s\n")
        begun = time.perf_counter()
        given = answer(body, self.config, by_namespace=by_namespace)
        self.metrics.seconds.observe(time.perf_counter() - begun)
        self._counters[given.outcome].inc()
        return web.Response(body=given.body, content_type="application/json")

    async def health(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer ``/healthz``, ``/readyz`` and ``/metrics``."""
        if request.path == "/healthz":
            return web.Response(text="ok\n")
        if request.path == "/readyz":
            if self.ready:
                return web.Response(text="ok\n")
            return web.Response(status=503, text="no certificate yet: the controller has not filled the Secret\n")
        if request.path == "/metrics":
            body = generate_latest(self.metrics.registry)
            return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})
        return web.Response(status=404, text="there are /healthz, /readyz and /metrics\n")


async def _bounded(request: web.BaseRequest) -> bytes:
    """The body; of one that is too large only so much that it cannot be parsed, which leaves the pod as it is."""
    chunks, size = [], 0
    async for chunk in request.content.iter_any():
        size += len(chunk)
        if size <= MAX_BODY:
            chunks.append(chunk)
        else:
            chunks = []
    return b"".join(chunks)


@contextlib.asynccontextmanager
async def serving(webhook: Webhook, listen: Address, health: Address) -> AsyncIterator[tuple[int, int]]:
    """Serve both doors; gives the ports they really have. On leaving, requests in flight are answered first."""
    doors = web.Server(webhook.review, access_log=None), web.Server(webhook.health, access_log=None)
    runners = [web.ServerRunner(door, shutdown_timeout=5.0) for door in doors]
    try:
        sites = []
        for runner, (host, port), context in zip(runners, (listen, health), (webhook.tls.context, None), strict=True):
            await runner.setup()
            sites.append(web.TCPSite(runner, host, port, ssl_context=context, backlog=1024))
            await sites[-1].start()
        ports = [runner.addresses[0][1] for runner in runners]
        yield ports[0], ports[1]
    finally:
        await asyncio.gather(*(runner.cleanup() for runner in runners))
