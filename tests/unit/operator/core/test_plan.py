"""One pass over a Run as a value: status, cadence, Events, joins."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider_operator.api.states import TERMINAL
from outrider_operator.core.collection import Collection
from outrider_operator.core.conditions import Untracked
from outrider_operator.core.fit import LIMIT, size
from outrider_operator.core.observation import Observation
from outrider_operator.core.observed import PodView
from outrider_operator.core.plan import COUNTERS_EVERY, Plan, decide
from outrider_operator.core.refusals import Refusal
from tests.unit.operator.core.build import (
    T0,
    condition,
    container,
    done_pod,
    exited,
    failed_pod,
    job,
    pod,
    rank,
    run,
    running,
    stopped,
)

NOW = T0 + 100


def seen(*pods: PodView, **more: Any) -> Observation:
    values: dict[str, Any] = {
        "run": run(),
        "now": NOW,
        "workload": job(),
        "bound": True,
        "workload_name": "job",
        "pods": pods,
        "heard": frozenset(p.uid for p in pods),
        "collection": Collection(sources=len(pods), from_tracker=True),
    }
    return Observation(**(values | more))


def after(plan: Plan, observation: Observation, **more: Any) -> Observation:
    """The next pass, with the status of the pass before as the API server has it."""
    more.setdefault("now", observation.now + 1)
    return replace(observation, run=replace(observation.run, status=plan.status), **more)


def said(plan: Plan) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c["reason"]) for c in plan.status["conditions"]}


def test_the_same_observation_again_writes_nothing() -> None:
    """A pass is idempotent: its own status gives no second write and no second Event."""
    first = seen(pod(0), pod(1))
    plan = decide(first)
    assert plan.write
    again = decide(after(plan, first))
    assert not again.write
    assert again.notes == ()


def test_the_failure_is_there_while_the_run_runs() -> None:
    """RankFailed, status.failure and a Warning, in state Running."""
    one, two = pod(0), pod(1)
    records = (
        rank(0, one),
        rank(1, one),
        rank(2, two),
        exited(3, two, None, signal=9, oom_kills=1, last_words=("bye",)),
    )
    before = seen(one, two, records=records[:3])
    plan = decide(after(decide(before), before, records=records))
    assert plan.write
    failure = plan.status["failure"]
    assert plan.status["state"] == "Running"
    assert failure["summary"] == "rank 3 OOMKilled"
    assert (failure["rank"], failure["pod"], failure["node"], failure["attempt"]) == (3, two.name, "node-1", 1)
    assert (failure["confidence"], failure["lastWords"]) == ("high", ["bye"])
    assert said(plan)["RankFailed"] == ("True", "OOMKilled")
    assert [(n.type, n.reason) for n in plan.notes] == [("Warning", "RankFailed")]


def test_a_terminal_state_stays_whatever_is_seen_later() -> None:
    """Killed; then its pods are said to have succeeded; it stays Killed with its end."""
    killed = seen(pod(0), pod(1), workload=job(gone=True, deletion=T0 + 40))
    plan = decide(killed)
    later = decide(after(plan, killed, pods=(done_pod(0), done_pod(1)), workload=None, now=NOW + 50))
    assert later.status["state"] == "Killed"
    assert later.status["endTime"] == plan.status["endTime"]


def test_a_failure_outlives_its_evidence() -> None:
    """Pods are gone and the tracker is away after a restart: what was known stays."""
    bad = failed_pod(1, 1)
    first = seen(pod(0), bad, records=(exited(3, bad, last_words=("Traceback", "ValueError: x")),))
    plan = decide(first)
    gone = after(plan, first, pods=(), records=(), workload=job(conditions=(condition("Failed"),)), tracker_away="no")
    later = decide(gone)
    assert later.status["failure"] == plan.status["failure"]
    assert later.status["state"] == "Failed"


def test_a_failure_that_an_in_place_restart_mended_goes() -> None:
    """The pod is there and its ranks run again."""
    one = pod(0)
    first = seen(one, workload=job(parallelism=1, completions=1), records=(exited(0, one, restart=0, pid=1),))
    plan = decide(first)
    assert plan.status["failure"]
    later = decide(after(plan, first, records=(exited(0, one, restart=0, pid=1), rank(0, one, restart=1, pid=2))))
    assert "failure" not in later.status
    assert said(later)["RankFailed"][0] == "False"


def test_the_failure_of_an_attempt_is_its_reason_once_the_next_has_begun() -> None:
    """status.failure speaks of the newest attempt; the older one's stays in its entry."""
    bad = failed_pod(0, 1)
    first = seen(bad, workload=job(parallelism=1, completions=1), records=(exited(0, bad),))
    plan = decide(first)
    later = decide(after(plan, first, pods=(bad, pod(0, created=T0 + 30))))
    assert later.status["attempt"] == 2
    assert "failure" not in later.status
    old, new = later.status["attempts"]
    assert (old["number"], old["state"], old["reason"]) == (1, "Failed", "rank 0 Error")
    assert (new["number"], new["state"]) == (2, "Running")
    assert "AttemptStarted" in {n.reason for n in later.notes}


