"""Workers: take keys from the queue, run their passes, bring back what failed."""

from __future__ import annotations

import logging
import time
from typing import Final

from prometheus_client import Counter, Histogram

from outrider_operator.controller.context import Context, QueueKey
from outrider_operator.controller.fenced import NotLeading
from outrider_operator.controller.run_pass import run_pass
from outrider_operator.controller.workload_pass import workload_pass
from outrider_operator.kube.api import ApiError, Conflict, TooManyRequests, Unreachable

log = logging.getLogger(__name__)

WORKERS: Final = 4

PASSES = Counter("outrider_passes", "Passes by kind and outcome", ["kind", "outcome"])
SECONDS = Histogram("outrider_pass_seconds", "How long a pass takes", ["kind"])


async def one_pass(context: Context, key: QueueKey) -> None:
    """A pass over a key; whatever fails comes back later, and is logged."""
    kind, namespace, name = key
    begun = time.monotonic()
    try:
        if kind == "run":
            await run_pass(context, namespace, name)
        else:
            await workload_pass(context, name)
    except NotLeading:
        raise
    except TooManyRequests as error:
        PASSES.labels(kind, "throttled").inc()
        context.queue.add_after(key, error.retry_after)
    except Conflict as error:
        # The object has changed since it was seen; its event is on its way.
        PASSES.labels(kind, "conflict").inc()
        context.queue.failed(key)
        log.info("pass over %s %s: %s", kind, f"{namespace}/{name}".strip("/"), error)
    except (ApiError, Unreachable) as error:
        PASSES.labels(kind, "failed").inc()
        wait = context.queue.failed(key)
        log.warning("pass over %s %s failed, again in %.1f s: %s", kind, f"{namespace}/{name}".strip("/"), wait, error)
    except Exception:
        # A defect of ours met by one object must not keep the others waiting.
        PASSES.labels(kind, "error").inc()
        wait = context.queue.failed(key)
        log.exception("pass over %s %s failed, again in %.1f s", kind, f"{namespace}/{name}".strip("/"), wait)
    else:
        PASSES.labels(kind, "done").inc()
        context.queue.succeeded(key)
    finally:
        SECONDS.labels(kind).observe(time.monotonic() - begun)


async def work(context: Context) -> None:
    """Do passes until cancelled."""
    while True:
        key = await context.queue.get()
        try:
            await one_pass(context, key)
        finally:
            context.queue.done(key)
