"""The real controller, the real tracker, the real API server's tokens: what a rank says reaches its Run."""

import asyncio
import json
import re
import struct
import sys
import time
import zlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from outrider_operator.kube.api import RUNS, Object, Resource
from tests.integration.operator.controller.acting import Controller, Stage, job
from tests.integration.operator.controller.test_made_jobs import run
from tests.tries import Tries

Make = Callable[..., Controller]
ACCOUNTS = Resource("", "v1", "serviceaccounts")


@dataclass
class Tracker:
    url: str
    token_file: Path
    log: Path


async def token(stage: Stage, account: str = "default", pod: Object | None = None) -> str:
    """A token for the tracker, of an account, bound to a pod as a projected one is."""
    spec: Object = {"audiences": ["outrider"], "expirationSeconds": 3600}
    if pod is not None:
        spec["boundObjectRef"] = {
            "apiVersion": "v1", "kind": "Pod", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"],
        }  # fmt: skip
    path = f"/api/v1/namespaces/{stage.namespace}/serviceaccounts/{account}/token"
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    async with stage.client.open("POST", ACCOUNTS, path, body=body) as answer:
        return str((await answer.json())["status"]["token"])


async def raw(stage: Stage, path: str) -> Any:
    async with stage.client.open("GET", ACCOUNTS, path, accept="*/*") as answer:
        return await answer.json(content_type=None)


@pytest.fixture
async def tracker(stage: Stage, tmp_path: Path) -> AsyncIterator[Tracker]:
    jwks, token_file, log = tmp_path / "jwks.json", tmp_path / "token", tmp_path / "tracker.log"
    jwks.write_text(json.dumps(await raw(stage, "/openid/v1/jwks")))
    issuer = (await raw(stage, "/.well-known/openid-configuration"))["issuer"]
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "outrider"}}
    await stage.client.create(ACCOUNTS, stage.namespace, account)
    token_file.write_text(await token(stage, "outrider"))
    argv = [
        sys.executable, "-m", "outrider_tracker", "serve", f"--data={tmp_path / 'data'}",
        "--listen=127.0.0.1:0",
        f"--jwks={jwks}",
        f"--issuer={issuer}",
        f"--controller-subject=system:serviceaccount:{stage.namespace}:outrider",
    ]  # fmt: skip
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(*argv, stdout=out, stderr=out)

    async def listening() -> str | None:
        said = re.search(r'"event": "listening", "http": "([^"]+)"', log.read_text())
        return said[1] if said else None

    try:
        yield Tracker(await stage.until("the tracker listens", listening, 60), token_file, log)
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(20):
            await process.wait()
        print(f"--- tracker\n{log.read_text()}")