def test_counters_wait_for_their_minute_and_states_do_not() -> None:
    """Lag changes: written a minute after the last write; the wake-up is asked for."""
    first = seen(pod(0), pod(1))
    plan = decide(first)
    lagging = Collection(lag_seconds=3, sources=2, from_tracker=True)
    soon = decide(after(plan, first, collection=lagging, written_at=NOW))
    assert not soon.write
    assert soon.wake == NOW + COUNTERS_EVERY
    late = decide(after(plan, first, collection=lagging, written_at=NOW, now=NOW + COUNTERS_EVERY))
    assert late.write
    failed = decide(after(plan, first, pods=(pod(0), failed_pod(1)), written_at=NOW))
    assert failed.write


def test_the_last_status_has_the_last_counters() -> None:
    """At the end everything is written at once."""
    first = seen(pod(0), pod(1))
    plan = decide(first)
    lost = Collection(unsent_bytes=7, lost_bytes=9, sources=2, from_tracker=True)
    end = after(
        plan,
        first,
        collection=lost,
        written_at=NOW,
        pods=(done_pod(0), done_pod(1)),
        workload=job(conditions=(condition("Complete"),)),
    )
    status = decide(end).status
    assert (status["state"], status["ranks"]["summary"]) == ("Finished", "2/2")
    assert status["collection"] == {"unsentBytes": 7, "lostBytes": 9, "lagSeconds": 0}


HELD = container("outrider", waiting="ImagePullBackOff", waiting_message="not found")
HOOK = container("outrider", waiting="PostStartHookError")
SILENT = container("outrider", running=True, started_at=NOW - 31)
TALKS = container("outrider", running=True, started_at=NOW - 31)
CONDITIONS: dict[str, tuple[Observation, str, tuple[str, str]]] = {
    "an image that cannot be pulled": (
        seen(pod(0, phase="Pending", trainers=(), sidecar=HELD)),
        "Injected",
        ("False", "SidecarImagePull"),
    ),
    "a hook that fails": (
        seen(pod(0, phase="Pending", trainers=(), sidecar=HOOK)),
        "Injected",
        ("False", "HookFailed"),
    ),
    "pods without the sidecar": (seen(untracked=Untracked(2)), "Injected", ("False", "WebhookMissed")),
    "pods that were skipped": (seen(untracked=Untracked(2, "not injected: Windows")), "Injected", ("False", "Skipped")),
    "a quota": (seen(refusal=Refusal("QuotaRefused", "no", T0)), "Injected", ("False", "QuotaRefused")),
    "all is well": (seen(pod(0, sidecar=TALKS)), "Injected", ("True", "Injected")),
    "sidecars that are heard": (seen(pod(0, sidecar=TALKS)), "Collecting", ("True", "Collecting")),
    "a sidecar that is silent": (
        seen(pod(0, sidecar=SILENT), collection=Collection(silent=("uid-job-0-0",), sources=1, from_tracker=True)),
        "Collecting",
        ("False", "NoContact"),
    ),
    "a sidecar that was never heard": (
        seen(pod(0, sidecar=SILENT), heard=frozenset(), collection=Collection(from_tracker=True)),
        "Collecting",
        ("False", "NoContact"),
    ),
    "bytes that will not come": (
        seen(done_pod(0), collection=Collection(lost_bytes=9, sources=1, from_tracker=True)),
        "Collecting",
        ("False", "DataLost"),
    ),
    "a tracker that is away": (
        seen(pod(0), tracker_away="connection refused"),
        "Collecting",
        ("Unknown", "TrackerUnreachable"),
    ),
    "a record that the tracker refuses": (
        seen(pod(0, sidecar=TALKS), record_refused="400 frame: config is nested more than 64 levels deep"),
        "Collecting",
        ("False", "RunRefused"),
    ),
    "a refused record, before there are pods": (
        seen(record_refused="400 frame"),
        "Collecting",
        ("False", "RunRefused"),
    ),
    "a record that was refused by a tracker that is away": (
        seen(pod(0), record_refused="400 frame", tracker_away="connection refused"),
        "Collecting",
        ("Unknown", "TrackerUnreachable"),
    ),
    "a path that no sidecar sees": (
        seen(pod(0, sidecar=TALKS), warnings=(("PathNotVisible", "mount it"),)),
        "Collecting",
        ("False", "PathNotVisible"),
    ),
    "a bad annotation": (
        seen(pod(0), problems=(("InvalidAnnotation", "bad"),)),
        "Accepted",
        ("False", "InvalidAnnotation"),
    ),
}


