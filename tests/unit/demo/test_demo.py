"""What the demo decides: when parts are ready, which Run is the Job's, when it has to stop, and with what words."""

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tools.demo import diagnosis, ready, release, training
from tools.demo.errors import DemoError
from tools.demo.progress import until
from tools.demo.tracker import Tracker


class FakeTime:
    """A clock that only moves when somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds


def test_until_gives_the_first_result() -> None:
    """It looks again after each pause."""
    time, answers = FakeTime(), iter([(None, "not yet"), (None, "nearly"), (7, "")])
    assert until("seven", lambda: next(answers), 10, clock=time.clock, pause=time.pause) == 7
    assert time.now == 1.0


def test_until_says_what_was_missing_last() -> None:
    """The sentence names the thing, the time and the last obstacle."""
    time = FakeTime()
    with pytest.raises(DemoError, match="the tracker: not within 3 s; at the end: connection refused"):
        until("the tracker", lambda: (None, "connection refused"), 3, clock=time.clock, pause=time.pause)
    assert time.now == 3.0


def workload(name: str, wanted: int, status: dict[str, int]) -> dict[str, Any]:
    """A Deployment as the API server answers it."""
    return {"metadata": {"name": name, "generation": 3}, "spec": {"replicas": wanted}, "status": status}


WHOLE = {"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}


@pytest.mark.parametrize(
    ("status", "said"),
    [
        pytest.param({}, "", id="all there"),
        pytest.param({"availableReplicas": 1}, "webhook 1/2", id="one not ready"),
        pytest.param({"updatedReplicas": 1}, "webhook 1/2", id="one of the old form"),
        pytest.param({"observedGeneration": 2}, "webhook 2/2", id="a change nobody has seen"),
        pytest.param({"replicas": 3}, "webhook 2/2", id="an old pod still there"),
    ],
)
def test_a_part_counts_when_all_its_pods_run_in_their_newest_form(status: dict[str, int], said: str) -> None:
    """Else its name and count are told."""
    assert ready.unavailable([workload("webhook", 2, WHOLE | status)]) == said


def test_a_fresh_part_without_any_status_is_not_ready() -> None:
    """Right after the install."""
    assert ready.unavailable([workload("tracker", 1, {})]) == "tracker 0/1"


def controller(restarts: int, reason: str, created: str = "2026-01-01T00:00:00Z") -> dict[str, Any]:
    """A pod of the controller that waits for something."""
    status = {"restartCount": restarts, "state": {"waiting": {"reason": reason}}}
    ended = {"lastState": {"terminated": {"exitCode": 1}}}
    labels = {"app.kubernetes.io/component": "controller"}
    metadata = {"name": "controller-1", "creationTimestamp": created, "labels": labels}
    return {"metadata": metadata, "status": {"containerStatuses": [status | ended]}}


def test_a_part_that_ends_again_and_again_is_given_up() -> None:
    """One or two ends are not: at first the controller may have to wait for others."""
    assert ready.hopeless([controller(2, "CrashLoopBackOff"), controller(9, "ContainerCreating")]) == ""
    assert ready.hopeless([controller(3, "CrashLoopBackOff")]) == "controller-1 ended 3 times, last with 1"


def test_an_old_pod_that_is_being_replaced_is_no_reason_to_give_up() -> None:
    """The new one may be well."""
    old = controller(9, "CrashLoopBackOff")
    assert ready.hopeless([old, controller(0, "ContainerCreating", "2026-01-01T00:00:09Z")]) == ""


def test_the_run_of_a_job_is_found_by_the_jobs_uid() -> None:
    """An earlier demo's Run of the same name stays and is not taken for it."""
    runs = [{"metadata": {"name": f"digits-{eight}"}} for eight in ("0badcafe", "deadbeef")]
    assert training.of_job(runs, "deadbeef-1234-5678-9abc-def012345678") == runs[1]
    assert training.of_job(runs, "11111111-1234-5678-9abc-def012345678") is None


