"""Who failed first: classes before clocks, and clocks only beyond their error."""

import signal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider_operator.core.attempts import assign
from outrider_operator.core.failure import SETTLE, Verdict, classify, clean_words, exits, judge
from outrider_operator.core.observed import PodView
from outrider_operator.core.ranks import RankRecord
from tests.unit.operator.core.build import T0, done_pod, exited, failed_pod, pod, rank, stopped

NOW = T0 + 1000

# As the tools print them: torch 2.x's NCCL and Gloo, torchrun's agent, CPython.
NCCL_TIMEOUT = (
    "[Rank 0] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=7, OpType=ALLREDUCE, NumelIn=1, "
    "NumelOut=1, Timeout(ms)=600000) ran for 600004 milliseconds before timing out."
)
GLOO_RESET = (
    "RuntimeError: [../third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer [10.0.0.2]:29500"
)
NCCL_REMOTE = (
    "torch.distributed.DistBackendError: NCCL error, ncclRemoteError: A call failed possibly due to a network error or "
    "a remote process exiting prematurely."
)
STORE = "torch.distributed.DistStoreError: wait timeout after 600000ms, keys: /default_pg/0//cpu//0"
TRACEBACK = ("Traceback (most recent call last):", '  File "train.py", line 20, in <module>', "ValueError: loss is nan")

CLASSES: dict[str, tuple[dict[str, Any], tuple[str, bool]]] = {
    "an exception": ({"code": 1, "words": TRACEBACK}, ("Error", True)),
    "an exception behind torchrun's prefix": ({"code": 1, "words": ("[rank3]: ValueError: no",)}, ("Error", True)),
    "a bare exit code": ({"code": 3}, ("Error", True)),
    "a segmentation fault": ({"signal": 11}, ("SIGSEGV", True)),
    "an abort": ({"signal": 6}, ("SIGABRT", True)),
    "an abort by the NCCL watchdog": ({"signal": 6, "words": (NCCL_TIMEOUT,)}, ("CollectiveTimeout", False)),
    "a signal as a shell spells it": ({"code": 139}, ("SIGSEGV", True)),
    "an OOM kill": ({"signal": 9, "oom": True}, ("OOMKilled", True)),
    "a SIGKILL that nobody explains": ({"signal": 9}, ("SIGKILL", True)),
    "SIGTERM by the agent": ({"signal": 15}, ("SIGTERM", False)),
    "SIGTERM as an exit code": ({"code": 143}, ("SIGTERM", False)),
    "a launcher that was told to end": (
        {
            "code": 1,
            "words": ("torch.distributed.elastic.multiprocessing.api.SignalException: Process 7 got signal: 15",),
        },
        ("SIGTERM", False),
    ),
    "a connection that was reset": ({"code": 1, "words": (GLOO_RESET,)}, ("ConnectionLost", False)),
    "a remote process that ended": ({"code": 1, "words": (NCCL_REMOTE,)}, ("ConnectionLost", False)),
    "a store that timed out": ({"code": 1, "words": (STORE,)}, ("CollectiveTimeout", False)),
    "an exit in a pod that was told to end": (
        {"code": 1, "words": TRACEBACK, "taken_away": True},
        ("Terminated", False),
    ),
    "a SIGKILL at the end of the grace period": ({"signal": 9, "taken_away": True}, ("Terminated", False)),
}


@pytest.mark.parametrize(("end", "want"), CLASSES.values(), ids=CLASSES.keys())
def test_the_class_of_an_end(end: dict[str, Any], want: tuple[str, bool]) -> None:
    """Reason, and whether it can be where it began."""
    values: dict[str, Any] = {"code": None, "signal": None, "oom": False, "words": (), "taken_away": False} | end
    code, number = values.pop("code"), values.pop("signal")
    reason, suspect, _, evidence = classify(code, number, **values)
    assert (reason, suspect) == want
    assert evidence


def verdict(pods: list[PodView], records: list[RankRecord], now: float = NOW) -> Verdict | None:
    return judge(exits(pods, records, assign(pods)), now)[0]


def test_the_suspect_is_named_though_its_victims_ended_first() -> None:
    """Classes before clocks: peers saw a reset connection before the culprit's own exit was written."""
    one, two = pod(0), pod(1)
    records = [
        exited(0, one, 1, ended_at=T0 + 1, last_words=(GLOO_RESET,)),
        exited(1, one, None, signal=15, ended_at=T0 + 2),
        exited(3, two, 1, ended_at=T0 + 4, last_words=TRACEBACK),
    ]
    found = verdict([one, two], records)
    assert found is not None
    assert (found.summary, found.confidence) == ("rank 3 Error", "high")
    assert {v.rank for v in found.victims} == {0, 1}
    assert found.exit.last_words == TRACEBACK


