"""Hostile requests at every door of a real tracker: no 500, no hang, bounded memory, and other tenants hardly notice.

`OUTRIDER_FUZZ_SECONDS` is the time of each door (`make soak`: ten minutes), in turns of some seconds with a seed each;
`OUTRIDER_FUZZ_SEED` repeats a run, or one turn.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from outrider_tracker.__main__ import main
from tests.fuzz.apart import Apart
from tests.fuzz.crowding import crowd
from tests.fuzz.doors import DOORS
from tests.fuzz.doors.sent import Sent
from tests.fuzz.doors.world import ENTITY, PROJECT, RUN, SOURCE, World
from tests.fuzz.light import Tenant, beside_light
from tests.fuzz.pressing import press
from tests.integration.tracker.process import KEY, Sidecar, TrackerProcess, until

SECONDS = float(os.environ.get("OUTRIDER_FUZZ_SECONDS", "7"))
SOAK = SECONDS >= 60
# What gates a change asks the same each time; the soak searches.
SEED = os.environ.get("OUTRIDER_FUZZ_SEED") or (secrets.token_hex(4) if SOAK else "gate")
BASELINE_SECONDS = 5.0 if SOAK else 2.0  # before each turn
TURN_SECONDS = 60.0
CALM_SECONDS = max(60.0, SECONDS / 2)
MEMORY_MIB = 700  # budget for bodies (256), one decompression and one answer of each thread, and the idle process
UPSERT = (
    "mutation U($n: String, $p: String, $e: String) { upsertBucket(input: {name: $n, modelName: $p, entityName: $e}) "
    "{ bucket { id } } }"
)
FILES = (
    "mutation F($e: String!, $p: String!, $r: String!, $f: [String!]!) { createRunFiles(input: {entityName: $e, "
    "projectName: $p, runName: $r, files: $f}) { files { name uploadUrl } } }"
)
DOWNLOADS = (
    "query D($e: String!, $p: String!, $r: String!) { project(name: $p, entityName: $e) { run(name: $r) { "
    "files { edges { node { directUrl } } } } } }"
)
FAULTS = re.compile(
    r'"event": "((graphql|door|maintenance|checkpoints)\.failed|(line_)?decoder\.stuck|decoding\.process\.ended|'
    r'store\.broken)"|Traceback'
)


def user(data: Path, name: str, entity: str) -> str:
    """A member of an entity; the key."""
    key = secrets.token_hex(20)
    assert main(["user", "add", name, "--key", key, "--entity", f"{entity}:member", "--data", str(data)]) == 0
    return key


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder."""
    return tmp_path_factory.mktemp("fuzz") / "data"


@pytest.fixture(scope="module")
def tracker(folder: Path) -> Iterator[TrackerProcess]:
    """One for all doors: what one left behind is the next one's start."""
    print(f"fuzzing with OUTRIDER_FUZZ_SEED={SEED}")
    with TrackerProcess(folder, "--seal-interval", "1") as process:
        yield process


@pytest.fixture(scope="module")
def world(tracker: TrackerProcess, folder: Path) -> World:
    """A member's run, source and files; the doors are open to requests that fit."""
    made = World(user(folder, "eve", ENTITY), KEY)
    graphql(tracker.base, made.basic(), UPSERT, n=RUN, p=PROJECT, e=ENTITY)
    names = [f"file{number}" for number in range(20)] + ["media/é.png"]
    answer = graphql(tracker.base, made.basic(), FILES, e=ENTITY, p=PROJECT, r=RUN, f=names)
    for item in answer["createRunFiles"]["files"]:
        made.uploads.append(item["uploadUrl"].removeprefix(tracker.base))
    httpx.put(tracker.base + made.uploads[0], content=b"content", trust_env=False, timeout=30.0).raise_for_status()
    found = graphql(tracker.base, made.basic(), DOWNLOADS, e=ENTITY, p=PROJECT, r=RUN)
    made.uploads += [
        edge["node"]["directUrl"].removeprefix(tracker.base) for edge in found["project"]["run"]["files"]["edges"]
    ]
    with httpx.Client(base_url=tracker.base, headers=made.bearer(), trust_env=False, timeout=30.0) as client:
        sidecar = Sidecar(client, SOURCE, namespace=ENTITY)
        assert sidecar.declare().status_code == 200
    made.epoch, made.incarnation = sidecar.epoch, sidecar.incarnation
    return made


