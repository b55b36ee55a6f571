"""Rows of SDK runs: made and changed by what clients say, moved by what they post, ended by silence."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from outrider_tracker.core.errors import RefusedError
from outrider_tracker.core.metric_definitions import decode
from outrider_tracker.core.run_states import LOST_SECONDS, OTHERS_SECONDS, State
from outrider_tracker.maintenance import STALLED, Maintenance
from outrider_tracker.store import inherited_summary, run_files, sdk_runs, sdk_stream
from outrider_tracker.store.inherited_summary import put_inherited, summary_of_rows
from outrider_tracker.store.line_blocks import LineFile
from outrider_tracker.store.lines import LineBatch, fork_lines, line_counts, rewind_lines
from outrider_tracker.store.read_rows import rows_between
from outrider_tracker.store.run_files import SWEEP_AGE, RunFile
from outrider_tracker.store.sdk_runs import RunChange, SdkRun
from outrider_tracker.store.sdk_stream import Outcome, Posted
from outrider_tracker.store.store import Store

START = RunChange(host="node", program="train.py", started=True)


class Clock:
    """Goes when told."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Tracked:
    """A store with one project, and short words for what clients do."""

    def __init__(self, path: Path) -> None:
        self.clock = Clock()
        self.store = Store(path, clock=self.clock)
        self.project = self.write(
            lambda connection: (
                connection.execute("INSERT INTO project (entity, name, created) VALUES ('team', 'demo', 0)").lastrowid
            )
        )

    def write(self, job: Callable[[Any], Any]) -> Any:
        return self.store.writer.run(job)

    def upsert(self, name: str = "r", change: RunChange = START, run_id: str | None = None) -> tuple[SdkRun, bool]:
        found: tuple[SdkRun, bool] = self.write(
            lambda connection: sdk_runs.upsert_run(
                connection, self.project, name, change, user=7, run_id=run_id, now=self.clock()
            )
        )
        return found

    def post(self, name: str = "r", **posted: Any) -> Outcome:
        run = self.run(name)
        outcome: Outcome = self.write(
            lambda connection: sdk_stream.apply(connection, run.id, run.branch, Posted(**posted), self.clock())
        )
        return outcome

    def run(self, name: str = "r") -> SdkRun:
        found = self.store.readers.read(lambda connection: sdk_runs.find_run(connection, "team", "demo", name))
        assert found is not None
        return found

    def counts(self, name: str = "r", client: str | None = None) -> int:
        run = self.run(name)
        return self.store.readers.read(lambda c: line_counts(c, run.id, client))[LineFile.HISTORY]

    def maintenance(self, serving: Callable[[], bool] = lambda: True) -> Maintenance:
        return Maintenance(self.store, serving=serving)

    def pass_time(self, maintenance: Maintenance, seconds: float) -> None:
        """Time goes by while the tracker serves."""
        end = self.clock.now + seconds
        while self.clock.now < end:
            self.clock.now = min(end, self.clock.now + 30.0)
            maintenance.round()


@pytest.fixture
def tracked(tmp_path: Path) -> Iterator[Tracked]:
    """An open store."""
    made = Tracked(tmp_path / "data")
    yield made
    made.store.close()


def rows(first: int, *lines: str, client: str = "") -> LineBatch:
    return LineBatch(LineFile.HISTORY, client, first, lines)