def test_an_oom_kill_is_named_by_the_rank_whose_container_counted_it() -> None:
    """Its neighbour in the container was killed by the agent with the same signal."""
    one = pod(0)
    records = [
        exited(2, one, None, signal=9, oom_kills=1, ended_at=T0 + 10),
        exited(3, one, None, signal=9, oom_kills=0, ended_at=T0 + 40),
    ]
    found = verdict([one], records)
    assert found is not None
    assert found.summary == "rank 2 OOMKilled"


def test_two_suspects_of_two_nodes_within_the_clock_error_are_undecided() -> None:
    """The answer names one, says so, and names the other."""
    one, two = pod(0), pod(1)
    records = [
        exited(1, one, 1, ended_at=T0 + 10.2, last_words=TRACEBACK),
        exited(2, two, 1, ended_at=T0 + 10.0, last_words=TRACEBACK),
    ]
    found = verdict([one, two], records)
    assert found is not None
    assert found.confidence == "undecided"
    assert {found.exit.rank, *(o.rank for o in found.others)} == {1, 2}


def test_two_suspects_of_one_pod_are_told_apart_by_its_clock() -> None:
    """One clock has no error against itself."""
    one = pod(0)
    records = [
        exited(1, one, 1, ended_at=T0 + 10.2, last_words=TRACEBACK),
        exited(0, one, 1, ended_at=T0 + 10.1, last_words=TRACEBACK),
    ]
    found = verdict([one], records)
    assert found is not None
    assert (found.summary, found.confidence) == ("rank 0 Error", "high")


def test_an_unexplained_sigkill_yields_to_an_exception_of_the_same_moment() -> None:
    """What may be a consequence yields to what cannot be one."""
    one, two = pod(0), pod(1)
    records = [
        exited(0, one, None, signal=9, ended_at=T0 + 10.0),
        exited(3, two, 1, ended_at=T0 + 10.3, last_words=TRACEBACK),
    ]
    found = verdict([one, two], records)
    assert found is not None
    assert found.summary == "rank 3 Error"


def test_victims_wait_for_their_suspect_and_then_stand_in_for_it() -> None:
    """Held back for a moment; named with low confidence afterwards."""
    one = pod(0)
    found = exits([one], [exited(0, one, 1, ended_at=T0 + 10, last_words=(GLOO_RESET,))], assign([one]))
    early, again = judge(found, T0 + 10.5)
    assert early is None
    assert again == pytest.approx(T0 + 10 + SETTLE)
    late, _ = judge(found, T0 + 12)
    assert late is not None
    assert (late.confidence, late.exit.reason) == ("low", "ConnectionLost")


NO_FAILURE = {
    "all is well": ([pod(0), pod(1)], []),
    "a clean end": ([done_pod(0)], [exited(0, done_pod(0), 0)]),
    "OOMKilled with exit code 0": ([pod(0, phase="Succeeded", trainers=(stopped(0, reason="OOMKilled"),))], []),
    "torchrun ends with 1 after a clean stop of its ranks": (
        [pod(0, deletion=T0 + 9, trainers=(stopped(1),))],
        [exited(0, pod(0), None, signal=15, ended_at=T0 + 10)],
    ),
    "pods of a Job that is being deleted": ([pod(0, deletion=T0 + 1, trainers=(stopped(137),))], []),
    "ranks that a launcher restarted in place": (
        [pod(0)],
        [exited(0, pod(0), 1, restart=0, pid=7), rank(0, pod(0), restart=1, pid=8)],
    ),
    "a container that was started again": (
        [pod(0)],
        [exited(0, pod(0), 1, start=0, pid=7), rank(0, pod(0), start=1, pid=7)],
    ),
    "a failure of the attempt before": ([failed_pod(0), pod(0, created=T0 + 20)], []),
}


@pytest.mark.parametrize(("pods", "records"), NO_FAILURE.values(), ids=NO_FAILURE.keys())
def test_what_is_no_failure(pods: list[PodView], records: list[RankRecord]) -> None:
    """None of these is a failed rank."""
    assert verdict(pods, records) is None


