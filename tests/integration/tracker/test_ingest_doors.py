"""The ingest door of a real tracker, request by request."""

from __future__ import annotations

import gzip
import hashlib
import threading
import time
import zlib
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.integration.tracker.process import Sidecar, TrackerProcess, join_record, run_record, until
from tests.unit.tracker import wire


@pytest.fixture
def sidecar(tracker: TrackerProcess) -> Sidecar:
    """A declared source that no other test has."""
    made = Sidecar(tracker.client, f"pod-{uuid4()}")
    assert made.declare().status_code == 200
    return made


def error(answer: httpx.Response) -> dict[str, object]:
    """The error object of an answer."""
    found = answer.json()["error"]
    assert isinstance(found, dict)
    assert len(str(found["message"])) > 15
    return found


def test_declaring_gives_epochs_and_ends(sidecar: Sidecar) -> None:
    """The same instance keeps its epoch, a new one fences it, and durable ends are told."""
    body = wire.body(wire.stream("a"), wire.data("a", 0, 0, b"hello\n"))
    answer = sidecar.append(body)
    assert answer.status_code == 200
    assert answer.json()["ends"] == {"a": [0, 6]}
    again = sidecar.declare().json()
    assert again["epoch"] == 1
    assert again["streams"] == [{"name": "a", "generation": 0, "end": 6}]
    other = Sidecar(sidecar.client, sidecar.source, instance="two")
    assert other.declare().json()["epoch"] == 2
    assert error(sidecar.append(body))["code"] == "fenced"
    assert other.append(body).status_code == 200


def test_an_append_needs_its_declaration(tracker: TrackerProcess) -> None:
    """Unknown sources, stores and streams are told apart."""
    sidecar = Sidecar(tracker.client, f"pod-{uuid4()}")
    assert error(sidecar.append(wire.body()))["code"] == "undeclared"
    sidecar.declare()
    assert error(sidecar.append(wire.body(wire.data("a", 0, 0, b"x"))))["code"] == "undeclared"
    sidecar.incarnation = "another"
    assert error(sidecar.append(wire.body(wire.stream("a"))))["code"] == "incarnation"


REFUSED = {
    "gap": (wire.body(wire.stream("a"), wire.data("a", 0, 5, b"x")), 409, "gap"),
    "wrong crc": (wire.body(wire.stream("a"), wire.data("a", 0, 0, b"x", crc=1)), 400, "frame"),
    "no frames at all": (b"hello", 400, "frame"),
    "unknown kind": (wire.body(wire.stream("a", "video")), 400, "frame"),
    "over the bound": (wire.MAGIC + bytes(8 << 20), 413, "too_large"),
    "a bomb": (
        wire.body(
            wire.stream("a"),
            wire.frame(
                {
                    "t": "data",
                    "s": "a",
                    "g": 0,
                    "o": 0,
                    "n": 10,
                    "z": "zlib",
                    "c": len(zlib.compress(bytes(1 << 20))),
                    "crc": 0,
                },
                zlib.compress(bytes(1 << 20)),
            ),
        ),
        413,
        "too_large",
    ),
}


@pytest.mark.parametrize(("body", "status", "code"), REFUSED.values(), ids=REFUSED)
def test_a_refused_request_applies_nothing(sidecar: Sidecar, body: bytes, status: int, code: str) -> None:
    """Each refusal has its code, and the stream that it would have declared is not there."""
    answer = sidecar.append(body)
    assert (answer.status_code, error(answer)["code"]) == (status, code)
    assert sidecar.declare().json()["streams"] == []


def test_the_gap_says_where_to_go_on(sidecar: Sidecar) -> None:
    """Name, generation and end are in the answer."""
    sidecar.append(wire.body(wire.stream("a"), wire.data("a", 0, 0, b"12345")))
    found = error(sidecar.append(wire.body(wire.data("a", 0, 9, b"x"))))
    assert (found["stream"], found["generation"], found["end"]) == ("a", 0, 5)


def test_unknown_frames_are_counted(sidecar: Sidecar) -> None:
    """A newer sidecar's frames do not stop the others."""
    answer = sidecar.append(
        wire.body(wire.frame({"t": "novel", "c": 3}, b"abc"), wire.stream("a"), wire.data("a", 0, 0, b"x"))
    )
    assert answer.json()["unknownFrames"] == 1
    assert answer.json()["ends"] == {"a": [0, 1]}


def test_a_wrong_content_type_is_refused(sidecar: Sidecar) -> None:
    """The door takes frames only."""
    answer = sidecar.append(wire.body(), headers={"Content-Type": "application/json"})
    assert (answer.status_code, error(answer)["code"]) == (400, "frame")


