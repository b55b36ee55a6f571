"""What one post of a run's client does, in one transaction: lines, summary, heartbeat, state."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from outrider_sidecar import contract
from outrider_tracker.core import jsontext, run_states, sdk_config
from outrider_tracker.core.errors import RefusedError
from outrider_tracker.core.rows import read_rows, step_of
from outrider_tracker.core.run_states import Event, State
from outrider_tracker.store.line_blocks import LineFile
from outrider_tracker.store.lines import LineBatch, Looked, append_lines, line_counts
from outrider_tracker.store.read_rows import rows_between

MAX_WRITERS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Posted:
    """A post. `client`: the writer in shared mode, else "". `exit_code` None: the run goes on.

    `leads`: it tells of files that only a primary writer sends. Making one writes the summary's JSON: do it outside
    the writer.
    """

    batches: Sequence[LineBatch] = ()
    client: str = ""
    summary: Mapping[str, Any] | None = None
    preempting: bool = False
    exit_code: int | None = None
    leads: bool = False
    summary_json: str | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        if self.summary is not None:
            object.__setattr__(self, "summary_json", jsontext.write(self.summary))


@dataclass(frozen=True, slots=True)
class Outcome:
    """`stopped`: a person asked the run to stop. `state`: where it is now."""

    stopped: bool
    state: State


def apply(  # noqa: PLR0917  a post to a branch of a run
    connection: sqlite3.Connection,
    run: int,
    branch: int,
    posted: Posted,
    now: float,
    looked: Mapping[LineFile, Looked] | None = None,
) -> Outcome:
    """In a writer's job. `looked`: what stood where its lines go, if anybody looked.

    RefusedError (final for the client): the run is gone, or was rewound by somebody else.
    """
    row = connection.execute(
        "SELECT branch, state, stop_asked, program, ended, exit_code, parent FROM sdk_run "
        "WHERE id = ? AND deleted IS NULL",
        (run,),
    ).fetchone()
    if row is None:
        raise RefusedError(contract.ERROR_UNDECLARED, "the run was deleted: it takes no more data", status=404)
    _, state, stopped, program, ended, exit_code, parent = row
    if row[0] != branch:
        raise RefusedError(contract.ERROR_FENCED, "the run was rewound by a newer writer: this one may not go on")
    if branch and posted.batches:
        _refuse_gap(connection, run, posted)
    batches = posted.batches
    if is_sync(program) and not posted.client:
        batches = [part for batch in batches for part in _not_there(connection, run, batch)]
    for batch in batches:
        seen = (looked or {}).get(batch.file) if batches is posted.batches else None
        append_lines(connection, run, branch, batch, assign_steps=bool(posted.client), now=now, looked=seen)
    new = run_states.after(State(state), Event.PREEMPTING if posted.preempting else Event.HEARTBEAT)
    if posted.client:
        _hear(connection, run, posted, now)
        if new not in run_states.ALIVE and posted.exit_code is None and _leads(connection, run, posted.client):
            new = State.RUNNING  # another writer ended the run before it was known that this one leads, too
    if posted.exit_code is not None:
        # Of several writers the first that failed says how the run ended.
        exit_code = posted.exit_code if not posted.client or not exit_code else exit_code
        if not _others_live(connection, run, posted.client, now):
            new = run_states.completed(new, exit_code, stopped=bool(stopped))
            ended = now
    elif new in run_states.ALIVE:
        # In shared mode a writer's end waits here for the others.
        ended, exit_code = None, exit_code if posted.client else None
    connection.execute(
        "UPDATE sdk_run SET heartbeat = ?, updated = ?, state = ?, ended = ?, exit_code = ? WHERE id = ?",
        (now, now, new, ended, exit_code, run),
    )
    if posted.summary_json is not None:
        _put_summary(connection, run, posted.summary_json, joined=bool(posted.client or branch or parent))
    return Outcome(bool(stopped) and new in run_states.ALIVE, new)


def _refuse_gap(connection: sqlite3.Connection, run: int, posted: Posted) -> None:
    """A writer from before a rewind goes on far behind the end of the branch, where no writer of that branch would.

    Nothing else tells it apart: the client sends no word of the branch that it believes in.
    """
    counts = line_counts(connection, run, posted.client)
    for batch in posted.batches:
        if batch.file is LineFile.HISTORY and batch.first > counts[LineFile.HISTORY]:
            raise RefusedError(contract.ERROR_FENCED, "the run was rewound by a newer writer: this one may not go on")


def is_sync(program: str) -> bool:
    """Whether the run's newest client is `wandb sync`, and not a training."""
    return program.replace("\\", "/").rpartition("/")[2].removesuffix(".exe") in {"wandb", "wb"}