@pytest.mark.parametrize(("observation", "kind", "want"), CONDITIONS.values(), ids=CONDITIONS.keys())
def test_what_a_condition_says(observation: Observation, kind: str, want: tuple[str, str]) -> None:
    """Status and reason; a sentence wherever something is wrong."""
    plan = decide(observation)
    assert said(plan)[kind] == want
    (message,) = [c.get("message", "") for c in plan.status["conditions"] if c["type"] == kind]
    assert message or want[0] == "True"


def test_a_conditions_time_moves_only_with_its_status() -> None:
    """Another reason or sentence keeps the time; another status does not."""
    first = seen(pod(0), pod(1))
    plan = decide(first)
    times = {c["type"]: c["lastTransitionTime"] for c in plan.status["conditions"]}
    later = decide(after(plan, first, pods=(pod(0), failed_pod(1)), now=NOW + 50))
    moved = {c["type"] for c in later.status["conditions"] if c["lastTransitionTime"] != times[c["type"]]}
    assert moved == {"RankFailed"}
    assert {c["observedGeneration"] for c in later.status["conditions"]} == {1}


def test_joins_say_all_that_the_tracker_is_to_know_of_a_pod() -> None:
    """docs/protocol.md section 6, with the sidecar's last words and the pod's deletion."""
    words = '{"outrider": 1, "unsentBytes": 12, "lostBytes": 3, "streams": {}, "reason": "tracker away"}'
    bad = failed_pod(0, gone=True, sidecar=container("outrider", ended=stopped(0, message=words).ended))
    plan = decide(seen(bad, pod(0, created=T0 + 30)))
    first, second = (plan.joins[p] for p in (bad.uid, "uid-job-0-30"))
    assert first == {
        "run": "job-11111111", "attempt": 1, "nodeRank": 0, "incarnation": 0, "pod": bad.name, "node": "node-0",
        "namespace": "team", "phase": "Failed", "deleted": True, "unsentBytes": 12,
    }  # fmt: skip
    assert (second["attempt"], second["incarnation"], second["deleted"], second["unsentBytes"]) == (2, 1, False, None)


def test_without_the_tracker_the_sidecars_last_words_are_the_collection() -> None:
    """Summed over the pods."""
    words = '{"outrider": 1, "unsentBytes": 12, "lostBytes": 3}'
    pods = [done_pod(n, sidecar=container("outrider", ended=stopped(0, message=words).ended)) for n in range(2)]
    plan = decide(seen(*pods, collection=None, tracker_away="gone"))
    assert plan.status["collection"] == {"unsentBytes": 24, "lostBytes": 6, "lagSeconds": 0}


TEXT = st.text(max_size=400)


