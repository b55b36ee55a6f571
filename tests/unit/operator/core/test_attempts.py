"""Attempts of Jobs: +1 when a replacement pod starts."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider_operator.core.attempts import Attempts, assign
from outrider_operator.core.observed import PodView
from tests.unit.operator.core.build import T0, done_pod, failed_pod, pod


def numbers(attempts: Attempts, *pods: PodView) -> list[int]:
    return [attempts.places[p.uid].attempt for p in pods]


TABLE: dict[str, tuple[tuple[PodView, ...], dict[str, Any], list[int]]] = {
    "one wave": ((pod(0), pod(1)), {}, [1, 1]),
    "a replacement": ((failed_pod(0), pod(1), pod(0, created=T0 + 20)), {}, [1, 1, 2]),
    "both replaced in one breath": (
        (failed_pod(0, at=T0 + 5), failed_pod(1, at=T0 + 6), pod(0, created=T0 + 15), pod(1, created=T0 + 16)),
        {},
        [1, 1, 2, 2],
    ),
    "one that lived through is replaced later": (
        (failed_pod(0, at=T0 + 5), failed_pod(1, at=T0 + 30), pod(0, created=T0 + 15), pod(1, created=T0 + 40)),
        {},
        [1, 1, 2, 3],
    ),
    "a task after another in a Job of many": (
        (done_pod(0), pod(1), pod(2, created=T0 + 30), pod(3, created=T0 + 60)),
        {},
        [1, 1, 1, 1],
    ),
    "a resize adds an index": ((pod(0), pod(1, created=T0 + 500)), {}, [1, 1]),
    "no index: a replacement of one that failed": (
        (failed_pod(None, name="a"), pod(None, name="b"), pod(None, name="c", created=T0 + 20)),
        {},
        [1, 1, 2],
    ),
    "no index: the next task after a success": (
        (done_pod(None, name="a"), pod(None, name="b", created=T0 + 20)),
        {},
        [1, 1],
    ),
    "a pod that was deleted and is gone": (
        (pod(0, gone=True, deletion=T0 + 8), pod(0, created=T0 + 9)),
        {},
        [1, 2],
    ),
    "after a restart, from what the status says": (
        (pod(0, created=T0 + 50),),
        {"recorded": [(1, T0), (2, T0 + 50)]},
        [2],
    ),
    "after a restart, one that lived through": (
        (pod(0, created=T0 + 50), pod(1)),
        {"recorded": [(1, T0), (2, T0 + 50)]},
        [2, 1],
    ),
    "a failure that nobody saw": ((pod(0, created=T0 + 90), pod(1)), {"failures": 1}, [2, 1]),
    "a failure that everybody saw": ((failed_pod(0), pod(1)), {"failures": 1}, [1, 1]),
    "a slow first wave": ((pod(0), pod(1, created=T0 + 20)), {"failures": 1}, [1, 1]),
}


@pytest.mark.parametrize(("pods", "more", "want"), TABLE.values(), ids=TABLE.keys())
def test_which_attempt_a_pod_begins_in(pods: tuple[PodView, ...], more: dict[str, Any], want: list[int]) -> None:
    """The table of attempts."""
    assert numbers(assign(pods, **more), *pods) == want


def test_a_pod_that_lives_through_is_in_both_attempts() -> None:
    """It began in the first, and takes part in the second; the one that failed does not."""
    dead, alive, new = failed_pod(0), pod(1), pod(0, created=T0 + 20)
    attempts = assign([dead, alive, new])
    assert [attempts.covers(p, 1) for p in (dead, alive, new)] == [True, True, False]
    assert [attempts.covers(p, 2) for p in (dead, alive, new)] == [False, True, True]


def test_incarnations_count_the_pods_of_a_node_rank() -> None:
    """0, 1, 2: each takes the place of the one before."""
    pods = [failed_pod(0), failed_pod(0, created=T0 + 20, at=T0 + 30), pod(0, created=T0 + 50)]
    attempts = assign(pods)
    assert [attempts.places[p.uid].incarnation for p in pods] == [0, 1, 2]
    assert attempts.places[pods[2].uid].replaces == pods[1].uid


@st.composite
def histories(draw: st.DrawFn) -> list[PodView]:
    """Pods of a few indexes, each replaced some times after it failed."""
    pods = []
    for index in range(draw(st.integers(1, 3))):
        at = T0
        for _ in range(draw(st.integers(0, 3))):
            life, pause = draw(st.integers(1, 40)), draw(st.integers(0, 40))
            pods.append(failed_pod(index, created=at, at=at + life))
            at += life + pause
        pods.append(pod(index, created=at))
    return pods


@given(histories(), st.randoms())
def test_the_order_in_which_pods_are_listed_does_not_matter(pods: list[PodView], random: Any) -> None:
    """Attempts are a function of the set of pods."""
    want = assign(pods)
    random.shuffle(pods)
    assert assign(pods) == want


@given(histories())
def test_what_the_status_recorded_gives_the_same_attempts_again(pods: list[PodView]) -> None:
    """A pass that starts from the attempts of the pass before agrees with it."""
    before = assign(pods)
    after = assign(pods, recorded=before.starts)
    assert after.starts == before.starts
    assert {u: p.attempt for u, p in after.places.items()} == {u: p.attempt for u, p in before.places.items()}


@given(histories())
def test_attempts_are_numbered_without_gaps_and_begin_in_order(pods: list[PodView]) -> None:
    """1, 2, 3 … with rising starts, and no pod is in an attempt that begins after it."""
    attempts = assign(pods)
    assert [n for n, _ in attempts.starts] == list(range(1, len(attempts.starts) + 1))
    starts = [s for _, s in attempts.starts]
    assert starts == sorted(set(starts))
    begins = dict(attempts.starts)
    assert all(begins[attempts.places[p.uid].attempt] <= p.created for p in pods)
