"""Runs as W&B's client writes them, request by request. What the whole client makes of it: tests/compat."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.tracker.process import TrackerProcess, until
from tests.integration.tracker.wandb.client import (
    ALERT,
    CHART,
    ENTITY,
    PROJECT,
    RESUME,
    REWIND,
    STATE,
    STOP,
    STOPPED,
    UNSET,
    UPSERT,
    Wire,
)


@pytest.fixture(scope="module")
def wire(tracker: TrackerProcess) -> Iterator[Wire]:
    """The administrator's client."""
    with Wire(tracker) as made:
        yield made


def row(step: int, **values: Any) -> str:
    return json.dumps({"_step": step, "_timestamp": 1.7e9 + step, "_runtime": float(step), **values})


class TestWhoAsks:
    def test_a_wrong_key_is_401_with_a_sentence(self, tracker: TrackerProcess) -> None:
        with Wire(tracker, key="f" * 40) as stranger:
            for answer in (stranger.send("query Viewer { viewer { id } }"), stranger.post("r", {})):
                assert answer.status_code == 401
                assert "API key" in answer.json()["errors"][0]["message"]

    def test_nobody_has_no_viewer(self, tracker: TrackerProcess) -> None:
        with Wire(tracker, key="") as nobody:
            assert nobody.ask("{ viewer { id } }") == {"viewer": None}
            assert nobody.send(UPSERT, **{**UNSET, "name": "r"}).status_code == 401
            assert nobody.post("r", {}).status_code == 401

    def test_an_entity_that_is_not_there_is_final(self, wire: Wire) -> None:
        """The client shows the sentence and gives up at 404; at 5xx it would try for minutes."""
        answer = wire.send(UPSERT, **{**UNSET, "name": "r", "entity": "no-such-team"})
        assert answer.status_code == 404
        assert "no-such-team" in answer.json()["errors"][0]["message"]


class TestUpsert:
    def test_the_first_word_makes_project_and_run(self, wire: Wire) -> None:
        found = wire.upsert("first", host="node", config='{"lr": {"value": 0.1}}')
        bucket = found["bucket"]
        assert found["inserted"] is True
        assert (bucket["name"], bucket["project"]["name"], bucket["project"]["entity"]["name"]) == (
            "first", PROJECT, ENTITY,
        )  # fmt: skip
        assert bucket["historyLineCount"] == 0
        assert len(bucket["displayName"].split("-")) == 3
        assert json.loads(bucket["config"]) == {"lr": {"value": 0.1}}
        # The relay in a pod must make the same id.
        assert base64.b64decode(bucket["id"]).decode() == f"Run:v1:first:{PROJECT}:{ENTITY}"

    def test_a_retry_is_the_same_run(self, wire: Wire) -> None:
        first = wire.upsert("retried", host="node")
        again = wire.upsert("retried", host="node")
        assert again["inserted"] is False
        assert again["bucket"] == first["bucket"]

    def test_a_run_without_a_name_gets_one(self, wire: Wire) -> None:
        found = wire.ask(UPSERT, **{**UNSET, "host": "node"})["upsertBucket"]["bucket"]
        assert len(found["name"]) == 8
        assert found["project"]["name"] == "uncategorized"

    def test_the_id_alone_is_enough_for_an_edit(self, wire: Wire) -> None:
        made = wire.upsert("edited", host="node")["bucket"]
        edit = 'mutation U($id: String) { upsertBucket(input: {id: $id, notes: "n"}) { bucket { name notes } } }'
        assert wire.ask(edit, id=made["id"])["upsertBucket"]["bucket"] == {"name": "edited", "notes": "n"}

    @pytest.mark.parametrize(
        "given",
        [
            {"name": "a/b"},
            {"name": "x" * 200},
            {"config": "{"},
            {"config": "[]"},
            {"summaryMetrics": "nonsense"},
            {"state": "flying"},
            {"tags": ["x" * 10_000]},
            {"id": "nonsense"},
            {"project": "a/b"},
        ],
    )
    def test_nonsense_is_final(self, wire: Wire, given: dict[str, Any]) -> None:
        answer = wire.send(UPSERT, **{**UNSET, "name": "r", "project": PROJECT, **given})
        assert answer.status_code in {200, 400, 404}
        assert answer.json()["errors"][0]["message"]


