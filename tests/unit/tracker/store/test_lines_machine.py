"""Lines of SDK runs against a model that is nothing but dictionaries: whatever is sent, in whatever order."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar, cast
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from outrider_tracker.core.errors import RefusedError
from outrider_tracker.decode import line_decoder, line_step
from outrider_tracker.decode.line_decoder import LineDecoder
from outrider_tracker.decode.line_step import LineStep
from outrider_tracker.store import compaction, line_blocks, lines, undecoded
from outrider_tracker.store.compaction import compact_lines
from outrider_tracker.store.decoded import decoding_of
from outrider_tracker.store.line_blocks import LineFile
from outrider_tracker.store.lines import LineBatch
from outrider_tracker.store.read_rows import key_statistics, last_step, rows_between, sample_rows
from outrider_tracker.store.store import Store
from outrider_tracker.store.writer import Writer

T = TypeVar("T")
CLOCK = 1_700_000_000.0
FILES = tuple(LineFile)
Key = tuple[LineFile, str]


class Model:
    """A run: each writer's file is a dictionary of lines; a row is kept as a value, a console line as a text."""

    def __init__(self, shared: bool) -> None:
        self.shared = shared
        self.branch = 0
        self.next_step = 0
        self.files: dict[Key, dict[int, str]] = {}
        self.counts: dict[Key, int] = {}

    def rows(self, file: LineFile) -> list[dict[str, object]]:
        """All rows of all writers."""
        return [json.loads(text) for key, held in self.files.items() if key[0] is file for text in held.values()]


def row(file: LineFile, number: int, variant: int) -> str:
    """Line `number` in one of its variants. History has an image now and then, nested numbers, NaN."""
    if file is LineFile.CONSOLE:
        return f"line {number} {'#' * variant}"
    if file is LineFile.EVENTS:
        return json.dumps({"_timestamp": float(number), "_wandb": True, "system.cpu": number + variant / 4})
    value: dict[str, object] = {"_step": number, "_timestamp": float(number), "x": number * 10 + variant}
    if number % 3 == 0:
        value["deep"] = {"y": float(variant)}
    if number % 5 == 0:
        value["image"] = {"_type": "image-file", "path": f"{number}-{variant}.png"}
    if number % 7 == 0:
        value["odd"] = float("nan")
    return json.dumps(value)


def shared_row(number: int, variant: int) -> str:
    """A row of shared mode has no step of its own."""
    return json.dumps({"x": number * 10 + variant}) if number % 4 else "{}"