@pytest.mark.parametrize("name", ["Outrider-Epoch", "Outrider-Wall", "Outrider-Unsent"])
@pytest.mark.parametrize("value", ["-1", "1e3", "x", "9" * 40])
def test_headers_of_no_number_are_refused(sidecar: Sidecar, name: str, value: str) -> None:
    """Nothing is guessed of a damaged header."""
    answer = sidecar.append(wire.body(), headers={name: value})
    assert (answer.status_code, error(answer)["code"]) == (400, "frame")


def test_directives_are_waited_for(sidecar: Sidecar) -> None:
    """Without any the answer comes when the time is over, not before."""
    begun = time.monotonic()
    answer = sidecar.client.get(f"/ingest/v1/sources/{sidecar.source}/directives", params={"after": 5, "wait": 0.5})
    assert answer.json() == {"after": 5, "directives": []}
    assert time.monotonic() - begun >= 0.5


def upload(sidecar: Sidecar, content: bytes, path: str = "out/model.bin", **changes: Any) -> httpx.Response:
    """Asks for a file's upload."""
    asked = {
        "path": path,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "mtime": 1.5,
        "policy": "end",
        **changes,
    }
    return sidecar.client.post(f"/ingest/v1/sources/{sidecar.source}/files", json=asked)


def test_a_file_is_stored_once(tracker: TrackerProcess, sidecar: Sidecar) -> None:
    """Ask, put, commit; the same content is then stored already, under any path, for this source only."""
    content = gzip.compress(b"weights" * 1000)
    asked = upload(sidecar, content).json()
    assert asked["state"] == "upload"
    assert 0 < asked["expires"] - time.time() <= 900
    # The address is the permission: no key is sent with the bytes.
    put = httpx.put(tracker.base + asked["url"], content=content, trust_env=False, timeout=30.0)
    assert put.status_code == 204
    commit = asked["url"].partition("?")[0] + "/commit"
    done = sidecar.client.post(commit)
    assert done.status_code == 200
    assert sidecar.client.post(commit).json() == done.json()
    assert upload(sidecar, content, "copy.bin").json()["state"] == "stored"
    other = Sidecar(sidecar.client, f"pod-{uuid4()}")
    other.declare()
    assert upload(other, content).json()["state"] == "upload"


def test_wrong_bytes_are_not_kept(sidecar: Sidecar) -> None:
    """Another digest than announced: 422, and the upload is over."""
    asked = upload(sidecar, b"good!").json()
    assert sidecar.client.put(asked["url"], content=b"evil!").status_code == 204
    commit = asked["url"].partition("?")[0] + "/commit"
    assert (sidecar.client.post(commit).status_code, sidecar.client.post(commit).status_code) == (422, 409)


def test_wrong_lengths_are_refused(sidecar: Sidecar) -> None:
    """Announced or not, the length must be the file's."""
    asked = upload(sidecar, b"12345").json()
    assert sidecar.client.put(asked["url"], content=b"123456").status_code == 422
    assert sidecar.client.put(asked["url"], content=iter([b"123", b"456"])).status_code == 422
    assert sidecar.client.put(asked["url"], content=iter([b"123"])).status_code == 422
    assert sidecar.client.put(asked["url"], content=iter([b"123", b"45"])).status_code == 204


def test_a_changed_address_is_refused(sidecar: Sidecar) -> None:
    """The signature binds the upload and its length."""
    first, second = upload(sidecar, b"a" * 10).json()["url"], upload(sidecar, b"b" * 10, "b").json()["url"]
    path, _, signature = first.partition("?")
    swapped = second.partition("?")[0] + "?" + signature
    for address in (path, path + "?signature=x.1.y", swapped, first[:-2] + ("AA" if first[-2:] != "AA" else "BB")):
        assert sidecar.client.put(address, content=b"a" * 10).status_code == 403


BAD_FILES = {
    "no path": {"path": ""},
    "path with NUL": {"path": "a\0b"},
    "size is text": {"size": "5"},
    "negative size": {"size": -1},
    "digest in upper case": {"sha256": "A" * 64},
    "unknown policy": {"policy": "sometimes"},
    "a time that no clock shows": {"mtime": 10**400},
}


@pytest.mark.parametrize("changes", BAD_FILES.values(), ids=BAD_FILES)
def test_bad_file_questions_are_refused(sidecar: Sidecar, changes: dict[str, Any]) -> None:
    """Each with 400 and a sentence."""
    answer = upload(sidecar, b"x", **changes)
    assert (answer.status_code, error(answer)["code"]) == (400, "frame")