class TestResume:
    def test_a_run_that_is_not_there_is_null_without_an_error(self, wire: Wire) -> None:
        wire.begin()
        assert wire.ask(RESUME, project=PROJECT, entity=ENTITY, name="absent")["model"]["bucket"] is None
        assert wire.ask(RESUME, project="absent", entity=ENTITY, name="absent")["model"] is None

    def test_what_the_client_goes_on_from(self, wire: Wire) -> None:
        run = wire.begin(tags=["a"], notes="n")
        wire.rows(run, 0, row(0, a=1), row(1, a=2))
        wire.post(
            run,
            {
                "files": {
                    "wandb-events.jsonl": {"offset": 0, "content": ['{"system.cpu":1,"_runtime":7.5}']},
                    "output.log": {"offset": 0, "content": ["one", "two", "three"]},
                    "wandb-summary.json": {"offset": 0, "content": ['{"a":2,"_wandb":{"runtime":9}}']},
                }
            },
        )
        bucket = wire.ask(RESUME, project=PROJECT, entity=None, name=run)["model"]["bucket"]
        assert (bucket["historyLineCount"], bucket["eventsLineCount"], bucket["logLineCount"]) == (2, 1, 3)
        tail = json.loads(json.loads(bucket["historyTail"])[-1])
        assert tail["_step"] == 1
        assert isinstance(tail["_step"], int)  # a 1.0 would begin the steps anew
        assert json.loads(json.loads(bucket["eventsTail"])[-1])["_runtime"] == 7.5
        assert json.loads(bucket["summaryMetrics"])["_wandb"] == {"runtime": 9}
        assert (bucket["tags"], bucket["notes"]) == (["a"], "n")
        assert json.loads(bucket["wandbConfig"]) == {"t": {"1": [1]}}
        # The answer to the upsert that follows must agree.
        assert wire.upsert(run, id=bucket["id"], host="node")["bucket"]["historyLineCount"] == 2

    def test_a_run_that_no_client_began_cannot_be_resumed(self, wire: Wire) -> None:
        """It has no telemetry `t`: that is how the client knows."""
        wire.begin("planned", config={"lr": {"value": 1}}, state="pending")
        bucket = wire.ask(RESUME, project=PROJECT, entity=ENTITY, name="planned")["model"]["bucket"]
        assert "t" not in json.loads(bucket["wandbConfig"] or "{}")

    def test_rewind(self, wire: Wire) -> None:
        run = wire.begin()
        wire.rows(run, 0, *(row(step, a=step) for step in range(10)))
        found = wire.ask(
            REWIND, runName=run, entity=ENTITY, project=PROJECT, metricName="_step", metricValue=4.0
        )["rewindRun"]["rewoundRun"]  # fmt: skip
        assert (found["name"], found["historyLineCount"]) == (run, 5)
        assert wire.summary(run) == json.loads(row(4, a=4))
        wire.rows(run, 5, row(5, a=500))
        assert [(line["_step"], line["a"]) for line in wire.history(run)] == [
            *((step, step) for step in range(5)),
            (5, 500),
        ]

    def test_rewind_of_nothing(self, wire: Wire) -> None:
        """The client says "run not found" then."""
        asked = {"runName": "absent", "entity": ENTITY, "project": PROJECT, "metricName": "_step", "metricValue": 4.0}
        assert wire.ask(REWIND, **asked)["rewindRun"]["rewoundRun"] is None

    def test_a_writer_that_was_rewound_away_is_told_for_good(self, wire: Wire) -> None:
        run = wire.begin()
        wire.rows(run, 0, *(row(step) for step in range(10)))
        wire.ask(REWIND, runName=run, entity=ENTITY, project=PROJECT, metricName="_step", metricValue=2.0)
        answer = wire.post(run, {"files": {"wandb-history.jsonl": {"offset": 10, "content": [row(10)]}}})
        assert answer.status_code == 409
        assert len(wire.history(run)) == 3

    def test_fork(self, wire: Wire) -> None:
        parent = wire.begin()
        wire.rows(parent, 0, *(row(step, a=step) for step in range(6)))
        point = {"run_id": parent, "step": 2}
        config = {"_wandb": {"value": {"t": {}, "branch_point": point}}}
        found = wire.upsert("forked", host="node", config=json.dumps(config))["bucket"]
        assert wire.summary("forked") == json.loads(row(2, a=2))
        assert json.loads(found["config"]) == config
        wire.rows("forked", found["historyLineCount"], row(3, a=300))
        wire.upsert("forked", config=json.dumps(config))  # its later words fork nothing anew
        assert [(line["_step"], line["a"]) for line in wire.history("forked")] == [(0, 0), (1, 1), (2, 2), (3, 300)]
        assert len(wire.history(parent)) == 6

    def test_a_fork_of_nothing_is_refused(self, wire: Wire) -> None:
        config = {"_wandb": {"value": {"branch_point": {"run_id": "absent", "step": 2}}}}
        answer = wire.send(UPSERT, **{**UNSET, "name": "orphan", "project": PROJECT, "config": json.dumps(config)})
        assert answer.status_code == 404
        assert "absent" in answer.json()["errors"][0]["message"]