class Lines(RuleBasedStateMachine):
    """Writers with bad habits, a decoder, compaction, and a tracker that is closed and opened in between."""

    def __init__(self) -> None:
        super().__init__()
        small = [(line_blocks, "BLOCK_LINES", 8), (lines, "BLOCK_LINES", 8), (compaction, "BLOCK_LINES", 8)]
        small += [(line_blocks, "BLOCK_BYTES", 400), (compaction, "BLOCK_BYTES", 400), (compaction, "MIN_BLOCKS", 2)]
        small += [(compaction, "MAX_BLOCKS", 5), (compaction, "_MANY", 4), (undecoded, "STEP_LINES", 7)]
        small += [(lines, "_MOST_PARTS", 3)]
        self.patches = [patch.object(module, name, value) for module, name, value in small]
        for item in self.patches:
            item.start()
        self.folder = Path(tempfile.mkdtemp(prefix="lines-"))
        self.runs: dict[int, Model] = {}
        self.last: tuple[int, int, LineBatch] | None = None
        self.begun: tuple[undecoded.Pending, LineStep] | None = None
        self._open()

    def _open(self) -> None:
        self.store = Store(self.folder, clock=lambda: CLOCK)
        self.decoder = LineDecoder(self.store, lambda _: None)

    @initialize()
    def begin(self) -> None:
        """One run with a writer of its own, one that many share."""
        self.store.writer.run(
            lambda connection: connection.execute(
                "INSERT INTO project (id, entity, name, created) VALUES (1, 'e', 'p', 0)"
            )
        )
        self._make(Model(shared=False))
        self._make(Model(shared=True))

    def _make(self, model: Model) -> int:
        run = len(self.runs) + 1
        self.store.writer.run(
            lambda connection: connection.execute(
                "INSERT INTO sdk_run (id, project, name, display_name, created, updated, heartbeat) "
                "VALUES (?, 1, ?, '', 0, 0, 0)",
                (run, f"r{run}"),
            )
        )
        self.runs[run] = model
        return run

    def _choose(self, at: int) -> int:
        alive = sorted(self.runs)
        return alive[at % len(alive)]

    def _append(self, run: int, branch: int, batch: LineBatch) -> bool:
        shared = self.runs[run].shared
        return self.store.writer.run(
            lambda connection: lines.append_lines(connection, run, branch, batch, assign_steps=shared, now=CLOCK)
        )

    @rule(
        at=st.integers(0, 9),
        file=st.sampled_from(FILES),
        client=st.sampled_from(["a", "b"]),
        back=st.integers(-12, 30),
        size=st.integers(0, 25),
        variants=st.lists(st.integers(0, 2), min_size=1, max_size=3),
    )
    def append(self, at: int, file: LineFile, client: str, back: int, size: int, variants: list[int]) -> None:
        """At the end, over what is there, or beyond a gap."""
        run = self._choose(at)
        model = self.runs[run]
        key = (file, client if model.shared else "")
        first = max(0, model.counts.get(key, 0) - back)
        texts = []
        for number in range(first, first + size):
            variant = variants[number % len(variants)]
            given = model.shared and file is LineFile.HISTORY
            texts.append(shared_row(number, variant) if given else row(file, number, variant))
        batch = LineBatch(file, key[1], first, texts)
        changed = self._append(run, model.branch, batch)
        assert changed == self._model_append(model, key, first, texts)
        assert not self._append(run, model.branch, batch), "a retry is nothing new"
        self.last = (run, model.branch, batch)

    def _model_append(self, model: Model, key: Key, first: int, texts: Sequence[str]) -> bool:
        held = model.files.setdefault(key, {})
        changed = False
        for number, text in enumerate(texts, first):
            sent = text
            if model.shared and key[0] is LineFile.HISTORY:
                step = model.next_step
                if number in held:
                    step = json.loads(held[number])["_step"]
                else:
                    model.next_step += 1
                sent = json.dumps({"_step": step, **json.loads(text)})
            if held.get(number) != sent:
                held[number] = sent
                changed = True
        if texts:
            model.counts[key] = max(model.counts.get(key, 0), first + len(texts))
        return changed

    @precondition(lambda self: self.last is not None)
    @rule()
    def retry_late(self) -> None:
        """The last batch once more, after whatever came between: what was overwritten since is overwritten again."""
        assert self.last is not None
        run, branch, batch = self.last
        if self.runs[run].branch == branch:
            changed = self._append(run, branch, batch)
            assert changed == self._model_append(self.runs[run], (batch.file, batch.client), batch.first, batch.lines)

    @rule(at=st.integers(0, 9))
    def write_to_an_older_branch(self, at: int) -> None:
        """Fenced, and final for the client."""
        run = self._choose(at)
        if self.runs[run].branch:
            with pytest.raises(RefusedError) as caught:
                self._append(run, self.runs[run].branch - 1, LineBatch(LineFile.HISTORY, "", 0, ["{}"]))
            assert caught.value.status in {403, 404, 409, 410, 413, 422}

    @rule(at=st.integers(0, 9), step=st.integers(-1, 60))
    def rewind(self, at: int, step: int) -> None:
        """History ends before the first row beyond the step; events and console stay."""
        run = self._choose(at)
        model = self.runs[run]
        old, new = model.branch, model.branch + 1

        def job(connection: sqlite3.Connection) -> None:
            lines.rewind_lines(connection, run, old, new, step, CLOCK)
            connection.execute("UPDATE sdk_run SET branch = ? WHERE id = ?", (new, run))

        self.store.writer.run(job)
        model.branch = new
        model.next_step = min(model.next_step, step + 1)
        for key in model.files:
            if key[0] is LineFile.HISTORY:
                self._cut(model, key, step)

    def _cut(self, model: Model, key: Key, step: int) -> None:
        held = model.files[key]
        beyond = [number for number in sorted(held) if json.loads(held[number])["_step"] > step]
        if beyond:
            model.files[key] = {number: text for number, text in held.items() if number < beyond[0]}
            model.counts[key] = beyond[0]

    @precondition(lambda self: len(self.runs) < 5)
    @rule(at=st.integers(0, 9), step=st.integers(-1, 60))
    def fork(self, at: int, step: int) -> None:
        """The child begins with the parent's rows up to the step."""
        parent = self._choose(at)
        model = Model(self.runs[parent].shared)
        for key, held in self.runs[parent].files.items():
            if key[0] is LineFile.HISTORY:
                model.files[key] = dict(held)
                model.counts[key] = self.runs[parent].counts.get(key, 0)
                self._cut(model, key, step)
        model.next_step = step + 1
        child = self._make(model)
        self.store.writer.run(lambda connection: lines.fork_lines(connection, child, parent, step, CLOCK))

    @precondition(lambda self: len(self.runs) > 2)
    @rule(at=st.integers(0, 9))
    def delete(self, at: int) -> None:
        """The lines of a run go; what others stand on stays."""
        run = self._choose(at)

        def job(connection: sqlite3.Connection) -> None:
            connection.execute("UPDATE sdk_run SET deleted = 1 WHERE id = ?", (run,))
            lines.delete_lines(connection, run)

        self.store.writer.run(job)
        # The number is not used again: ids of rows are not, either.
        self.runs[run] = Model(shared=False)
        with pytest.raises(RefusedError) as caught:
            self._append(run, 0, LineBatch(LineFile.HISTORY, "", 0, ["{}"]))
        assert caught.value.status in {404, 409}
        self._revive(run)

    def _revive(self, run: int) -> None:
        """A deleted run's id is taken by a fresh one here, so that the machine goes on with few runs."""

        def job(connection: sqlite3.Connection) -> None:
            connection.execute("UPDATE sdk_run SET deleted = NULL, branch = 0, next_step = 0 WHERE id = ?", (run,))

        self.store.writer.run(job)

    @rule()
    def compact(self) -> None:
        """Every space is looked at; nothing that is read changes."""
        self.store.writer.run(lambda connection: connection.execute("UPDATE line_space SET loose = loose + 8"))
        compact_lines(self.store.readers, self.store.writer)

    @rule(at=st.integers(0, 9), back=st.integers(0, 20), variant=st.integers(0, 2), steps=st.integers(0, 2))
    def compact_while_others_write(self, at: int, back: int, variant: int, steps: int) -> None:
        """Between the claim and the commit lines are overwritten, and some of them decoded."""

        class Interrupted:
            """The writer; somebody else is always first."""

            def run(inner, job: Callable[[sqlite3.Connection], T]) -> T:  # noqa: N805
                self._write_again(at, back, variant)
                for place in self.store.readers.read(undecoded.pending)[:steps]:
                    self._decode(place)
                return self.store.writer.run(job)

        self.store.writer.run(lambda connection: connection.execute("UPDATE line_space SET loose = loose + 8"))
        compact_lines(self.store.readers, cast("Writer", Interrupted()))

    def _write_again(self, at: int, back: int, variant: int) -> None:
        run = self._choose(at)
        model = self.runs[run]
        key = (LineFile.HISTORY, "a" if model.shared else "")
        first = max(0, model.counts.get(key, 0) - back)
        make = shared_row if model.shared else partial(row, LineFile.HISTORY)
        texts = [make(number, variant) for number in range(first, first + 10)]
        changed = self._append(run, model.branch, LineBatch(*key, first, texts))
        assert changed == self._model_append(model, key, first, texts)

    def _decode(self, place: undecoded.Pending) -> bool:
        step = self.store.readers.read(lambda connection: line_step.take(connection, place, CLOCK, 1000))
        return self._decoded(place, step)

    def _decoded(self, place: undecoded.Pending, step: LineStep) -> bool:
        return self.store.writer.run(lambda connection: line_decoder._write(connection, place, step))

    @rule(at=st.integers(0, 9))
    def begin_to_decode(self, at: int) -> None:
        """A step is read, and written only after whatever comes next."""
        places = self.store.readers.read(undecoded.pending)
        if places:
            place = places[at % len(places)]
            step = self.store.readers.read(lambda connection: line_step.take(connection, place, CLOCK, 1000))
            self.begun = (place, step)

    @precondition(lambda self: self.begun is not None)
    @rule()
    def end_to_decode(self) -> None:
        """It is taken, or refused as lines changed meanwhile: the points show which, later."""
        assert self.begun is not None
        self._decoded(*self.begun)
        self.begun = None

    @rule()
    def decode_and_look(self) -> None:
        """All is decoded, once."""
        self.decoder.drain()
        assert not self.decoder.stuck
        assert self.decoder.backlog() == 0
        for run, model in self.runs.items():
            self._check_points(run, model)

    @rule()
    def seal(self) -> None:
        """Tails of points become chunks."""
        self.store.points.seal(CLOCK + 1000)

    @rule()
    def reopen(self) -> None:
        """A stop and a start."""
        self.store.close()
        self._open()

    def _check_points(self, run: int, model: Model) -> None:
        wanted: Counter[tuple[str, float | None, str]] = Counter()
        types: Counter[tuple[str, str]] = Counter()
        media: Counter[tuple[str, object]] = Counter()
        for value in model.rows(LineFile.HISTORY):
            step = float(value["_step"])  # type: ignore[arg-type]
            for name, kind in (("_step", "number"), ("_timestamp", "number"), ("x", "number"), ("image", "image-file")):
                types[name, kind] += name in value
            types["deep.y", "number"] += "deep" in value
            types["odd", "number"] += "odd" in value
            if "x" in value:
                wanted["x", step, repr(float(value["x"]))] += 1  # type: ignore[arg-type]
            if "deep" in value:
                wanted["deep.y", step, repr(value["deep"]["y"])] += 1  # type: ignore[index]
            if "odd" in value:
                wanted["odd", step, "nan"] += 1
            if "image" in value:
                media[value["image"]["path"], value["_step"]] += 1  # type: ignore[index]
        for value in model.rows(LineFile.EVENTS):
            wanted["system.cpu", None, repr(float(value["system.cpu"]))] += 1  # type: ignore[arg-type]
        found: Counter[tuple[str, float | None, str]] = Counter()
        with self.store.readers.snapshot() as connection:
            decoding = decoding_of(connection, run)
            for series, key in connection.execute(
                "SELECT id, key FROM series WHERE source = ?", (-decoding,)
            ).fetchall():
                _, steps, values = self.store.points.read_points(series)
                for step, number in zip(steps, values, strict=True):
                    found[key, None if step != step else step, repr(number)] += 1
            counted = connection.execute(
                "SELECT key, type, count FROM history_key WHERE decoding = ?", (decoding,)
            ).fetchall()
            shown = connection.execute("SELECT data_json, step FROM media WHERE decoding = ?", (decoding,)).fetchall()
        assert found == wanted
        assert {(key, kind): count for key, kind, count in counted} == {key: n for key, n in types.items() if n}
        assert Counter((json.loads(data)["path"], step) for data, step in shown) == media

    @invariant()
    def what_is_read_is_the_model(self) -> None:
        """Lines, counts, tails, rows by step, statistics."""
        with self.store.readers.snapshot() as connection:
            for run, model in self.runs.items():
                self._check_run(connection, run, model)

    def _check_run(self, connection: sqlite3.Connection, run: int, model: Model) -> None:
        for key, held in model.files.items():
            file, client = key
            found = lines.read_lines(connection, run, file, 0, 1 << 40, client)
            assert [number for number, _ in found] == sorted(held)
            for number, text in found:
                same = text == held[number] or (
                    model.shared and file is LineFile.HISTORY and json.loads(text) == json.loads(held[number])
                )
                assert same, (number, text, held[number])
            assert lines.line_counts(connection, run, client)[file] == model.counts.get(key, 0)
            part = lines.read_lines(connection, run, file, 5, 17, client)
            assert [number for number, _ in part] == [number for number in sorted(held) if 5 <= number < 17]
        for file in FILES:
            total = sum(len(held) for key, held in model.files.items() if key[0] is file)
            assert len(lines.tail_lines(connection, run, file, 6)) == min(6, total)
            assert lines.line_counts(connection, run)[file] == sum(
                count for key, count in model.counts.items() if key[0] is file
            )
        rows = model.rows(LineFile.HISTORY)
        steps = sorted(int(str(value["_step"])) for value in rows)
        assert last_step(connection, run) == max(steps, default=-1)
        between = [json.loads(text)["_step"] for text in rows_between(connection, run, 4, 21, 9)]
        assert between == [step for step in steps if 4 <= step < 21][:9]
        sampled = [value["_step"] for value in sample_rows(connection, run, LineFile.HISTORY, 5)]
        assert len(sampled) == min(5, len(steps))
        assert sampled == sorted(sampled)
        assert set(sampled) <= set(steps)
        nested = sample_rows(connection, run, LineFile.HISTORY, 1000, ["_step", "deep.y"])
        assert Counter(value["_step"] for value in nested) == Counter(
            value["_step"] for value in rows if "deep" in value
        )
        keys = key_statistics(connection, run)["keys"]
        assert sum(item["count"] for item in keys.get("x", {"typeCounts": []})["typeCounts"]) == sum(
            "x" in value for value in rows
        )

    def teardown(self) -> None:
        """The whole store is sound at the end, and what nobody stands on can be swept."""
        self.store.writer.run(lambda connection: lines.sweep_lines(connection, 1000))
        with self.store.readers.snapshot() as connection:
            assert connection.execute("PRAGMA quick_check").fetchone() == ("ok",)
        self.store.close()
        shutil.rmtree(self.folder)
        for item in self.patches:
            item.stop()


TestLines = Lines.TestCase
TestLines.settings = settings(
    max_examples=40,
    stateful_step_count=30,
    suppress_health_check=list(HealthCheck),
)