def test_a_stopped_tracker_wakes_long_polls(tmp_path: Path) -> None:
    """SIGTERM ends a long-poll with an answer, and the process with 0, long before the poll's own time."""
    answers: list[int] = []
    with TrackerProcess(tmp_path / "data") as tracker:
        Sidecar(tracker.client, "pod-1").declare()
        polls = "outrider_tracker_requests_in_progress 1.0"

        def poll() -> None:
            headers = {"Authorization": tracker.client.headers["Authorization"]}
            address = f"{tracker.base}/api/v1/control/feed?after=1&wait=50"
            answers.append(httpx.get(address, headers=headers, timeout=60, trust_env=False).status_code)

        waiting = threading.Thread(target=poll)
        waiting.start()
        until(lambda: polls in tracker.client.get("/metrics").text, "the poll is under way")
        begun = time.monotonic()
        assert tracker.stop() == 0
        waiting.join(30)
        assert time.monotonic() - begun < 30
    assert answers == [200]


def test_the_control_door_joins_what_sidecars_sent(tracker: TrackerProcess, sidecar: Sidecar) -> None:
    """Run and join in; feed, ranks with last words, collection out."""
    control, run = "/api/v1/control", f"run-{uuid4()}"
    assert tracker.client.put(f"{control}/runs/{run}", json=run_record()).json() == {"url": f"/ml/demo/runs/{run}"}
    assert (
        tracker.client.put(f"{control}/sources/{sidecar.source}", json=join_record(run, nodeRank=3)).status_code == 200
    )
    newest = tracker.client.get(f"{control}/feed").json()["next"]
    events = (
        b'{"ts":1,"type":"container.start","container":"train","start":0,"pid":1,"argv":["python"]}\n'
        b'{"ts":2,"type":"rank.start","container":"train","start":0,"pid":9,"rank":6,"localRank":0,"restart":0,'
        b'"stdout":"torch/l/attempt_0/0/stdout.log","stderr":"torch/l/attempt_0/0/stderr.log"}\n'
        b'{"ts":3,"type":"rank.exit","container":"train","start":0,"pid":9,"rank":6,"localRank":0,"restart":0,"code":1,'
        b'"oomKills":0}\n'
    )
    place = {"container": "train", "start": 0}
    body = wire.body(
        wire.stream("train/0/events", "events", path="events.jsonl", **place),
        wire.data("train/0/events", 0, 0, events),
        wire.stream("train/0/stdout", "stdout", path="stdout.log", **place),
        wire.data("train/0/stdout", 0, 0, b"launching\n"),
        wire.stream("e", "stderr", path="torch/l/attempt_0/0/stderr.log", **place),
        wire.data(
            "e", 0, 0, b"".join(b"line %d\n" % number for number in range(30)) + b"ValueError: boom " + b"x" * 500
        ),
    )
    assert sidecar.append(body, unsent=77).status_code == 200
    items: list[dict[str, Any]] = []
    while len(items) < 3:
        after = items[-1]["seq"] if items else newest
        items += tracker.client.get(f"{control}/feed", params={"after": after, "wait": 20}).json()["items"]
    assert [item["event"]["type"] for item in items] == ["container.start", "rank.start", "rank.exit"]
    words = items[2]["lastWords"]
    assert isinstance(words, list)
    assert len(words) == 20
    assert words[0] == "line 11"
    assert words[-1].startswith("ValueError: boom xxx")
    assert len(words[-1]) == 256
    ranks = tracker.client.get(f"{control}/runs/{run}/ranks").json()["items"]
    shown = {(rank["role"], rank["rank"], rank["nodeRank"], rank["state"], rank["exitCode"]) for rank in ranks}
    assert shown == {("rank", 6, 3, "exited", 1), ("launcher", None, 3, "running", None)}
    assert next(rank for rank in ranks if rank["rank"] == 6)["lastWords"] == words
    collection = tracker.client.get(f"{control}/runs/{run}/collection").json()
    assert (collection["unsentBytes"], collection["lostBytes"], collection["sources"]) == (77, 0, 1)
    tracker.client.put(f"{control}/sources/{sidecar.source}", json=join_record(run, deleted=True, unsentBytes=500))
    collection = tracker.client.get(f"{control}/runs/{run}/collection").json()
    assert (collection["unsentBytes"], collection["lostBytes"]) == (0, 500)
    # 300 of the 500 bytes came after all.
    sidecar.append(wire.body(wire.data("train/0/stdout", 0, 10, b"y" * 300)))
    assert tracker.client.get(f"{control}/runs/{run}/collection").json()["lostBytes"] == 200