def _not_there(connection: sqlite3.Connection, run: int, batch: LineBatch) -> list[LineBatch]:
    """What of a batch of `wandb sync` the run does not have yet, as numbered.

    A second sync of the same folder is sent behind the rows of the first one, whether that one came to its end or not:
    the client takes every upload for a new start of the run. Rows that it sends again have their old step and time.
    """
    if batch.file is not LineFile.HISTORY or batch.first == 0:
        return [batch]
    marks = [_mark(row) for row in read_rows(batch.lines)]
    steps = [mark[0] for mark in marks if mark is not None]
    if not steps:
        return [batch]
    known: set[tuple[int, float]] = set()
    low = min(steps)
    while low <= max(steps):
        texts = rows_between(connection, run, low, max(steps) + 1, _ROWS)
        found = [mark for mark in map(_mark, read_rows(texts)) if mark is not None]
        known.update(found)
        if len(texts) < _ROWS or not found:
            break
        low = max(step for step, _ in found) + 1
    new = [at for at, mark in enumerate(marks) if mark is None or mark not in known]
    if len(new) == len(marks):
        return [batch]
    return [
        LineBatch(batch.file, batch.client, batch.first + part[0], batch.lines[part[0] : part[-1] + 1])
        for part in _consecutive(new)
    ]


_ROWS: Final = 10_000


def _mark(row: Any) -> tuple[int, float] | None:
    """What tells a row from every other one of its run: its step and the moment when it was logged. Pure."""
    step, time = step_of(row), row.get("_timestamp") if isinstance(row, dict) else None
    return (int(step), float(time)) if step is not None and isinstance(time, int | float) else None


def _consecutive(numbers: Sequence[int]) -> list[list[int]]:
    """Runs of numbers that follow each other. Pure."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and parts[-1][-1] == number - 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return parts


def _hear(connection: sqlite3.Connection, run: int, posted: Posted, now: float) -> None:
    """Notes that a writer of a shared run lives, or that it is over."""
    known = connection.execute("SELECT 1 FROM run_writer WHERE run = ? AND client = ?", (run, posted.client)).fetchone()
    if known is None:
        (count,) = connection.execute("SELECT count(*) FROM run_writer WHERE run = ?", (run,)).fetchone()
        if count >= MAX_WRITERS:
            raise RefusedError(contract.ERROR_TOO_LARGE, f"a run has at most {MAX_WRITERS} writers in its life")
    connection.execute(
        "INSERT INTO run_writer (run, client, heard, ended, leads) VALUES (?, ?, ?, ?, ?) ON CONFLICT (run, client) "
        "DO UPDATE SET heard = excluded.heard, ended = excluded.ended, leads = max(leads, excluded.leads)",
        (run, posted.client, now, int(posted.exit_code is not None), int(posted.leads)),
    )


def _leading(connection: sqlite3.Connection, run: int) -> set[str]:
    """The primary writers, as far as is known: they tell of their environment in config, or send certain files."""
    (config,) = connection.execute("SELECT config_json FROM sdk_run WHERE id = ?", (run,)).fetchone()
    environments = sdk_config.own(json.loads(config)).get("e")
    rows = connection.execute("SELECT client FROM run_writer WHERE run = ? AND leads", (run,))
    return {row[0] for row in rows} | set(environments if isinstance(environments, dict) else ())


def _leads(connection: sqlite3.Connection, run: int, client: str) -> bool:
    return client in _leading(connection, run)


def _others_live(connection: sqlite3.Connection, run: int, client: str, now: float) -> bool:
    """Whether the end that a writer declares is not the run's: a primary waits for primaries, others for everybody."""
    if not client:
        return False
    rows = connection.execute(
        "SELECT client FROM run_writer WHERE run = ? AND client != ? AND ended = 0 AND heard > ?",
        (run, client, now - run_states.OTHERS_SECONDS),
    )
    others = {row[0] for row in rows}
    if not others:
        return False
    leading = _leading(connection, run)
    return client not in leading or bool(others & leading)


def _put_summary(connection: sqlite3.Connection, run: int, text: str, *, joined: bool) -> None:
    """The whole summary. `joined`: its keys are put over those that are there, which its client knows nothing of: of
    the other writers in shared mode, or of the rows that a rewound run or a fork inherited.
    """
    if joined:
        (known,) = connection.execute("SELECT summary_json FROM sdk_run WHERE id = ?", (run,)).fetchone()
        text = jsontext.joined(known, text)
    connection.execute("UPDATE sdk_run SET summary_json = ? WHERE id = ?", (text, run))


def end_silent(connection: sqlite3.Connection, now: float) -> list[int]:
    """Ends the shared runs that one writer declared to be over, and whose others are silent since. Their ids."""
    rows = connection.execute(
        "SELECT id, state, stop_asked, exit_code, heartbeat FROM sdk_run WHERE heartbeat < ? AND state IN "
        "('running', 'preempting') AND deleted IS NULL AND exit_code IS NOT NULL",
        (now - run_states.OTHERS_SECONDS,),
    ).fetchall()
    for run, state, stopped, exit_code, heartbeat in rows:
        new = run_states.completed(State(state), exit_code, stopped=bool(stopped))
        connection.execute(
            "UPDATE sdk_run SET state = ?, ended = ?, updated = ? WHERE id = ?", (new, heartbeat, now, run)
        )
    return [row[0] for row in rows]
