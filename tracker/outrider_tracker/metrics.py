"""/metrics for Prometheus: sums over the whole tracker, no names of entities or Runs, so that it needs no key."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from outrider_tracker import http
from outrider_tracker.decode.decoder import Decoder
from outrider_tracker.decode.line_decoder import LineDecoder
from outrider_tracker.decode.process import DecodingProcess
from outrider_tracker.ingest.context import Ingest
from outrider_tracker.maintenance import Maintenance


class TrackerCollector(Collector):
    """Reads the counters when it is asked."""

    def __init__(
        self,
        ingest: Ingest,
        decoding: DecodingProcess,
        decoder: Decoder,
        lines: LineDecoder,
        maintenance: Maintenance,
    ) -> None:
        self._ingest = ingest
        self._decoding = decoding
        self._decoder = decoder
        self._lines = lines
        self._maintenance = maintenance

    def collect(self) -> Iterator[Metric]:
        """All metrics."""
        counters, store = self._ingest.counters, self._ingest.store
        sums: dict[str, tuple[str, float]] = {
            "append_requests": ("Append requests that were made durable.", counters.requests),
            "append_raw_bytes": ("Raw bytes of data frames received.", counters.raw_bytes),
            "append_stored_bytes": ("Payload bytes written for them.", counters.stored_bytes),
            "append_frames": ("Frames received.", counters.frames),
            "unknown_frames": ("Frames of unknown types, skipped.", counters.unknown_frames),
            "store_commits": ("Transactions committed.", store.writer.commits),
            "store_jobs": ("Jobs committed in them.", store.writer.jobs),
            "decoding_process_starts": ("Times a decoding process was started.", self._decoding.starts),
            "sealed_streams": ("Times a stream gave frames to an object.", self._maintenance.sealed_streams),
            "sealed_series": ("Times a series' tail became chunks.", self._maintenance.sealed_series),
        }
        for name, (meaning, value) in sums.items():
            yield CounterMetricFamily(f"outrider_tracker_{name}", meaning, value=value)
        refused = CounterMetricFamily(
            "outrider_tracker_quota_refusals", "Requests that were over a quota, by its name.", labels=["quota"]
        )
        for quota, count in sorted(self._ingest.limits.refused.items()):
            refused.add_metric([quota], count)
        yield refused
        disk = self._ingest.gauge.disk()
        states: dict[str, tuple[str, float]] = {
            "active_sources": ("Sources answered within 30 s.", self._ingest.activity.active(self._ingest.clock())),
            "writer_queue": ("Jobs that wait for the writer.", store.writer.waiting),
            "body_bytes": ("Bytes of request bodies in memory.", self._ingest.limits.budget.taken),
            "decoder_stuck_streams": ("Streams that this release cannot decode.", len(self._decoder.stuck)),
            "stream_backlog": ("Streams of pods with bytes that are not decoded.", self._decoder.backlog()),
            "line_backlog": ("Lines of SDK runs that are durable and not decoded.", self._lines.backlog()),
            "line_decoder_stuck_spaces": ("Files of lines that this release cannot decode.", len(self._lines.stuck)),
            "requests_in_progress": ("Requests at the plain doors.", http.IN_PROGRESS.count),
            "disk_used_ratio": ("Part of the data folder's disk in use.", disk.used),
            "disk_free_bytes": ("Bytes free on it.", disk.free),
        }
        for name, (meaning, value) in states.items():
            yield GaugeMetricFamily(f"outrider_tracker_{name}", meaning, value=value)


def routes(collector: Collector, broken: Callable[[], str | None]) -> list[Route]:
    """`/metrics`, `/healthz` (the process lives) and `/readyz` (it can take data)."""
    registry = CollectorRegistry()
    registry.register(collector)

    def show(_: Request) -> Response:  # in a thread: it asks the database
        return Response(generate_latest(registry), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def alive(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def ready(_: Request) -> Response:
        reason = broken()
        return PlainTextResponse("ok\n") if reason is None else PlainTextResponse(f"{reason}\n", 503)

    return [Route("/metrics", show), Route("/healthz", alive), Route("/readyz", ready)]