def test_the_longest_names_of_kubernetes_are_kept_whole(tracker: TrackerProcess, sidecar: Sidecar) -> None:
    """Pods and nodes may have 253 characters; a longer name is refused, since a cut one would be another pod's."""
    pod, node = "p" * 253, "n" * 253
    body = {"protocol": 1, "agent": "a", "instance": "one", "pod": {"namespace": "ml", "name": pod, "node": node}}
    address = f"/ingest/v1/sources/{sidecar.source}"
    run = f"run-{uuid4()}"
    tracker.client.put(f"/api/v1/control/runs/{run}", json=run_record())
    joined = tracker.client.put(f"/api/v1/control/sources/{sidecar.source}", json=join_record(run))
    assert joined.status_code == 200
    assert tracker.client.put(address, json=body).status_code == 200  # the pod's own word is the newer one
    event = b'{"ts":1,"type":"container.start","container":"train","start":0,"pid":1,"argv":["python"]}\n'
    place = {"path": "events.jsonl", "container": "train", "start": 0}
    sidecar.append(
        wire.body(wire.stream("train/0/events", "events", **place), wire.data("train/0/events", 0, 0, event))
    )
    ranks: list[dict[str, Any]] = []

    def shown() -> bool:
        ranks[:] = tracker.client.get(f"/api/v1/control/runs/{run}/ranks").json()["items"]
        return bool(ranks)

    until(shown, "the launcher is shown")
    assert {(rank["pod"], rank["node"]) for rank in ranks} == {(pod, node)}
    for key in ("name", "node"):
        longer = {**body, "pod": {"namespace": "ml", "name": pod, "node": node, key: "x" * 254}}
        answer = tracker.client.put(address, json=longer)
        assert (answer.status_code, error(answer)["code"]) == (400, "frame")
        assert f"{key} of the declaration has 254 characters" in str(error(answer)["message"])


def test_a_feed_that_is_gone_answers_410(tracker: TrackerProcess) -> None:
    """A place that this store never reached is not waited for."""
    answer = tracker.client.get("/api/v1/control/feed", params={"after": 10_000, "wait": 5})
    assert (answer.status_code, answer.json()["error"]["code"]) == (410, "expired")


BAD_RECORDS = {
    "namespace": {"namespace": ""},
    "tags": {"tags": [1]},
    "config": {"config": []},
    "createdAt": {"createdAt": "yesterday"},
    "expected": {"ranks": {"expected": "two"}},
    "type": {"conditions": [{"status": "True"}]},
    "number": {"attempts": [{"state": "Running"}]},
}


@pytest.mark.parametrize(("field", "changes"), BAD_RECORDS.items(), ids=BAD_RECORDS)
def test_a_bad_run_record_is_refused(tracker: TrackerProcess, field: str, changes: dict[str, Any]) -> None:
    """400 with the field's name, and no Run."""
    answer = tracker.client.put(f"/api/v1/control/runs/{uuid4()}", json=run_record(**changes))
    assert answer.status_code == 400
    assert field in str(error(answer)["message"])


def test_a_run_cannot_change_its_entity(tracker: TrackerProcess) -> None:
    """Another namespace's controller cannot take over a Run by its id."""
    address = f"/api/v1/control/runs/run-{uuid4()}"
    tracker.client.put(address, json=run_record())
    answer = tracker.client.put(address, json=run_record(namespace="other"))
    assert (answer.status_code, error(answer)["code"]) == (403, "forbidden")


def test_metrics_and_health_need_no_key(tracker: TrackerProcess, sidecar: Sidecar) -> None:
    """Sums only, without names."""
    sidecar.append(wire.body(wire.stream("secret-stream-name"), wire.data("secret-stream-name", 0, 0, b"x" * 100)))
    shown = httpx.get(tracker.base + "/metrics", trust_env=False, timeout=30.0).text
    assert float(shown.partition("\noutrider_tracker_append_raw_bytes_total ")[2].split()[0]) >= 100
    assert "secret-stream-name" not in shown
    assert httpx.get(tracker.base + "/healthz", trust_env=False, timeout=30.0).status_code == 200
    assert httpx.get(tracker.base + "/readyz", trust_env=False, timeout=30.0).status_code == 200


def test_no_secret_reaches_the_log(tracker: TrackerProcess, sidecar: Sidecar) -> None:
    """Refused requests are told by path; keys and signatures are not in it."""
    asked = upload(sidecar, b"12345").json()["url"]
    sidecar.client.put(asked, content=b"toolong")
    httpx.get(
        tracker.base + "/api/v1/control/feed",
        headers={"Authorization": "Bearer wrong-key-wrong-key"},
        trust_env=False,
        timeout=30.0,
    )
    text = tracker.log.read_text()
    assert '"event": "refused"' in text
    signature = asked.partition("signature=")[2]
    assert signature not in text
    assert "wrong-key" not in text


def test_a_second_tracker_is_refused_the_folder(tracker: TrackerProcess) -> None:
    """The lock holds, and the sentence says what to do."""
    with pytest.raises(AssertionError, match="another tracker holds the data folder"):
        TrackerProcess(tracker.log.parent / "data")