class TestUpsert:
    def test_a_run_is_made_once(self, tracked: Tracked) -> None:
        """Retries deliver the same word twice."""
        first, inserted = tracked.upsert()
        again, repeated = tracked.upsert()
        assert (inserted, repeated) == (True, False)
        assert again.id == first.id
        assert again.display_name == first.display_name != ""
        assert (first.state, first.host, first.program, first.user) == ("running", "node", "train.py", 7)

    def test_null_leaves_alone(self, tracked: Tracked) -> None:
        change = RunChange(
            display_name="name", notes="n", group_name="g", job_type="j", sweep="s", tags=["a", "b", "a"],
            config={"lr": {"value": 1}}, summary={"loss": 2}, repo="r", commit_hash="c",
        )  # fmt: skip
        before, _ = tracked.upsert(change=change)
        after, _ = tracked.upsert(change=RunChange())
        kept = ("display_name", "notes", "group_name", "job_type", "sweep", "tags", "config", "summary", "repo")
        assert {key: getattr(after, key) for key in kept} == {key: getattr(before, key) for key in kept}
        assert after.tags == ["a", "b"]

    def test_empty_is_something_said(self, tracked: Tracked) -> None:
        tracked.upsert(change=RunChange(tags=["a"], notes="n", display_name="name"))
        after, _ = tracked.upsert(change=RunChange(tags=[], notes="", display_name=""))
        assert (after.tags, after.notes, after.display_name) == ([], "", "name")

    def test_what_the_client_keeps_in_config_survives_an_edit(self, tracked: Tracked) -> None:
        own = {"_wandb": {"value": {"t": {"1": [1]}}}}
        tracked.upsert(change=RunChange(config={**own, "lr": {"value": 1}}))
        after, _ = tracked.upsert(change=RunChange(config={"lr": {"value": 2}}))
        assert after.config == {**own, "lr": {"value": 2}}

    def test_writers_that_share_a_run_add_to_its_config(self, tracked: Tracked) -> None:
        tracked.upsert(change=RunChange(config={"a": {"value": 1}}, shared=True))
        after, _ = tracked.upsert(change=RunChange(config={"b": {"value": 2}}, shared=True))
        assert after.config == {"a": {"value": 1}, "b": {"value": 2}}

    def test_an_ended_run_that_begins_again_runs(self, tracked: Tracked) -> None:
        tracked.upsert()
        tracked.post(exit_code=1)
        assert (tracked.run().state, tracked.run().exit_code) == ("failed", 1)
        edited, _ = tracked.upsert(change=RunChange(notes="edited by a person"))
        assert edited.state == "failed"
        begun, _ = tracked.upsert()
        assert (begun.state, begun.exit_code, begun.ended) == ("running", None, None)

    def test_a_pending_run_waits_for_its_client(self, tracked: Tracked) -> None:
        made, _ = tracked.upsert(change=RunChange(state=State.PENDING))
        assert made.state == "pending"
        tracked.post()
        assert tracked.run().state == "running"


class TestPosts:
    def test_lines_summary_and_heartbeat_go_together(self, tracked: Tracked) -> None:
        tracked.upsert()
        tracked.clock.now += 10
        outcome = tracked.post(batches=[rows(0, '{"_step":0,"a":1}')], summary={"a": 1})
        run = tracked.run()
        assert (outcome.stopped, run.summary, run.heartbeat, tracked.counts()) == (False, {"a": 1}, 1_000_010.0, 1)

    def test_nothing_of_a_refused_post_is_kept(self, tracked: Tracked) -> None:
        tracked.upsert()
        run = tracked.run()
        posted = Posted(batches=[rows(0, '{"_step":0}')], summary={"a": 1})
        with pytest.raises(RefusedError) as refused:
            tracked.write(lambda connection: sdk_stream.apply(connection, run.id, run.branch + 1, posted, 2e6))
        assert refused.value.status == 409
        assert (tracked.run().heartbeat, tracked.run().summary, tracked.counts()) == (1_000_000.0, {}, 0)

    def test_a_stop_is_told_until_the_run_ends(self, tracked: Tracked) -> None:
        run, _ = tracked.upsert()
        tracked.write(lambda connection: sdk_runs.ask_stop(connection, run.id, 1.0))
        assert tracked.run().stopped
        assert tracked.post().stopped
        assert not tracked.post(exit_code=255).stopped
        assert tracked.run().state == "killed"
        begun, _ = tracked.upsert()
        assert (begun.state, begun.stopped) == ("running", False)

    def test_preempted(self, tracked: Tracked) -> None:
        tracked.upsert()
        tracked.post(preempting=True)
        assert tracked.run().state == "preempting"
        tracked.post()
        assert tracked.run().state == "preempting"
        tracked.post(exit_code=1)
        assert tracked.run().state == "preempted"

    def test_a_deleted_run_takes_nothing(self, tracked: Tracked) -> None:
        run, _ = tracked.upsert()
        tracked.write(lambda c: c.execute("UPDATE sdk_run SET deleted = 1 WHERE id = ?", (run.id,)))
        with pytest.raises(RefusedError) as refused:
            tracked.write(lambda connection: sdk_stream.apply(connection, run.id, 0, Posted(), 1.0))
        assert refused.value.status == 404

    def test_a_writer_from_before_a_rewind_is_refused(self, tracked: Tracked) -> None:
        """It goes on at line 10, where the new branch has five lines."""
        run, _ = tracked.upsert()
        tracked.post(batches=[rows(0, *(f'{{"_step":{step}}}' for step in range(10)))])

        def rewind(connection: Any) -> None:
            rewind_lines(connection, run.id, 0, 1, 4, 1.0)
            sdk_runs.open_branch(connection, run.id, 1, 1.0)

        tracked.write(rewind)
        assert tracked.counts() == 5
        with pytest.raises(RefusedError) as refused:
            tracked.post(batches=[rows(10, '{"_step":10}')])
        assert refused.value.status == 409
        tracked.post(batches=[rows(5, '{"_step":5,"new":1}')])
        assert tracked.counts() == 6


