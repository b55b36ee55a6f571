"""What the tracker says reaches Runs, and what it is to be told reaches it, through outages."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from outrider_operator.controller.feed import Feed
from outrider_operator.controller.outbox import Outbox
from outrider_operator.kube.api import PODS, RUNS
from tests.fakeapi.watch_server import until
from tests.unit.operator.controller.world import World, ended, running

UID = "uid-of-pod"
START = {
    "type": "rank.start",
    "container": "main",
    "start": 0,
    "pid": 7,
    "rank": 3,
    "localRank": 1,
    "worldSize": 4,
    "restart": 0,
    "ts": 1.0,
}
EXIT = {**START, "type": "rank.exit", "code": 1, "ts": 1_795_262_409.0}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    made.context.outbox = Outbox(
        made.tracker, lambda name, url: made.context.urls.update({name: url}), lambda _: None, made.look_at
    )
    job = made.job("ddp")
    made.pod(job, "ddp-0", **running())
    await made.settle()
    feed = Feed(made.context, made.tracker)
    tasks = [asyncio.create_task(job) for job in (made.context.outbox.run(), feed.follow(), feed.ask())]
    yield made
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def source(world: World) -> str:
    (uid,) = world.store.pods
    return uid


async def test_the_tracker_is_told_of_the_run_and_its_pod(world: World) -> None:
    """The Run's record and the join; the address comes back."""
    await until("the outbox is empty", lambda: world.context.outbox.empty)
    (name,) = world.tracker.runs
    assert world.tracker.runs[name]["state"] == "Running"
    assert world.tracker.sources[source(world)]["run"] == name
    await world.settle()
    assert world.context.urls[name] == f"/team/p/runs/{name}"


async def test_an_exit_on_the_feed_is_a_failure_of_its_rank(world: World) -> None:
    """With last words, while the pod's own status says nothing yet."""
    uid = source(world)
    await until("the feed is followed", lambda: bool(world.context.book.loaded))
    world.tracker.say(uid, START)
    world.tracker.say(uid, EXIT, ["Traceback", "ValueError: no"])
    await until("the exit is heard", lambda: any(r.code == 1 for r in world.context.book.records([uid])))
    await world.settle()
    (run,) = world.runs().values()
    assert (run["status"]["state"], run["status"]["failure"]["summary"]) == ("Running", "rank 3 Error")
    assert run["status"]["failure"]["lastWords"] == ["Traceback", "ValueError: no"]
    assert run["status"]["ranks"]["expected"] == 4


async def test_an_expired_feed_is_begun_anew_after_reading_the_ranks(world: World) -> None:
    """What was missed comes from the ranks' door."""
    uid = source(world)
    await until("the feed is followed", lambda: bool(world.context.book.loaded))
    (name,) = world.runs()
    record = {
        "source": uid,
        "container": "main",
        "start": 0,
        "restart": 0,
        "pid": 7,
        "rank": 3,
        "localRank": 1,
        "role": "rank",
    }
    world.tracker.rank_records[name] = [
        {**record, "state": "exited", "exitCode": 1, "signal": None, "endedAt": "2026-11-21T12:00:09Z"}
    ]
    world.tracker.expired = True
    await until("the ranks are read", lambda: bool(world.context.book.records([uid])))
    await world.settle()
    (run,) = world.runs().values()
    assert run["status"]["failure"]["rank"] == 3


async def test_a_tracker_that_is_away_holds_up_nothing(world: World) -> None:
    """The failure comes from the pod's status; the tracker is told when it is back, once, and with the newest."""
    await until("the outbox is empty", lambda: world.context.outbox.empty)
    world.tracker.away = True
    await until("the outage is known", lambda: bool(world.context.book.away))
    world.api.change(PODS, "team", "ddp-0", lambda pod: pod["status"].update(ended(1)))
    await world.settle()
    (run,) = world.runs().values()
    assert run["status"]["failure"]["reason"] == "Error"
    said = {c["type"]: c["reason"] for c in run["status"]["conditions"]}
    assert said["Collecting"] == "TrackerUnreachable"
    assert not world.context.outbox.empty
    world.tracker.away = False
    await until("the tracker is told", lambda: world.context.outbox.empty)
    (record,) = world.tracker.runs.values()
    assert record["failure"]["reason"] == "Error"


async def test_what_was_taken_is_not_sent_again() -> None:
    """The same record is one request."""
    world = World()
    sent = []
    put = world.tracker.put_run

    async def counted(run_id: str, record: object) -> str:
        sent.append(run_id)
        return await put(run_id, record)  # type: ignore[arg-type]

    world.tracker.put_run = counted  # type: ignore[method-assign]
    outbox = Outbox(world.tracker, lambda *_: None, lambda _: None, lambda _: None)
    task = asyncio.create_task(outbox.run())
    for _ in range(3):
        outbox.put_run("r", {"state": "Running"})
        await until("it is sent", lambda: outbox.empty)
    outbox.put_run("r", {"state": "Finished"})
    await until("it is sent", lambda: outbox.empty)
    assert sent == ["r", "r"]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_record_that_the_tracker_refuses_is_on_its_run(world: World) -> None:
    """With the tracker's sentence; and no more once another record of it was taken."""
    await until("the outbox is empty", lambda: world.context.outbox.empty)
    (name,) = world.runs()
    world.tracker.refused = "config is nested more than 64 levels deep"
    world.api.change(RUNS, "team", name, lambda run: run["spec"].update(notes="one"))
    await world.settle()
    await until("it is refused", lambda: bool(world.context.outbox.refusal(name)))
    await world.settle()
    said = {c["type"]: c for c in world.runs()[name]["status"]["conditions"]}["Collecting"]
    assert (said["status"], said["reason"]) == ("False", "RunRefused")
    assert world.tracker.refused in said["message"]
    world.tracker.refused = ""
    world.api.change(RUNS, "team", name, lambda run: run["spec"].update(notes="two"))
    await world.settle()
    await until("it is taken", lambda: not world.context.outbox.refusal(name))
    await world.settle()
    said = {c["type"]: c for c in world.runs()[name]["status"]["conditions"]}["Collecting"]
    assert said["reason"] != "RunRefused"


async def test_a_join_that_comes_before_its_run_is_offered_again() -> None:
    """Refused with 404 at first; nothing is lost."""
    world = World()
    outbox = Outbox(world.tracker, lambda *_: None, lambda _: None, lambda _: None)
    task = asyncio.create_task(outbox.run())
    outbox.put_source(UID, {"run": "r"})
    await asyncio.sleep(0)
    outbox.put_run("r", {"state": "Running"})
    await until("both are taken", lambda: outbox.empty)
    assert world.tracker.sources[UID] == {"run": "r"}
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