class TestFilestream:
    def test_a_retry_changes_nothing(self, wire: Wire) -> None:
        run = wire.begin()
        for _ in range(3):
            wire.rows(run, 0, row(0), row(1))
        wire.rows(run, 1, row(1), row(2))
        assert [line["_step"] for line in wire.history(run)] == [0, 1, 2]

    def test_an_id_that_is_used_again_is_added_to(self, wire: Wire) -> None:
        run = wire.begin()
        wire.rows(run, 0, row(0), row(1))
        assert wire.upsert(run, host="node")["bucket"]["historyLineCount"] == 2

    def test_numbers_that_json_lacks(self, wire: Wire) -> None:
        run = wire.begin()
        wire.rows(run, 0, '{"_step":0,"a":NaN,"b":Infinity,"c":-Infinity}')
        found = wire.ask(STATE, entity=ENTITY, project=PROJECT, name=run)
        assert found["project"]["run"]["historyLineCount"] == 1
        text = (
            "query ($e: String, $p: String!, $r: String!) "
            "{ project(name: $p, entityName: $e) { run(name: $r) { historyKeys } } }"
        )
        keys = wire.ask(text, e=ENTITY, p=PROJECT, r=run)["project"]["run"]["historyKeys"]["keys"]
        assert {name: keys[name]["previousValue"] for name in "abc"} == {"a": "NaN", "b": "Infinity", "c": "-Infinity"}

    def test_the_end(self, wire: Wire) -> None:
        run = wire.begin()
        assert wire.state(run) == "running"
        wire.post(run, {"complete": True, "exitcode": 0})
        assert wire.state(run) == "finished"
        wire.post(run, {"complete": True, "exitcode": 0})
        assert wire.state(run) == "finished"
        wire.upsert(run, config='{"a": {"value": 1}}')  # a last word that comes late
        assert wire.state(run) == "finished"
        wire.begin(run)
        assert wire.state(run) == "running"
        wire.post(run, {"preempting": True})
        assert wire.state(run) == "preempting"
        wire.post(run, {"complete": True, "exitcode": 1})
        assert wire.state(run) == "preempted"

    def test_the_newest_summary_counts(self, wire: Wire) -> None:
        run = wire.begin()
        wire.post(run, {"files": {"wandb-summary.json": {"offset": 0, "content": ['{"a":1,"b":1}']}}})
        wire.post(run, {"files": {"wandb-summary.json": {"offset": 0, "content": ['{"a":0}', '{"a":2,"n":NaN}']}}})
        found = wire.ask(STATE, entity=ENTITY, project=PROJECT, name=run)["project"]["run"]
        assert json.loads(found["summaryMetrics"]) == {"a": 2, "n": "NaN"}

    def test_gzip(self, wire: Wire) -> None:
        run = wire.begin()
        body = {"files": {"wandb-history.jsonl": {"offset": 0, "content": [row(0)]}}}
        packed = gzip.compress(json.dumps(body).encode())
        assert wire.post(run, packed, **{"Content-Encoding": "gzip"}).status_code == 200
        assert len(wire.history(run)) == 1
        bomb = gzip.compress(b" " * (80 << 20))
        assert wire.post(run, bomb, **{"Content-Encoding": "gzip"}).status_code == 413

    @pytest.mark.parametrize("body", [b"", b"nonsense", b"[]", b'{"files":3}', b"\xff", b"[" * 100_000])
    def test_nonsense_is_final(self, wire: Wire, body: bytes) -> None:
        answer = wire.post(wire.begin(), body)
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["message"]

    def test_too_much_is_final(self, wire: Wire) -> None:
        assert wire.post(wire.begin(), b" " * ((11 << 20) + 1)).status_code == 413

    def test_a_run_that_is_not_there_is_final(self, wire: Wire) -> None:
        assert wire.post("absent", {}).status_code == 404

    def test_stop(self, wire: Wire) -> None:
        """0.31 learns of it by the post's answer, 0.19 by its question."""
        run = wire.begin()
        asked = {"entityName": ENTITY, "projectName": PROJECT, "runId": run}
        assert wire.post(run, {}).json() == {}
        assert wire.ask(STOPPED, **asked)["project"]["run"]["stopped"] is False
        storage_id = base64.b64encode(f"Run:v1:{run}:{PROJECT}:{ENTITY}".encode()).decode()
        assert wire.ask(STOP, id=storage_id)["stopRun"]["success"] is True
        assert wire.post(run, {}).json() == {"stopped": True}
        assert wire.ask(STOPPED, **asked)["project"]["run"]["stopped"] is True
        assert wire.post(run, {"complete": True, "exitcode": 255}).json() == {}
        assert wire.state(run) == "killed"


