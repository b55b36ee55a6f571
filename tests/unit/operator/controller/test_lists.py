"""The controller's whole lists of Runs and Jobs, between which kopf tells what changes."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from outrider_operator.controller import app
from outrider_operator.controller.settings import Settings
from outrider_operator.controller.watching import Watching
from outrider_operator.kube.api import JOBS, Object, Resource
from outrider_operator.kube.client import Client
from outrider_operator.kube.credentials import Credentials
from outrider_sidecar import contract


def job(name: str) -> Object:
    """A Job whose pods are tracked."""
    meta = {"name": name, "namespace": "ml", "uid": f"uid-{name}", "resourceVersion": "1"}
    template = {"metadata": {"annotations": {contract.INJECT: "true"}}, "spec": {"containers": [{"name": "train"}]}}
    return {"metadata": meta, "spec": {"template": template}, "status": {}}


async def test_a_job_that_goes_before_kopf_has_looked_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is in our first list and not in kopf's, and no watch tells of its end: the second list does, soon."""
    monkeypatch.setattr(app, "SECOND", 0.01)
    there = [job("stays"), job("goes")]
    asked = asyncio.Event()

    async def items(resource: Resource, namespace: str | None) -> list[Object]:
        """The API server's lists."""
        found = list(there) if resource is JOBS else []
        if resource is JOBS and len(there) == 1:
            asked.set()
        return found

    def kopf_starts() -> None:
        del there[1]

    watching = SimpleNamespace(ended=asyncio.Event(), error=None, start=kopf_starts)
    made: Any = app.App(Settings(namespace="outrider", identity="me"), Credentials("https://nowhere"))
    made._lists = []
    task = asyncio.create_task(made._watch(cast("Client", SimpleNamespace(items=items)), cast("Watching", watching)))
    async with asyncio.timeout(20):
        await asked.wait()
    for _ in range(10):  # turns of the loop, until the list is taken over
        await asyncio.sleep(0)
    assert [*made._store.jobs] == ["uid-stays"]
    task.cancel()
