"""Directives at the ingest doors of a composed tracker: posted inside, heard by sidecars."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Hashable
from pathlib import Path
from typing import Any

import httpx
import pytest

from outrider_sidecar import contract
from outrider_tracker.app import Settings, Tracker
from outrider_tracker.core.principals import Person
from outrider_tracker.store.people import put_person
from tests.unit.tracker import wire

KEY = "0123456789abcdef0123456789abcdef01234567"
SOURCE = "/ingest/v1/sources/pod-1"
FLUSH = {"type": "flush"}


@pytest.fixture
async def tracker(tmp_path: Path) -> AsyncIterator[Tracker]:
    """In this process, so that tests can post."""
    made = Tracker(Settings(tmp_path / "data"))
    made.store.writer.run(lambda connection: put_person(connection, Person("admin", admin=True), KEY, 1.0))
    async with made.running():
        yield made


@pytest.fixture
async def client(tracker: Tracker) -> AsyncIterator[httpx.AsyncClient]:
    """The administrator's hands on it."""
    headers = {"Authorization": f"Bearer {KEY}"}
    transport = httpx.ASGITransport(tracker.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://tracker.test", headers=headers) as made:
        yield made


async def declare(client: httpx.AsyncClient) -> dict[str, Any]:
    """The answer to a declaration of the same instance."""
    body = {"protocol": 1, "agent": "test", "instance": "one", "pod": {"namespace": "ml", "name": "p", "node": "n"}}
    answer = await client.put(SOURCE, json=body)
    assert answer.status_code == 200
    return dict(answer.json())


async def append(client: httpx.AsyncClient, declared: dict[str, Any]) -> list[Any]:
    """The directives of an append's answer."""
    headers = {
        "Content-Type": contract.FRAMES_TYPE,
        contract.HEADER_EPOCH: str(declared["epoch"]),
        contract.HEADER_INCARNATION: declared["incarnation"],
    }
    answer = await client.post(f"{SOURCE}/append", content=wire.body(wire.stream("a")), headers=headers)
    assert answer.status_code == 200
    return list(answer.json()["directives"])


async def test_an_append_is_told_each_directive_once(tracker: Tracker, client: httpx.AsyncClient) -> None:
    """Not with every answer for ever; a declaration's answer counts, too."""
    declared = await declare(client)
    assert await append(client, declared) == []
    tracker.ingest.directives.post("pod-1", FLUSH)
    tracker.ingest.directives.post("pod-2", FLUSH)
    assert await append(client, declared) == [FLUSH]
    assert await append(client, declared) == []
    tracker.ingest.directives.post("pod-1", {"type": "pace", "interval": 2})
    assert (await declare(client))["directives"] == [{"type": "pace", "interval": 2}]
    assert await append(client, declared) == []


async def test_a_posted_directive_wakes_who_waits_for_it(
    tracker: Tracker, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long before the poll's own time; by number it can be had again."""
    await declare(client)
    waiting, wait = asyncio.Event(), tracker.notifier.wait

    async def telling(topic: Hashable, version: int, seconds: float) -> bool:
        waiting.set()
        return await wait(topic, version, seconds)

    monkeypatch.setattr(tracker.notifier, "wait", telling)
    begun = time.monotonic()
    poll = asyncio.create_task(client.get(f"{SOURCE}/directives", params={"after": 0, "wait": 60}))
    await asyncio.wait_for(waiting.wait(), 30)
    number = tracker.ingest.directives.post("pod-1", FLUSH)
    answer = (await asyncio.wait_for(poll, 40)).json()
    assert time.monotonic() - begun < 40
    assert answer == {"after": number, "directives": [FLUSH]}
    again = await client.get(f"{SOURCE}/directives", params={"after": 0, "wait": 0})
    assert again.json() == answer
    later = await client.get(f"{SOURCE}/directives", params={"after": number, "wait": 0})
    assert later.json() == {"after": number, "directives": []}