class TestSharedMode:
    def test_the_summary_is_everybodys(self, tracked: Tracked) -> None:
        tracked.upsert()
        tracked.post(client="a", summary={"x": 1, "y": 1})
        tracked.post(client="b", summary={"y": 2, "z": 2})
        assert tracked.run().summary == {"x": 1, "y": 2, "z": 2}

    def test_each_writer_counts_its_own_lines(self, tracked: Tracked) -> None:
        tracked.upsert()
        tracked.post(client="a", batches=[rows(0, '{"x":1}', '{"x":2}', client="a")])
        tracked.post(client="b", batches=[rows(0, '{"x":3}', client="b")])
        assert (tracked.counts(client="a"), tracked.counts(client="b"), tracked.counts()) == (2, 1, 3)

    def test_steps_are_the_runs_own(self, tracked: Tracked) -> None:
        """0.19 sends none, 0.31 counts them in each writer from 0; what is within a value is the user's."""
        tracked.upsert()
        sent = {
            "a": ('{"x":1}', '{"x":2}'),
            "b": ('{"_step":0,"x":3}', '{"x":4,"_step":1}', '{"_step":2}', '{"d":{"_step":7,"n":NaN},"_step":3}'),
            "c": ('{"d":{"_step":7}}', '{"x":"_step","_step": 1 , "y":"_step"}', "{}"),
        }
        for _ in range(2):  # the second time is a retry
            for client, lines in sent.items():
                tracked.post(client=client, batches=[rows(0, *lines, client=client)])
        run = tracked.run()
        texts = tracked.store.readers.read(lambda c: rows_between(c, run.id, 0, 100, 100))
        assert [json.loads(text, parse_constant=str) for text in texts] == [
            {"_step": 0, "x": 1},
            {"_step": 1, "x": 2},
            {"_step": 2, "x": 3},
            {"_step": 3, "x": 4},
            {"_step": 4},
            {"_step": 5, "d": {"_step": 7, "n": "NaN"}},
            {"_step": 6, "d": {"_step": 7}},
            {"_step": 7, "x": "_step", "y": "_step"},
            {"_step": 8},
        ]

    def test_the_last_end_ends_it(self, tracked: Tracked) -> None:
        tracked.upsert()
        for client in ("a", "b", "c"):
            tracked.post(client=client)
        tracked.post(client="a", exit_code=0)
        assert tracked.run().state == "running"
        tracked.post(client="b", exit_code=3)
        assert tracked.run().state == "running"
        tracked.post(client="c", exit_code=0)
        assert (tracked.run().state, tracked.run().exit_code) == ("failed", 3)

    def test_a_primary_does_not_wait_for_the_others(self, tracked: Tracked) -> None:
        """With `x_primary=False, x_update_finish_state=False` on all but one, only that one declares an end."""
        tracked.upsert()
        for client in ("w1", "w2"):
            tracked.post(client=client)
        tracked.post(client="primary", exit_code=0, leads=True)
        assert (tracked.run().state, tracked.run().exit_code) == ("finished", 0)
        tracked.post(client="w1", batches=[rows(0, '{"x":1}', client="w1")])
        assert (tracked.run().state, tracked.counts()) == ("finished", 1)

    def test_a_primary_is_known_by_its_environment(self, tracked: Tracked) -> None:
        config = {"_wandb": {"value": {"e": {"one": {"host": "a"}, "two": {"host": "b"}}}}}
        tracked.upsert(change=RunChange(config=config, shared=True))
        for client in ("one", "two", "other"):
            tracked.post(client=client)
        tracked.post(client="one", exit_code=0)
        assert tracked.run().state == "running"
        tracked.post(client="two", exit_code=0)
        assert tracked.run().state == "finished"

    def test_a_primary_that_shows_late_revives_it(self, tracked: Tracked) -> None:
        tracked.upsert()
        tracked.post(client="late")
        tracked.post(client="first", exit_code=3, leads=True)
        assert tracked.run().state == "failed"
        tracked.post(client="late", leads=True)
        assert tracked.run().state == "running"
        tracked.post(client="late", exit_code=0)
        assert (tracked.run().state, tracked.run().exit_code) == ("failed", 3)

    def test_a_worker_that_ends_early_does_not_end_it(self, tracked: Tracked) -> None:
        tracked.upsert()
        tracked.post(client="primary", leads=True)
        tracked.post(client="worker", exit_code=1)
        assert tracked.run().state == "running"

    def test_primaries_that_fall_silent_are_given_a_minute(self, tracked: Tracked) -> None:
        maintenance = tracked.maintenance()
        tracked.upsert()
        tracked.post(client="killed", leads=True)
        tracked.post(client="primary", exit_code=0, leads=True)
        assert tracked.run().state == "running"
        tracked.pass_time(maintenance, OTHERS_SECONDS - 1)
        assert tracked.run().state == "running"
        tracked.pass_time(maintenance, 31)
        assert (tracked.run().state, tracked.run().exit_code) == ("finished", 0)
        assert tracked.run().ended == 1_000_000.0

    def test_a_writer_that_is_silent_for_long_does_not_hold_it(self, tracked: Tracked) -> None:
        tracked.upsert()
        tracked.post(client="died")
        tracked.clock.now += OTHERS_SECONDS + 1
        tracked.post(client="primary", exit_code=0)
        assert tracked.run().state == "finished"