@settings(max_examples=40)
@given(st.lists(TEXT, max_size=40), st.integers(2, 60), TEXT, TEXT)
def test_a_status_is_never_longer_than_16_kib(lines: list[str], failures: int, sentence: str, warning: str) -> None:
    """Whatever ranks write, whatever annotations say, however many fail."""
    pods = [failed_pod(n, name=f"{n}-" + "p" * 240) for n in range(failures)]
    records = tuple(exited(n, p, last_words=tuple(lines)) for n, p in enumerate(pods))
    plan = decide(
        seen(
            *pods,
            records=records,
            problems=(("InvalidAnnotation", sentence * 5),),
            warnings=(("PathNotVisible", warning * 5),),
            refusal=Refusal("QuotaRefused", sentence * 5, T0),
        )
    )
    assert size(plan.status) <= LIMIT
    assert plan.status["failure"]["reason"] == "Error"


def test_ten_thousand_ranks_fit_into_a_status() -> None:
    """All fail with 20 lines of 256 bytes that JSON has to escape."""
    pods = [failed_pod(n) for n in range(1250)]
    words = tuple('"\\' * 128 for _ in range(20))
    records = tuple(
        exited(8 * n + local, p, local_rank=local, world_size=10_000, last_words=words)
        for n, p in enumerate(pods)
        for local in range(8)
    )
    plan = decide(
        seen(
            *pods,
            records=records,
            workload=job(parallelism=1250, completions=1250, conditions=(condition("FailureTarget"),)),
        )
    )
    assert size(plan.status) <= LIMIT
    assert plan.status["ranks"] == {
        "summary": "0/10000",
        "expected": 10_000,
        "running": 0,
        "succeeded": 0,
        "failed": 10_000,
        "lost": 0,
    }
    assert plan.status["failure"]["lastWords"]


STAGES = st.lists(
    st.sampled_from(
        [
            (job(), (pod(0), pod(1))),
            (job(), (pod(0), failed_pod(1))),
            (job(suspended=True), (pod(0),)),
            (job(deletion=T0 + 9), (pod(0), pod(1))),
            (job(gone=True), (pod(0), pod(1))),
            (None, ()),
            (job(conditions=(condition("FailureTarget"),)), (pod(0), failed_pod(1))),
            (job(conditions=(condition("Complete"),)), (done_pod(0), done_pod(1))),
        ]
    ),
    min_size=1,
    max_size=8,
)


@given(STAGES)
def test_no_order_of_observations_leads_out_of_a_terminal_state(stages: list[Any]) -> None:
    """Terminal states are monotonic within an attempt, and so is their end time."""
    status: Any = {}
    ended = None
    for number, (workload, pods) in enumerate(stages):
        plan = decide(seen(*pods, workload=workload, run=replace(run(), status=status), now=NOW + number))
        if ended is not None:
            assert (plan.status["state"], plan.status["endTime"]) == ended
        if plan.status["state"] in {s.value for s in TERMINAL}:
            ended = plan.status["state"], plan.status["endTime"]
        status = plan.status


def test_the_trackers_record_is_whole() -> None:
    """Every field of docs/protocol.md section 6, with times of RFC 3339."""
    spec = {**run().spec, "project": "resnet", "tags": ["a"], "config": {"lr": 0.1}}
    plan = decide(seen(pod(0, trainers=(running(),)), pod(1), run=run(spec=spec), project="vision"))
    record = plan.record
    assert set(record) == {
        "namespace", "name", "project", "displayName", "group", "jobType", "tags", "notes", "config", "state", "reason",
        "createdAt", "startedAt", "endedAt", "attempt", "attempts", "ranks", "failure", "conditions", "workload",
    }  # fmt: skip
    assert record["project"] == plan.status["project"] == "resnet"
    assert record["startedAt"] == "2023-11-14T22:13:20Z"
    assert set(record["ranks"]) == {"expected", "running", "succeeded", "failed", "lost"}
    assert record["workload"]["uid"] == job().uid


def test_a_run_that_names_no_project_is_in_its_namespaces() -> None:
    """status.project is what `kubectl get` shows and what the tracker is told."""
    plan = decide(seen(pod(0), project="vision"))
    assert plan.status["project"] == plan.record["project"] == "vision"
