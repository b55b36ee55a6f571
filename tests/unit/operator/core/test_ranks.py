"""Rank records folded from the feed, and how many ranks are where."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from outrider_operator.core.attempts import assign
from outrider_operator.core.ranks import Counts, RankRecord, count, fold, newest, record_of
from tests.unit.operator.core.build import T0, done_pod, exited, failed_pod, pod, rank

START = {
    "type": "rank.start",
    "container": "main",
    "start": 0,
    "pid": 7,
    "rank": 3,
    "localRank": 1,
    "worldSize": 4,
    "restart": 0,
    "ts": T0,
}
EXIT = {
    "type": "rank.exit",
    "container": "main",
    "start": 0,
    "pid": 7,
    "rank": 3,
    "localRank": 1,
    "restart": 0,
    "code": 1,
    "ts": T0 + 9,
}


def folded(*events: dict[str, Any], words: object = None) -> list[RankRecord]:
    records: Any = {}
    for event in events:
        records = fold(records, "uid", event, words)
    return list(records.values())


def test_a_start_and_an_exit_make_one_record() -> None:
    """With the world's size from the start and the end from the exit."""
    (found,) = folded(START, EXIT, words=["last"])
    assert (found.rank, found.world_size, found.state, found.code, found.ended_at) == (3, 4, "exited", 1, T0 + 9)
    assert found.last_words == ("last",)


def test_an_exit_whose_start_was_never_heard_counts_as_well() -> None:
    """The controller came later than the rank."""
    (found,) = folded(EXIT)
    assert (found.rank, found.state, found.code) == (3, "exited", 1)


def test_an_exit_of_which_the_kernel_no_longer_told_is_unknown() -> None:
    """Never guessed to be good or bad."""
    (found,) = folded(START, {k: v for k, v in EXIT.items() if k != "code"})
    assert found.state == "unknown"


def test_events_that_come_twice_change_nothing() -> None:
    """The feed may be replayed over what the ranks' door answered."""
    assert folded(START, EXIT) == folded(START, EXIT, START, EXIT)


def test_the_end_of_a_container_ends_its_ranks() -> None:
    """What of them nobody saw is unknown."""
    launcher = {"type": "container.start", "container": "main", "start": 0, "pid": 1, "ts": T0}
    gone = {"type": "container.exit", "container": "main", "start": 0, "code": 1, "ts": T0 + 10}
    found = {r.launcher: r for r in folded(launcher, START, gone)}
    assert found[False].state == "unknown"
    assert (found[True].state, found[True].code) == ("exited", 1)


def test_the_trackers_own_form_is_read() -> None:
    """docs/protocol.md section 7."""
    found = record_of(
        {
            "rank": 3, "nodeRank": 1, "localRank": 1, "role": "rank", "attempt": 1, "restart": 0,
            "source": "uid", "pod": "p",
            "container": "main", "start": 0, "pid": 7, "state": "exited", "exitCode": None, "signal": 9, "oomKills": 1,
            "endedAt": "2026-11-21T12:00:00.5Z", "lastWords": ["a"],
        }
    )  # fmt: skip
    assert (found.rank, found.signal, found.oom_kills, found.last_words) == (3, 9, 1, ("a",))
    assert found.ended_at == 1795262400.5


def test_only_the_newest_restart_counts() -> None:
    """An elastic restart with fewer ranks leaves none of the old ones standing."""
    one = pod(0)
    records = [rank(n, one, restart=0, pid=n) for n in range(2)] + [rank(0, one, restart=1, pid=9)]
    assert [(r.rank, r.restart) for r in newest(records)] == [(0, 1)]


def counts(pods: list[Any], records: list[RankRecord], **more: Any) -> Counts:
    return count(pods, records, assign(pods), pods_expected=more.pop("expected", 2), **more)


def test_ranks_that_speak_are_counted_by_what_they_say() -> None:
    """Two pods of two ranks: the world's size is expected, not the number of pods."""
    one, two = pod(0), pod(1)
    records = [rank(0, one), rank(1, one), rank(2, two), exited(3, two)]
    found = counts([one, two], records)
    assert found == Counts(4, 3, 0, 1, 0)
    assert found.summary(finished=False) == "3/4"


def test_pods_that_do_not_speak_stand_for_their_share_of_the_ranks() -> None:
    """One pod's sidecar has not been heard yet; its container runs."""
    one, two = pod(0), pod(1)
    assert counts([one, two], [rank(0, one), rank(1, one)]) == Counts(4, 4, 0, 0, 0)


def test_without_a_tracker_pods_are_counted() -> None:
    """One rank a pod is what is known."""
    assert counts([done_pod(0), failed_pod(1)], []) == Counts(2, 0, 1, 1, 0)


def test_ranks_of_a_vanished_pod_are_lost() -> None:
    """Nobody saw their end."""
    one, two = pod(0), pod(1, gone=True)
    records = [rank(n, one if n < 2 else two) for n in range(4)]
    assert counts([one, two], records) == Counts(4, 2, 0, 0, 2)


def test_a_complete_job_counts_what_was_not_heard_as_succeeded() -> None:
    """The tracker is behind; the workload itself says that it is complete."""
    one, two = done_pod(0), done_pod(1)
    records = [exited(0, one, 0), rank(1, one), rank(2, two), rank(3, two)]
    found = counts([one, two], records, succeeded_whole=True)
    assert found.summary(finished=True) == "4/4"
    assert found == Counts(4, 0, 4, 0, 0)


def test_what_was_expected_before_is_not_forgotten() -> None:
    """After a restart of the controller the world's size is in the Run's status alone."""
    assert counts([pod(0), pod(1)], [], known_expected=4) == Counts(4, 4, 0, 0, 0)


EVENTS = st.lists(
    st.builds(
        lambda kind, pid, code, restart: {
            **START,
            "type": kind,
            "pid": pid,
            "localRank": pid,
            "rank": pid,
            "code": code,
            "restart": restart,
        },
        st.sampled_from(["rank.start", "rank.exit"]),
        st.integers(0, 3),
        st.integers(0, 1),
        st.integers(0, 1),
    ),
    max_size=8,
)


@given(EVENTS)
def test_replaying_any_feed_gives_the_same_records(events: list[dict[str, Any]]) -> None:
    """Folding is idempotent for whole histories of which each process ends once."""
    once = {(e["type"], e["pid"], e["restart"]): e for e in events}.values()
    ordered = sorted(once, key=lambda e: e["type"], reverse=True)
    assert set(folded(*ordered)) == set(folded(*ordered, *ordered))