def peak_of(pid: int) -> float:
    """MiB that a process had at most."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]


def graphql(base: str, headers: dict[str, str], text: str, **variables: object) -> Any:
    """One operation that must succeed; its data."""
    answer = httpx.post(
        f"{base}/graphql", json={"query": text, "variables": variables}, headers=headers, trust_env=False, timeout=30.0
    )
    body = answer.json()
    assert "errors" not in body, body
    return body["data"]


def light_tenant(tracker: TrackerProcess, folder: Path, name: str) -> Tenant:
    """A user with a run, both of that name."""
    made = World(user(folder, name, "light"), KEY)
    graphql(tracker.base, made.basic(), UPSERT, n=name, p="p", e="light")
    port = int(tracker.base.rpartition(":")[2])
    return Tenant(port, f"/files/light/p/{name}/file_stream", made.basic())


def turns(seconds: float) -> tuple[int, float]:
    """How many, and how long each is."""
    count = max(1, round(seconds / TURN_SECONDS))
    return count, seconds / count


@pytest.mark.timeout(int(SECONDS * 5 + 240))
@pytest.mark.parametrize("door", list(DOORS))
def test_hostile_requests(tracker: TrackerProcess, folder: Path, world: World, door: str) -> None:
    """Whatever comes, the answer blames the caller; the tracker stays small; another tenant is served as before."""
    tenant = light_tenant(tracker, folder, f"light-{door}")
    told = len(tracker.log.read_text())
    count, seconds = turns(SECONDS)
    seeds = [SEED, *(f"{SEED}.{turn}" for turn in range(1, count))]
    done, light = beside_light(
        tenant,
        BASELINE_SECONDS,
        [lambda seed=seed: Apart(press, tenant.port, door, seed, seconds, world).answer() for seed in seeds],  # type: ignore[misc]
        lambda: decoded(tracker),
    )
    statuses = sum((pressed.statuses for pressed in done), Counter[int]())
    assert tracker.process.is_alive(), tracker.log.read_text()[-4000:]
    leader = psutil.Process(tracker.process.pid)
    peak = sum(peak_of(process.pid) for process in (leader, *leader.children()))
    print(f"{door}: {statuses.total()} requests {dict(sorted(statuses.items()))}; peak {peak:.0f} MiB; {light}")
    failures = [failure for pressed in done for failure in pressed.failures]
    assert not failures, "\n\n".join(failures)
    faults = [line for line in tracker.log.read_text()[told:].splitlines() if FAULTS.search(line)]
    assert not faults, f"seed {SEED}: " + "\n".join(faults[:20])
    assert statuses.total() > SECONDS, statuses
    assert peak < MEMORY_MIB
    light.judge(p99s=SOAK)
    health = httpx.get(f"{tracker.base}/readyz", trust_env=False, timeout=30.0)
    assert health.status_code == 200, health.text
    decoded(tracker)


CROWD = 32  # connections of one tenant
CROWD_SECONDS = min(SECONDS, 60.0)
SUMMARY = json.dumps({f"metric/{number}": number * 0.5 for number in range(500)})
FILL = (
    "mutation U($n: String, $p: String, $e: String, $s: JSONString) { upsertBucket(input: {name: $n, modelName: $p, "
    "entityName: $e, summaryMetrics: $s}) { bucket { id } } }"
)
LIST = (
    'query L { project(name: "play", entityName: "fuzz") { runs(first: 100) { edges { node '
    "{ name config summaryMetrics historyKeys } } } } }"
)


@pytest.mark.timeout(int(CROWD_SECONDS + 240))
def test_a_crowd_of_one_tenant(tracker: TrackerProcess, folder: Path, world: World) -> None:
    """Its many connections ask for much, all at once; another tenant is served as before."""
    for number in range(100):
        graphql(tracker.base, world.basic(), FILL, n=f"crowd-{number}", p=PROJECT, e=ENTITY, s=SUMMARY)
    tenant = light_tenant(tracker, folder, "light-crowd")
    asked = Sent(
        "POST", "/graphql", {**world.basic(), "Content-Type": "application/json"}, json.dumps({"query": LIST}).encode()
    )
    count, seconds = turns(CROWD_SECONDS)
    work = [lambda: Apart(crowd, tenant.port, asked, seconds, CROWD).answer()] * count
    done, light = beside_light(tenant, BASELINE_SECONDS, work, lambda: decoded(tracker))
    statuses = sum(done, Counter[int]())
    print(f"crowd: {sum(statuses.values())} requests {dict(statuses)}; {light}")
    assert set(statuses) <= {200, 429}
    assert statuses[200] > CROWD
    light.judge(p99s=SOAK)


def decoded(tracker: TrackerProcess) -> None:
    """Waits until nothing is left to be done of what was taken.

    A run whose decoded lines are written over is decoded anew, and hostile rows of ten minutes take minutes: others
    have their turns meanwhile.
    """
    until(
        lambda: not tracker.process.is_alive() or backlog(tracker.base) == 0, "what was taken is decoded", CALM_SECONDS
    )


def backlog(base: str) -> float:
    """Lines that are not decoded."""
    text = httpx.get(f"{base}/metrics", trust_env=False, timeout=30).text
    return float(re.search(r"^outrider_tracker_line_backlog (\S+)", text, re.MULTILINE)[1])  # type: ignore[index]
