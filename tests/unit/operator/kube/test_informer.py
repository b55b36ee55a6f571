"""The pod informer against a server that expires, breaks, throttles and goes silent."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from outrider_operator.core.observed import PodView, pod_view
from outrider_operator.kube.api import PODS
from outrider_operator.kube.client import Client
from outrider_operator.kube.credentials import Credentials
from outrider_operator.kube.informer import Informer
from tests.fakeapi.watch_server import Answer, WatchServer, bookmark, event, page, pod, until


@pytest.fixture
async def server() -> AsyncIterator[WatchServer]:
    made = await WatchServer().start()
    yield made
    await made.stop()


class Watched:
    """An informer that runs, and what it has told."""

    def __init__(self, server: WatchServer, client: Client) -> None:
        self.changes: list[tuple[str, str]] = []
        self.slept: list[float] = []
        self.informer = Informer[PodView](
            client,
            PODS,
            pod_view,
            self._changed,
            labels="outrider.dev/tracked=true",
            page_size=2,
            jitter=lambda: 1.0,
            sleep=self._sleep,
        )
        self.server = server

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)

    def _changed(self, old: PodView | None, new: PodView | None) -> None:
        view = new or old
        assert view is not None
        kind = "deleted" if new is None else "added" if old is None else "changed"
        self.changes.append((kind, view.name))

    async def until(self, *wanted: tuple[str, str]) -> None:
        await until(f"{wanted}, told was {self.changes}", lambda: self.changes == list(wanted))


@pytest.fixture
async def watched(server: WatchServer) -> AsyncIterator[Watched]:
    async with Client(Credentials(server.url)) as client:
        made = Watched(server, client)
        task = asyncio.create_task(made.informer.run())
        yield made
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_paged_list_then_a_watch_from_its_version(server: WatchServer, watched: Watched) -> None:
    """With the label selector on every request, and bookmarks."""
    server.script += [
        Answer(page([pod("a", 1), pod("b", 2)], 10, "more")),
        Answer(page([pod("c", 3)], 10)),
        Answer(lines=[event("MODIFIED", pod("a", 11, phase="Running")), event("DELETED", pod("b", 12))], end="silence"),
    ]
    await watched.until(("added", "a"), ("added", "b"), ("added", "c"), ("changed", "a"), ("deleted", "b"))
    assert all(asked["labelSelector"] == "outrider.dev/tracked=true" for asked in server.asked)
    assert [asked.get("limit") for asked in server.asked] == ["2", "2", None]
    assert server.asked[1]["continue"] == "more"
    assert (server.asked[2]["resourceVersion"], server.asked[2]["allowWatchBookmarks"]) == ("10", "true")
    assert watched.informer.synced.is_set()


async def test_what_a_relist_no_longer_has_is_reported_as_deleted(server: WatchServer, watched: Watched) -> None:
    """410 in the stream: the deletion that the watch missed is replayed."""
    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
    server.script += [
        Answer(page([pod("a", 1), pod("b", 2)], 10)),
        Answer(lines=[event("ERROR", gone)]),
        Answer(page([pod("b", 2), pod("c", 20)], 21)),
    ]
    await watched.until(("added", "a"), ("added", "b"), ("added", "c"), ("deleted", "a"))


async def test_a_watch_that_is_refused_with_410_begins_with_a_list(server: WatchServer, watched: Watched) -> None:
    """As HTTP status, on the watch request."""
    server.script += [Answer(page([pod("a", 1)], 10)), Answer({"code": 410}, 410), Answer(page([], 20))]
    await watched.until(("added", "a"), ("deleted", "a"))


async def test_an_expired_continue_token_begins_the_list_again(server: WatchServer, watched: Watched) -> None:
    """Half a list is no list: nothing is reported as deleted from it."""
    server.script += [
        Answer(page([pod("a", 1), pod("b", 1)], 10, "more")),
        Answer({"code": 410, "reason": "Expired"}, 410),
        Answer(page([pod("a", 1), pod("b", 1)], 20, "again")),
        Answer(page([pod("c", 1)], 20)),
    ]
    await watched.until(("added", "a"), ("added", "b"), ("added", "c"))


async def test_a_broken_connection_goes_on_where_it_was(server: WatchServer, watched: Watched) -> None:
    """Cut in the middle of a line: the next watch begins at the last event, without a list."""
    server.script += [
        Answer(page([pod("a", 1)], 10)),
        Answer(lines=[event("ADDED", pod("b", 15)), bookmark(17)], end="cut"),
        Answer(lines=[event("ADDED", pod("c", 18))], end="silence"),
    ]
    await watched.until(("added", "a"), ("added", "b"), ("added", "c"))
    assert server.asked[2]["resourceVersion"] == "17"


async def test_silence_is_taken_for_a_broken_watch(server: WatchServer, watched: Watched) -> None:
    """No event and no bookmark for the bound: another watch."""
    watched.informer.silence = 2.0  # long enough for an answer that is under way
    server.script += [
        Answer(page([], 10)),
        Answer(lines=[bookmark(12)], end="silence"),
        Answer(lines=[event("ADDED", pod("a", 13))], end="silence"),
    ]
    await watched.until(("added", "a"))
    assert server.asked[2]["resourceVersion"] == "12"


async def test_a_server_that_asks_to_wait_is_obeyed(server: WatchServer, watched: Watched) -> None:
    """429 with Retry-After: at least so long, and then the same again."""
    server.script += [
        Answer({"code": 429}, 429, {"Retry-After": "7"}),
        Answer(page([pod("a", 1)], 10)),
    ]
    await watched.until(("added", "a"))
    assert watched.slept[0] >= 7


async def test_errors_of_the_server_are_retried_with_growing_pauses(server: WatchServer, watched: Watched) -> None:
    """500 three times, on list and watch."""
    server.script += [
        Answer({"code": 500}, 500),
        Answer({"code": 500}, 500),
        Answer(page([pod("a", 1)], 10)),
        Answer({"code": 500}, 500),
        Answer(page([pod("a", 1), pod("b", 1)], 11)),
    ]
    await watched.until(("added", "a"), ("added", "b"))
    first, second = watched.slept[:2]
    assert second > first > 0


async def test_an_error_in_the_stream_that_is_not_410_begins_with_a_list(server: WatchServer, watched: Watched) -> None:
    """The watch does not end the process, as kopf's would."""
    broken = {"kind": "Status", "code": 500, "reason": "InternalError", "message": "etcd"}
    server.script += [
        Answer(page([pod("a", 1)], 10)),
        Answer(lines=[event("ERROR", broken)]),
        Answer(page([], 20)),
    ]
    await watched.until(("added", "a"), ("deleted", "a"))


async def test_an_event_that_says_nothing_new_is_not_told(server: WatchServer, watched: Watched) -> None:
    """Only what the slim view keeps counts."""
    noisy = pod("a", 11)
    noisy["metadata"]["managedFields"] = [{"manager": "kubelet"}]
    server.script += [
        Answer(page([pod("a", 1)], 10)),
        Answer(lines=[event("MODIFIED", noisy), event("ADDED", pod("b", 12))], end="silence"),
    ]
    await watched.until(("added", "a"), ("added", "b"))


async def test_the_last_form_of_a_deleted_pod_is_told_before_its_deletion(
    server: WatchServer, watched: Watched
) -> None:
    """It may carry the end of a container that no other event brought."""
    last = pod("a", 12, phase="Failed")
    server.script += [Answer(page([pod("a", 1)], 10)), Answer(lines=[event("DELETED", last)], end="silence")]
    await watched.until(("added", "a"), ("changed", "a"), ("deleted", "a"))