class Sidecar:
    """Just enough of one: declares its source and appends."""

    def __init__(self, session: aiohttp.ClientSession, tracker: Tracker, pod: Object, bearer: str) -> None:
        self._session, self._url = session, f"{tracker.url}/ingest/v1/sources/{pod['metadata']['uid']}"
        self._pod, self._headers = pod, {"Authorization": f"Bearer {bearer}"}
        self._ends: dict[str, int] = {}
        self._epoch: dict[str, str] = {}

    async def declare(self) -> None:
        meta = self._pod["metadata"]
        body = {
            "protocol": 1,
            "agent": "test/1",
            "instance": "one",
            "pod": {"namespace": meta["namespace"], "name": meta["name"], "node": "node-a"},
            "owner": {"kind": "Job", "name": "j", "uid": "u", "labels": {}},
        }
        async with self._session.put(self._url, json=body, headers=self._headers) as answer:
            assert answer.status == 200, await answer.text()
            said = await answer.json()
        self._epoch = {"Outrider-Epoch": str(said["epoch"]), "Outrider-Incarnation": said["incarnation"]}

    async def append(self, stream: str, labels: Object, raw_bytes: bytes) -> None:
        def frame(header: Object, payload: bytes = b"") -> bytes:
            text = json.dumps(header).encode()
            return struct.pack("<I", len(text)) + text + payload

        at = self._ends.get(stream, 0)
        crc = zlib.crc32(raw_bytes)
        data = {
            "t": "data",
            "s": stream,
            "g": 0,
            "o": at,
            "n": len(raw_bytes),
            "z": "none",
            "c": len(raw_bytes),
            "crc": crc,
        }
        body = b"ORF1" + frame({"t": "stream", "s": stream, "labels": labels}) + frame(data, raw_bytes)
        headers = {
            **self._headers, **self._epoch, "Content-Type": "application/x-outrider-frames",
            "Outrider-Wall": str(time.time_ns()),
            "Outrider-Mono": str(time.monotonic_ns()), "Outrider-Unsent": "0",
        }  # fmt: skip
        async with self._session.post(f"{self._url}/append", data=body, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
        self._ends[stream] = at + len(raw_bytes)

    async def event(self, **event: Any) -> None:
        line = json.dumps({"ts": time.time(), "container": "main", "start": 0, **event}).encode() + b"\n"
        await self.append("main/0/events", {"kind": "events", "container": "main", "start": 0}, line)


async def test_a_ranks_exit_is_on_its_run_within_three_seconds_with_its_last_words(
    stage: Stage, controllers: Make, tracker: Tracker
) -> None:
    """Within three seconds in the best of three Jobs: a shared machine may hold any one of them up."""
    await controllers(f"--tracker-url={tracker.url}", f"--token-file={tracker.token_file}").start()
    tries = Tries(3.0)
    for number in tries:
        tries.took(await _exit_is_told(stage, tracker, f"whole-{number}"))


async def _exit_is_told(stage: Stage, tracker: Tracker, job_name: str) -> float:
    """Two pods of two ranks; rank 3 raises; its launcher still waits, so the pod's status says nothing.

    Gives the seconds until the Run says it.
    """
    made = await stage.apply(job(job_name))
    name = (await stage.run_of(made))["metadata"]["name"]
    pods = await stage.pods(job_name, 2)
    async with aiohttp.ClientSession() as session:
        sidecars = []
        for number, pod in enumerate(pods):
            await stage.start(pod, f"node-{number}")
            sidecar = Sidecar(session, tracker, pod, await token(stage, pod=pod))

            async def declared(sidecar: Sidecar = sidecar) -> bool | None:
                try:
                    await sidecar.declare()
                except aiohttp.ClientError:
                    return None
                return True

            await stage.until("the tracker answers", declared)
            sidecars.append(sidecar)
        ranks = [
            {
                "pid": 100 + n,
                "rank": n,
                "localRank": n % 2,
                "worldSize": 4,
                "localWorldSize": 2,
                "groupRank": n // 2,
                "restart": 0,
            }
            for n in range(4)
        ]
        for rank in ranks:
            await sidecars[rank["rank"] // 2].event(
                type="rank.start", stderr=f"torch/x/attempt_0/{rank['localRank']}/stderr.log", **rank
            )
        await stage.status(name, "4/4", lambda s: s.get("ranks", {}).get("summary") == "4/4")
        status = await stage.status(
            name, "an address and Collecting", lambda s: s.get("url") and _said(s)["Collecting"] == "True"
        )
        assert status["url"] == f"{tracker.url}/{stage.namespace}/uncategorized/runs/{name}"
        labels = {
            "kind": "stderr",
            "container": "main",
            "start": 0,
            "path": "torch/x/attempt_0/1/stderr.log",
            "localRank": 1,
        }
        await sidecars[1].append(
            "main/0/torch/x/attempt_0/1/stderr", labels, b"Traceback (most recent call last):\nValueError: step 20\n"
        )
        begun = time.monotonic()
        await sidecars[1].event(type="rank.exit", pid=103, rank=3, localRank=1, restart=0, code=1, oomKills=0)
        status = await stage.status(name, "a failure", lambda s: s.get("failure"))
        took = time.monotonic() - begun
    failure = status["failure"]
    assert status["state"] == "Running"
    assert (failure["summary"], failure["pod"], failure["node"]) == (
        "rank 3 Error",
        pods[1]["metadata"]["name"],
        "node-1",
    )
    assert failure["lastWords"] == ["Traceback (most recent call last):", "ValueError: step 20"]
    assert status["ranks"]["summary"] == "3/4"
    return took


async def test_a_run_that_the_tracker_does_not_take_says_so_until_it_is_changed(
    stage: Stage, controllers: Make, tracker: Tracker
) -> None:
    """The API server takes a config of any depth, the tracker does not."""
    await controllers(f"--tracker-url={tracker.url}", f"--token-file={tracker.token_file}").start()
    deep: Object = {}
    for _ in range(100):
        deep = {"in": deep}
    await stage.client.create(RUNS, stage.namespace, run("deep", config=deep))
    status = await stage.status("deep", "the refusal", lambda s: _reason(s, "Collecting") == "RunRefused")
    (said,) = [c for c in status["conditions"] if c["type"] == "Collecting"]
    assert said["status"] == "False"
    assert "config" in said["message"]
    assert not status.get("url")
    flat = {"spec": {"config": {"in": 1}}}
    await stage.client.merge(RUNS, stage.namespace, "deep", flat)
    await stage.status("deep", "its address", lambda s: s.get("url") and _reason(s, "Collecting") != "RunRefused")


def _reason(status: Object, kind: str) -> str:
    return next((str(c["reason"]) for c in status.get("conditions", ()) if c["type"] == kind), "")


def _said(status: Object) -> dict[str, str]:
    return {c["type"]: c["status"] for c in status["conditions"]}
