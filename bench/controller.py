"""Controller at scale: start and memory with N tracked pods, and pod events a second of CPU.

    python bench/controller.py [--pods 10000] [--events 20000]

A server in a second process answers lists (paged) and one watch over loopback HTTP; pods have about 6 KB of JSON, as
injected pods of a real API server have. Measured in this process: seconds and MiB from nothing until all pods are in
the store and joined, then CPU seconds for a burst of status changes, passes over their Runs included.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import resource
import time
from pathlib import Path
from typing import Any

from aiohttp import web

from outrider_operator.controller.book import Book
from outrider_operator.controller.context import Context, QueueKey
from outrider_operator.controller.outbox import Outbox
from outrider_operator.controller.queue import WorkQueue
from outrider_operator.controller.run_pass import run_pass
from outrider_operator.controller.store import Store
from outrider_operator.core.observed import pod_view
from outrider_operator.kube.api import JOBS, PODS, RUNS
from outrider_operator.kube.client import Client
from outrider_operator.kube.credentials import Credentials
from outrider_operator.kube.informer import Informer
from tests.fakeapi.memory import MemoryApi

PER_JOB = 100
STARTED = "2026-11-21T12:00:01Z"


def job_uid(number: int) -> str:
    return f"{number:08x}-1111-4111-8111-111111111111"


def pod(number: int, version: int, phase: str) -> dict[str, Any]:
    """A pod of about 6 KB: two containers, conditions, managedFields."""
    owner = {"kind": "Job", "name": f"job-{number // PER_JOB}", "uid": job_uid(number // PER_JOB), "controller": True}
    state = {"running": {"startedAt": STARTED}} if phase == "Running" else {"waiting": {"reason": "PodInitializing"}}
    status = {
        "name": "main",
        "image": "i" * 80,
        "imageID": "sha256:" + "0" * 64,
        "restartCount": version % 7,
        "state": state,
    }
    fields: dict[str, Any] = {f"f:key{n}": {"f:nested": {}, ".": {}} for n in range(60)}
    return {
        "metadata": {
            "name": f"job-{number // PER_JOB}-{number % PER_JOB}",
            "namespace": "team",
            "uid": f"{number:08x}-0000-4000-8000-000000000000",
            "resourceVersion": str(version),
            "creationTimestamp": "2026-11-21T12:00:00Z",
            "labels": {"outrider.dev/tracked": "true"},
            "annotations": {
                "batch.kubernetes.io/job-completion-index": str(number % PER_JOB),
                "outrider.dev/injected": "version=0.1.0 main=wrap",
            },
            "ownerReferences": [owner],
            "managedFields": [{"manager": "kubelet", "operation": "Update", "fieldsV1": fields}],
        },
        "spec": {
            "nodeName": f"node-{number % 512}",
            "containers": [
                {"name": "main", "image": "i" * 80, "env": [{"name": f"E{n}", "value": "v" * 20} for n in range(30)]}
            ],
        },
        "status": {"phase": phase, "containerStatuses": [status], "conditions": [{"type": "Ready", "status": "True"}]},
    }


def serve(ready: Any, pods: int, events: int) -> None:
    """The API server's process."""
    pages = [json.dumps([pod(n, 1, "Running") for n in range(at, min(pods, at + 500))]) for at in range(0, pods, 500)]
    lines = [
        json.dumps({"type": "MODIFIED", "object": pod(n % pods, 10 + n // pods, "Running")}).encode() + b"\n"
        for n in range(events)
    ]
    go = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            at = int(request.query.get("continue") or 0)
            token = str(at + 1) if at + 1 < len(pages) else ""
            meta = json.dumps({"resourceVersion": "5", "continue": token})
            return web.Response(text=f'{{"metadata": {meta}, "items": {pages[at]}}}', content_type="application/json")
        response = web.StreamResponse()
        await response.prepare(request)
        await go.wait()
        for at in range(0, len(lines), 50):
            await response.write(b"".join(lines[at : at + 50]))
        await asyncio.sleep(3600)
        return response

    async def start(_: web.Request) -> web.Response:
        go.set()
        return web.Response()

    async def main() -> None:
        app = web.Application()
        app.router.add_get("/go", start)
        app.router.add_get("/{path:.*}", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        ready.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(main())


def rss() -> float:
    """Resident MiB of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def measure(url: str, pods: int) -> None:
    queue: WorkQueue[QueueKey] = WorkQueue()
    store = Store(queue.add, time.time)
    api = MemoryApi()
    context = Context(
        api=api,
        store=store,
        queue=queue,
        book=Book(),
        outbox=Outbox(None, lambda *_: None, lambda _: None),
        now=time.time,
        injection=lambda: None,
    )
    for number in range(pods // PER_JOB):
        name, uid = f"job-{number}", job_uid(number)
        spec = {"completions": PER_JOB, "parallelism": PER_JOB, "completionMode": "Indexed"}
        store.put_job(
            api.put(
                JOBS,
                {
                    "metadata": {"name": name, "namespace": "team", "uid": uid},
                    "spec": spec,
                    "status": {"active": PER_JOB},
                },
            )
        )
        ref = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": uid}
        meta = {"name": f"{name}-run", "namespace": "team", "labels": {"outrider.dev/auto": "true"}}
        store.put_run(api.put(RUNS, {"metadata": meta, "spec": {"workloadRef": ref}}))

    seen = 0
    before_mib, begun, used = rss(), time.monotonic(), cpu()
    async with Client(Credentials(url)) as client:

        def changed(old: Any, new: Any) -> None:
            nonlocal seen
            seen += 1
            store.pod_changed(old, new)

        informer = Informer(client, PODS, pod_view, changed, labels="outrider.dev/tracked=true")
        task = asyncio.create_task(informer.run())
        await informer.synced.wait()

        async def passes() -> int:
            done = 0
            while len(queue):
                kind, namespace, name = key = await queue.get()
                if kind == "run":
                    await run_pass(context, namespace, name)
                    done += 1
                queue.done(key)
            return done

        first = await passes()
        print(
            f"start: {pods} pods, {first} Runs: {time.monotonic() - begun:.2f} s, {cpu() - used:.2f} CPU-s, "
            f"{rss():.0f} MiB ({rss() - before_mib:.0f} more than before)"
        )
        seen, used = 0, cpu()
        async with client.open("GET", PODS, "/go"):
            pass
        done = 0
        # Some events repeat what was known: the slim view hides them, so the end is when no more come.
        deadline, last = time.monotonic() + 60, -1
        while time.monotonic() < deadline and not (seen and seen == last):
            last = seen
            await asyncio.sleep(0.5)
            done += await passes()
        spent = cpu() - used
        print(f"events: {seen} changes, {done} passes: {spent:.2f} CPU-s, {seen / spent:.0f} events per CPU-second")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=int, default=10_000)
    parser.add_argument("--events", type=int, default=30_000)
    given = parser.parse_args()
    here, there = multiprocessing.get_context("spawn").Pipe(duplex=False)
    server = multiprocessing.get_context("spawn").Process(
        target=serve, args=(there, given.pods, given.events), daemon=True
    )
    server.start()
    try:
        asyncio.run(measure(f"http://127.0.0.1:{here.recv()}", given.pods))
    finally:
        server.terminate()


if __name__ == "__main__":
    main()