class TestSharedMode:
    def test_writers_of_one_run(self, tracker: TrackerProcess, wire: Wire) -> None:
        """Both begin at line 0 and bring no steps; one of them ends first."""
        with Wire(tracker, client="one") as one, Wire(tracker, client="two") as two:
            run = one.begin()
            assert two.upsert(run, host="node")["inserted"] is False
            for writer in (one, two):
                writer.rows(run, 0, '{"a":1,"_timestamp":1.0}', '{"a":2,"_timestamp":2.0}')
            one.rows(run, 0, '{"a":1,"_timestamp":1.0}', '{"a":2,"_timestamp":2.0}')  # a retry
            found = wire.history(run)
            assert [line["_step"] for line in found] == [0, 1, 2, 3]
            assert sorted(line["a"] for line in found) == [1, 1, 2, 2]
            # A third writer begins at 0, not behind the others.
            with Wire(tracker, client="three") as three:
                assert three.upsert(run, host="node")["bucket"]["historyLineCount"] == 0
                three.post(run, {"complete": True, "exitcode": 0})
            one.post(run, {"complete": True, "exitcode": 0})
            assert wire.state(run) == "running"
            two.post(run, {"complete": True, "exitcode": 0})
            assert wire.state(run) == "finished"


class TestTheRest:
    def test_alert(self, wire: Wire) -> None:
        run = wire.begin()
        asked = {"entityName": ENTITY, "projectName": PROJECT, "runName": run, "title": "t", "text": "x"}
        found = wire.ask(ALERT, **asked, severity="WARN", waitDuration=60000)
        assert found["notifyScriptableRunAlert"]["success"] is True
        assert wire.send(ALERT, **{**asked, "runName": "absent"}).status_code == 404

    def test_custom_chart(self, wire: Wire) -> None:
        asked = {
            "entity": ENTITY,
            "chartName": "mine",
            "displayName": "Mine",
            "chartType": "vega2",
            "access": "PRIVATE",
        }
        found = wire.ask(CHART, **asked, spec='{"mark": "bar"}')
        assert found["createCustomChart"]["chart"]["id"] == f"{ENTITY}/mine"
        assert "errors" in wire.send(CHART, **asked, spec="{").json()

    def test_ready(self, wire: Wire) -> None:
        assert wire.http.get("/ready").status_code == 200

    def test_telemetry_is_dropped(self, wire: Wire) -> None:
        assert wire.http.post("/sdk/otel/v1/metrics", content=b"x").status_code == 404

    @pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b'{"query":"{ viewer"}', b"[" * 100_000])
    def test_graphql_nonsense_is_no_500(self, wire: Wire, body: bytes) -> None:
        answer = wire.http.post("/graphql", content=body)
        assert answer.status_code in {200, 400}
        assert answer.json()["errors"][0]["message"]

    def test_a_host_that_is_none(self, wire: Wire) -> None:
        answer = wire.http.post("/graphql", json={"query": "{ viewer { id } }"}, headers={"Host": "a b/c"})
        assert answer.status_code == 400


def test_a_full_disk_lets_clients_wait(tmp_path: Path) -> None:
    """Lines and files are asked for again later; that the run lives, and how it ended, is taken."""
    with TrackerProcess(tmp_path / "data", "--watermarks", "0,0,100") as tracker, Wire(tracker) as wire:
        run = wire.begin()
        answer = wire.post(run, {"files": {"wandb-history.jsonl": {"offset": 0, "content": [row(0)]}}})
        assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (507, True)
        assert "full" in answer.json()["errors"][0]["message"]
        url = wire.upload_urls(run, "a.txt")[0]
        assert url is not None
        assert wire.http.put(url, content=b"x").status_code == 507
        assert wire.post(run, {"complete": True, "exitcode": 0}).status_code == 200
        assert wire.state(run) == "finished"


def test_what_was_answered_is_there_after_a_crash(tmp_path: Path) -> None:
    """And a run that was alive then is not called crashed when the tracker comes back."""
    with TrackerProcess(tmp_path / "data") as tracker, Wire(tracker) as wire:
        run = wire.begin()
        wire.rows(run, 0, row(0), row(1))
        url = wire.upload_urls(run, "a.bin")[0]
        assert url is not None
        assert wire.http.put(url, content=b"x" * 100_000).status_code == 200
        tracker.kill()
    with TrackerProcess(tmp_path / "data") as tracker, Wire(tracker) as wire:
        until(lambda: wire.http.get("/ready").status_code == 200, "it is ready")
        assert len(wire.history(run)) == 2
        assert wire.state(run) == "running"
        file = wire.files(run, fileNames=["a.bin"])[0]
        assert wire.http.get(file["url"], auth=None).content == b"x" * 100_000