def test_a_run_in_one_line() -> None:
    """State and counts, as far as they are known."""
    run: dict[str, Any] = {"metadata": {"name": "digits-deadbeef"}}
    assert training.summary(run) == "digits-deadbeef: new"
    run["status"] = {"state": "Running", "ranks": {"expected": 4, "running": 3, "failed": 1, "summary": "3/4"}}
    assert training.summary(run) == "digits-deadbeef: Running (4 expected, 3 running, 1 failed ranks)"


def test_only_a_run_with_every_rank_succeeded_is_a_good_end() -> None:
    """Otherwise the failure is in the sentence."""
    run: dict[str, Any] = {"metadata": {"name": "r"}, "status": {"state": "Finished", "ranks": {"succeeded": 4}}}
    training.require_finished(run)
    run["status"]["ranks"]["succeeded"] = 3
    with pytest.raises(DemoError, match="ended as Finished with 3 of 4 ranks succeeded"):
        training.require_finished(run)
    run["status"] |= {"state": "Failed", "failure": {"summary": "rank 3 OOMKilled"}}
    with pytest.raises(DemoError, match=r"ended as Failed .*rank 3 OOMKilled"):
        training.require_finished(run)


def test_the_demo_asks_for_restricted_pods_and_marks_its_storage() -> None:
    """What the README promises of the demo's namespaces and values."""
    labels = training.namespace("demo")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    values = release.values({"outrider-operator": "abc", "outrider-tracker": "def"}, "10.0.0.1")
    assert values["tracker"]["storage"]["ephemeral"] is True
    assert values["webhook"]["podAnnotations"] == {"outrider.dev/image-content": "abc"}
    assert values["tracker"]["podAnnotations"] == {"outrider.dev/image-content": "def"}


def test_unwell_pods_are_those_neither_ready_nor_ended_well() -> None:
    """Their last words are printed."""
    ready_pod = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
    waiting = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]}}
    assert not diagnosis.unwell({"status": {"phase": "Succeeded"}})
    assert not diagnosis.unwell(ready_pod)
    assert diagnosis.unwell(waiting)
    assert diagnosis.unwell({"status": {"phase": "Pending"}})
    assert diagnosis.unwell({"status": {"phase": "Failed"}})


ANSWERS: dict[str, Any] = {
    "/api/v1/runs/demo/uncategorized/r-1/ranks": {
        "items": [
            {"rank": 1, "attempt": 1, "restart": 0, "pod": "r-0", "streams": [{"id": "s1", "kind": "stdout"}]},
            {
                "rank": 0,
                "attempt": 1,
                "restart": 0,
                "pod": "r-0",
                "streams": [{"id": "s0", "kind": "stdout"}, {"id": "e0", "kind": "stderr"}],
            },
            {"rank": None, "attempt": 1, "restart": 0, "pod": "r-0", "streams": []},
        ]
    },
    "/api/v1/streams/s0/lines?last=2": {"lines": [{"text": "a"}, {"offset": 2, "lost": 7}, {"text": "b"}]},
    "/api/v1/streams/s1/lines?last=2": {"lines": [{"text": "c"}]},
}


@pytest.fixture
def address() -> Iterator[str]:
    """A server that answers as the tracker does, to one key."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            authorized = self.headers["Authorization"] == "Bearer the-key"
            body = json.dumps(ANSWERS.get(self.path, {}) if authorized else {"error": {"code": "unauthenticated"}})
            self.send_response(200 if authorized else 401)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_last_lines_come_rank_by_rank(address: str) -> None:
    """In the ranks' order; launchers, stderr and lost ranges are left out."""
    found = Tracker(address, "the-key").last_lines("/demo/uncategorized/r-1", 2)
    assert found == [("rank 0 on r-0", ["a", "b"]), ("rank 1 on r-0", ["c"])]


def test_a_refusal_and_a_silent_tracker_are_told_apart(address: str) -> None:
    """Both with the address."""
    with pytest.raises(DemoError, match=r"answered 401 to http://127.*unauthenticated"):
        Tracker(address, "wrong").get("/session")
    with pytest.raises(DemoError, match="does not answer at http://127"):
        Tracker("http://127.0.0.1:1", "the-key").get("/session")