PODS: dict[str, tuple[PodView, str]] = {
    "its container was OOM-killed": (failed_pod(0, 137, why="OOMKilled"), "OOMKilled"),
    "its launcher failed after a child was OOM-killed": (failed_pod(0, 1, why="OOMKilled"), "OOMKilled"),
    "its command does not exist": (failed_pod(0, 128, why="StartError"), "StartError"),
    "evicted for its storage": (
        pod(0, phase="Failed", reason="Evicted", message="Usage of EmptyDir volume exceeds", trainers=(stopped(143),)),
        "Evicted",
    ),
    "its node is gone": (pod(0, disruption="DeletionByTaintManager", deletion=T0 + 5), "NodeLost"),
    "its node's kubelet says nothing": (pod(0, reason="NodeLost", phase="Unknown"), "NodeLost"),
    "removed by the pod garbage collector": (pod(0, gone=True, disruption="DeletionByPodGC"), "NodeLost"),
    "preempted": (pod(0, disruption="PreemptionByScheduler", deletion=T0 + 5, trainers=(stopped(143),)), "Preempted"),
    "a bare exit code": (failed_pod(0, 7), "Error"),
}


@pytest.mark.parametrize(("bad", "want"), PODS.values(), ids=PODS.keys())
def test_the_pods_status_alone_is_enough(bad: PodView, want: str) -> None:
    """With the tracker away: no rank, no last words, but pod, node and reason."""
    found = verdict([bad, pod(1)], [])
    assert found is not None
    assert (found.exit.reason, found.exit.pod.name, found.exit.rank) == (want, bad.name, None)


def test_a_ranks_own_word_refines_what_its_container_said() -> None:
    """First the kubelet's, without a rank; then the rank's, with last words."""
    bad = failed_pod(1, 1, at=T0 + 10)
    before = verdict([pod(0), bad], [])
    assert before is not None
    assert (before.exit.rank, before.confidence) == (None, "medium")
    after = verdict([pod(0), bad], [exited(3, bad, 1, ended_at=T0 + 10.4, last_words=TRACEBACK)])
    assert after is not None
    assert (after.exit.rank, after.confidence, after.exit.last_words) == (3, "high", TRACEBACK)


def test_last_words_are_bounded_and_clean() -> None:
    """20 lines of 256 bytes, cut between characters, without escapes."""
    lines = [f"{n} \x1b[31mred\x1b[0m\x00 " + "ä" * 300 for n in range(50)]
    kept = clean_words(lines)
    assert len(kept) == 20
    assert all(len(line.encode()) <= 256 for line in kept)
    assert kept[-1].startswith("49 red ä")


@st.composite
def endings(draw: st.DrawFn) -> tuple[list[PodView], list[RankRecord]]:
    """A Job of three pods whose ranks end in all sorts of ways."""
    pods = [pod(n) for n in range(3)]
    records = []
    for number in range(6):
        how = draw(st.sampled_from(["no", "code", "term", "kill", "oom", "reset", "segv"]))
        at = T0 + draw(st.sampled_from([1, 1.2, 2, 5, 9]))
        source = pods[number // 2]
        more: dict[str, Any] = {"ended_at": at, "pid": 100 + number}
        if how == "code":
            records.append(exited(number, source, 1, last_words=TRACEBACK, **more))
        elif how == "reset":
            records.append(exited(number, source, 1, last_words=(GLOO_RESET,), **more))
        elif how != "no":
            number_of = {"term": signal.SIGTERM, "kill": signal.SIGKILL, "oom": signal.SIGKILL, "segv": signal.SIGSEGV}
            records.append(
                exited(number, source, None, signal=int(number_of[how]), oom_kills=int(how == "oom"), **more)
            )
    return pods, records


@given(endings(), st.randoms())
def test_the_order_in_which_ends_are_heard_of_does_not_matter(
    seen: tuple[list[PodView], list[RankRecord]], random: Any
) -> None:
    """The verdict is a function of the set of ends."""
    pods, records = seen
    want = verdict(pods, records)
    random.shuffle(pods)
    random.shuffle(records)
    assert verdict(pods, records) == want


@given(endings())
def test_a_victim_is_never_named_while_there_is_a_suspect(seen: tuple[list[PodView], list[RankRecord]]) -> None:
    """Classes before clocks, whatever the clocks say."""
    pods, records = seen
    found = verdict(pods, records)
    suspects = {r.rank for r in records if not (r.signal == 15 or GLOO_RESET in r.last_words)}
    if suspects:
        assert found is not None
        assert found.exit.rank in suspects
        assert {o.rank for o in found.others} <= suspects