class TestInheritedSummary:
    """What a run that was rewound, or forked, says before and beside its own client."""

    def rewind(self, tracked: Tracked, step: int, name: str = "r") -> SdkRun:
        run = tracked.run(name)

        def job(connection: Any) -> None:
            rewind_lines(connection, run.id, run.branch, run.branch + 1, step, 1.0)
            sdk_runs.open_branch(connection, run.id, run.branch + 1, 1.0)

        tracked.write(job)
        return tracked.run(name)

    def of_rows(self, tracked: Tracked, run: SdkRun, definitions: Any = None) -> dict[str, Any]:
        metrics = decode(definitions)
        return tracked.store.readers.read(lambda connection: summary_of_rows(connection, run.id, metrics))

    def put(self, tracked: Tracked, run: SdkRun, summary: dict[str, Any]) -> None:
        tracked.write(lambda connection: put_inherited(connection, run.id, run.branch, json.dumps(summary)))

    def test_a_rewind_leaves_nothing_of_later_steps(self, tracked: Tracked) -> None:
        tracked.upsert()
        sent = [{"_step": step, "a": step} | ({"late": 1} if step > 6 else {}) for step in range(10)]
        tracked.post(batches=[rows(0, *map(json.dumps, sent))], summary={"a": 9, "late": 1, "by hand": 5})
        run = self.rewind(tracked, 5)
        assert run.summary == {}
        assert self.of_rows(tracked, run) == {"_step": 5, "a": 5}

    def test_a_fork_has_its_parents_rows(self, tracked: Tracked) -> None:
        """Those that it inherited, and of a parent with many writers the newest of all."""
        tracked.upsert()
        for at in range(4):
            for client in "abc":  # their steps are 3 * at + 0, 1, 2
                text = json.dumps({"x": f"{client}{at}", client: at})
                tracked.post(client=client, batches=[rows(at, text, client=client)])
        parent = tracked.run()
        child, _ = tracked.upsert("child")

        def fork(connection: Any) -> None:
            sdk_runs.set_parent(connection, child.id, parent.id, 6)
            fork_lines(connection, child.id, parent.id, 6, 1.0)

        tracked.write(fork)
        assert self.of_rows(tracked, child) == {"_step": 6, "x": "a2", "a": 2, "b": 1, "c": 1}

    def test_an_id_used_again(self, tracked: Tracked) -> None:
        """Its rows begin at step 0 once more: the highest step counts, and of two rows of it the later one."""
        tracked.upsert()
        tracked.post(
            batches=[rows(0, '{"_step":0,"a":1}', '{"_step":1,"a":2}', '{"_step":0,"a":3}', '{"_step":1,"a":4}')]
        )
        assert self.of_rows(tracked, tracked.run()) == {"_step": 1, "a": 4}

    def test_what_the_client_says_is_put_over_it(self, tracked: Tracked) -> None:
        tracked.upsert()
        tracked.post(batches=[rows(0, '{"_step":0,"a":1,"b":1}', '{"_step":1,"a":2}')])
        run = self.rewind(tracked, 0)
        self.put(tracked, run, {"_step": 0, "a": 1, "b": 1})
        tracked.post(summary={"_step": 1, "a": 7})
        assert tracked.run().summary == {"_step": 1, "a": 7, "b": 1}

    def test_a_client_that_was_quicker_is_not_overruled(self, tracked: Tracked) -> None:
        tracked.upsert()
        run = self.rewind(tracked, 0)
        tracked.post(summary={"_step": 1, "a": 7})
        self.put(tracked, run, {"_step": 0, "a": 1, "b": 1})
        assert tracked.run().summary == {"_step": 1, "a": 7, "b": 1}

    def test_a_run_that_was_rewound_once_more_has_another_one(self, tracked: Tracked) -> None:
        tracked.upsert()
        first = self.rewind(tracked, 5)
        self.rewind(tracked, 3)
        self.put(tracked, first, {"_step": 5})
        assert tracked.run().summary == {}

    def test_a_run_of_its_own_says_all_itself(self, tracked: Tracked) -> None:
        """A key that the client removed is gone."""
        tracked.upsert()
        tracked.post(summary={"a": 1, "b": 1})
        tracked.post(summary={"a": 2})
        assert tracked.run().summary == {"a": 2}

    def test_of_a_long_history_the_newest_rows_are_read(
        self, tracked: Tracked, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Then nothing is told that would take all of them."""
        tracked.upsert()
        tracked.post(batches=[rows(0, '{"_step":0,"old":1,"a":0}')])
        tracked.post(batches=[rows(1, '{"_step":1,"a":1,"least":1}')])
        monkeypatch.setattr(inherited_summary, "READ", 10)
        found = self.of_rows(tracked, tracked.run(), [{"1": "least", "7": [1]}, {"1": "a", "7": [5]}])
        assert found == {"_step": 1, "a": {"last": 1}}


class TestSync:
    """`wandb sync` of one folder, more than once: the client sends all rows again, behind those that are there."""

    SYNC = RunChange(host="node", program="/env/bin/wandb", started=True)
    ROWS = tuple(f'{{"_step":{step},"_timestamp":{100 + step}.5,"a":{step}}}' for step in range(6))

    def rows(self, tracked: Tracked) -> list[str]:
        run = tracked.run()
        return tracked.store.readers.read(lambda c: rows_between(c, run.id, 0, 100, 100))

    def test_twice(self, tracked: Tracked) -> None:
        tracked.upsert(change=self.SYNC)
        tracked.post(batches=[rows(0, *self.ROWS)], exit_code=0)
        tracked.upsert(change=self.SYNC)
        again = [text.replace('"_step"', ' "_step"') for text in self.ROWS]  # the client's keys have no order
        tracked.post(batches=[rows(6, *again)], exit_code=0)
        assert self.rows(tracked) == list(self.ROWS)

    def test_after_one_that_broke_off(self, tracked: Tracked) -> None:
        tracked.upsert(change=self.SYNC)
        tracked.post(batches=[rows(0, *self.ROWS[:3])])
        tracked.upsert(change=self.SYNC)
        tracked.post(batches=[rows(3, *self.ROWS[:4])])
        tracked.post(batches=[rows(7, *self.ROWS[4:])], exit_code=0)
        assert self.rows(tracked) == list(self.ROWS)

    def test_another_folder_of_the_same_run_is_added(self, tracked: Tracked) -> None:
        """Rows of equal steps, logged at another time, are other rows."""
        other = [text.replace('"_timestamp":10', '"_timestamp":20') for text in self.ROWS]
        tracked.upsert(change=self.SYNC)
        tracked.post(batches=[rows(0, *self.ROWS)], exit_code=0)
        tracked.upsert(change=self.SYNC)
        tracked.post(batches=[rows(6, *other)], exit_code=0)
        assert sorted(self.rows(tracked)) == sorted([*self.ROWS, *other])

    def test_a_training_is_never_compared(self, tracked: Tracked) -> None:
        tracked.upsert()
        tracked.post(batches=[rows(0, *self.ROWS)])
        tracked.post(batches=[rows(6, *self.ROWS)])
        assert tracked.counts() == 12

    @pytest.mark.parametrize(
        ("program", "expected"),
        [
            ("/env/bin/wandb", True),
            ("C:\\env\\wandb.exe", True),
            ("wandb", True),
            ("train.py", False),
            ("/src/wandb/train.py", False),
            ("", False),
        ],
    )
    def test_who_syncs(self, program: str, expected: bool) -> None:
        assert sdk_stream.is_sync(program) is expected


class TestSilence:
    def test_five_minutes(self, tracked: Tracked) -> None:
        maintenance = tracked.maintenance()
        tracked.upsert("gone")
        tracked.upsert("alive")
        tracked.upsert("ended")
        tracked.post("ended", exit_code=0)
        tracked.pass_time(maintenance, LOST_SECONDS - 30)
        assert tracked.run("gone").state == "running"
        tracked.post("alive")
        tracked.pass_time(maintenance, 60)
        assert [tracked.run(name).state for name in ("gone", "alive", "ended")] == ["crashed", "running", "finished"]
        tracked.post("gone")
        assert tracked.run("gone").state == "running"

    def test_nobody_is_silent_while_the_tracker_does_not_serve(self, tracked: Tracked) -> None:
        serving = True
        maintenance = tracked.maintenance(lambda: serving)
        tracked.upsert()
        serving = False
        tracked.pass_time(maintenance, 10 * LOST_SECONDS)
        serving = True
        tracked.pass_time(maintenance, LOST_SECONDS - 30)
        assert tracked.run().state == "running"
        tracked.pass_time(maintenance, 90)
        assert tracked.run().state == "crashed"

    def test_nobody_is_silent_while_the_machine_slept(self, tracked: Tracked) -> None:
        maintenance = tracked.maintenance()
        tracked.upsert()
        maintenance.round()
        tracked.clock.now += max(STALLED, LOST_SECONDS) + 1000
        maintenance.round()
        assert tracked.run().state == "running"

    def test_nobody_is_silent_because_the_tracker_was_down(self, tmp_path: Path) -> None:
        first = Tracked(tmp_path / "data")
        first.upsert()
        first.store.close()
        clock = Clock()
        clock.now += 100 * LOST_SECONDS
        store = Store(tmp_path / "data", clock=clock)
        Maintenance(store).round()
        state = store.readers.read(lambda connection: connection.execute("SELECT state FROM sdk_run").fetchone()[0])
        store.close()
        assert state == "running"


def test_alerts_of_one_title_wait(tracked: Tracked) -> None:
    run, _ = tracked.upsert()

    def alert(title: str, now: float) -> bool:
        kept: bool = tracked.write(lambda c: sdk_runs.add_alert(c, run.id, title, "text", "INFO", 60.0, now))
        return kept

    assert [alert("a", 0.0), alert("a", 59.0), alert("b", 59.0), alert("a", 60.0)] == [True, False, True, True]


class TestFiles:
    def put(self, tracked: Tracked, name: str, data: bytes, modified: float | None = None) -> str:
        """As the upload does it."""
        store = tracked.store
        staged = store.folder.staging / "part"
        staged.write_bytes(data)
        sha256 = hashlib.sha256(data).hexdigest()
        store.blobs.adopt(sha256, staged)
        if modified is not None:
            os.utime(store.blobs.location(sha256), (modified, modified))
        run = tracked.run()
        tracked.write(lambda c: run_files.put_file(c, run.id, RunFile(name, sha256, len(data), 5.0, "bWQ1")))
        return sha256

    def names(self, tracked: Tracked, **asked: Any) -> list[str]:
        run = tracked.run()
        asked.setdefault("limit", 100)
        return [file.name for file in tracked.store.readers.read(lambda c: run_files.list_files(c, run.id, **asked))]

    def test_the_newest_content_counts(self, tracked: Tracked) -> None:
        tracked.upsert()
        self.put(tracked, "a", b"one")
        self.put(tracked, "a", b"")
        run = tracked.run()
        file = tracked.store.readers.read(lambda c: run_files.get_file(c, run.id, "a"))
        assert file == RunFile("a", hashlib.sha256().hexdigest(), 0, 5.0, "bWQ1")

    def test_lists(self, tracked: Tracked) -> None:
        tracked.upsert()
        for name in ("b.txt", "a.txt", "media/x.png", "ü"):
            self.put(tracked, name, b"x")
        assert self.names(tracked) == ["a.txt", "b.txt", "media/x.png", "ü"]
        assert self.names(tracked, after="a.txt", limit=1) == ["b.txt"]
        assert self.names(tracked, pattern="%.txt") == ["a.txt", "b.txt"]
        assert self.names(tracked, pattern="media/_.png") == ["media/x.png"]

    def test_contents_that_nobody_names_are_swept(self, tracked: Tracked) -> None:
        """But not those of the last hour: an upload's row may be on its way."""
        tracked.upsert()
        run = tracked.run()
        old = tracked.clock.now - SWEEP_AGE - 1
        kept, gone = self.put(tracked, "kept", b"kept", old), self.put(tracked, "gone", b"gone", old)
        young = self.put(tracked, "young", b"young", tracked.clock.now - 10)
        shared = self.put(tracked, "one", b"shared", old)
        self.put(tracked, "two", b"shared", old)
        tracked.write(lambda c: run_files.delete_files(c, run.id, ["gone", "young", "one"]))
        blobs = tracked.store.blobs
        assert tracked.store.sweep() == 1
        assert [blobs.location(key).exists() for key in (kept, gone, young, shared)] == [True, False, True, True]
        rows = tracked.store.readers.read(lambda c: {row[0] for row in c.execute("SELECT sha256 FROM blob")})
        assert rows == {kept, young, shared}

    def test_content_that_comes_again_in_this_moment_stays(self, tracked: Tracked) -> None:
        """Between the sweeper's look and its deed, an upload placed the same bytes anew."""
        tracked.upsert()
        old = tracked.clock.now - SWEEP_AGE - 1
        key = self.put(tracked, "a", b"again", old)
        os.utime(tracked.store.blobs.location(key), (tracked.clock.now, tracked.clock.now))
        assert not tracked.store.blobs.remove_old(key, tracked.clock.now - SWEEP_AGE)
        assert tracked.store.blobs.location(key).exists()
