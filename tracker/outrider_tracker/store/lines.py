"""Lines of SDK runs: appended, compared with what is there, rewound, forked, given up. See docs/decisions/0007.

A space is (run, branch, file, client). Only the spaces of a run's newest branch are written and read. A space that
nobody owns any more has minus its own id for a run: it lives as long as another space stands on it.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from outrider_sidecar import contract
from outrider_tracker import failpoints
from outrider_tracker.core.errors import RefusedError
from outrider_tracker.core.rows import steps_of, without_step
from outrider_tracker.store import decoded
from outrider_tracker.store.line_blocks import BLOCK_LINES, LineFile, Packed, Segment, pack, segments, texts

MAX_LINE: Final = 1 << 53  # numbers of lines are exact in every client's arithmetic
_MOST_PARTS: Final = 16  # blocks that one batch is cut into, where it differs from what is there here and there
_GIVEN: Final = re.compile(r'\{"_step":(\d+)[,}]')


@dataclass(frozen=True, slots=True)
class LineBatch:
    """Lines [first, first + len(lines)) of a file, as one writer sends them (`client` is "" outside shared mode).

    Making one packs its blocks: do it outside the writer. RefusedError: the numbers are no numbers of lines.
    """

    file: LineFile
    client: str
    first: int
    lines: Sequence[str]
    packed: Sequence[Packed] = field(init=False, repr=False, compare=False, default=())

    def __post_init__(self) -> None:
        if not 0 <= self.first <= MAX_LINE - len(self.lines):
            raise RefusedError(contract.ERROR_FRAME, f"{self.first} is no offset of a line")
        try:
            "".join(self.lines).encode()
        except UnicodeEncodeError:  # half characters: valid JSON, but no text
            object.__setattr__(self, "lines", [text.encode(errors="replace").decode() for text in self.lines])
        object.__setattr__(self, "packed", pack(self.first, self.lines, steps=self.file is LineFile.HISTORY))

    @property
    def stop(self) -> int:
        """One more than its last line's number."""
        return self.first + len(self.lines)


@dataclass(frozen=True, slots=True)
class _Space:
    run: int
    branch: int
    file: LineFile
    client: str
    id: int
    base: int | None
    base_count: int
    count: int
    base_decoded: int
    decoded: int
    newest: int


@dataclass(frozen=True, slots=True)
class Looked:
    """What stands where a batch goes, seen before the writer has it: good as long as `newest` is the space's newest
    block. `present`: lines by their numbers, given by `parts`; `blocks`: what of the batch differs from them.
    """

    space: int
    newest: int
    parts: Sequence[Segment]
    present: Mapping[int, str]
    blocks: Sequence[Packed]


def look(connection: sqlite3.Connection, run: int, branch: int, batch: LineBatch) -> Looked | None:
    """Compares a batch with what is there; None: it only adds lines. To be done outside the writer, as it may take
    long: blocks are read and packed.
    """
    row = connection.execute(
        "SELECT id, newest FROM line_space WHERE run = ? AND branch = ? AND file = ? AND client = ? AND count > ?",
        (run, branch, batch.file, batch.client, batch.first),
    ).fetchone()
    if row is None:
        return None
    parts, present = _present(connection, row[0], batch)
    return Looked(row[0], row[1], parts, present, _changed(batch, batch.lines, present) if present else batch.packed)


def append_lines(
    connection: sqlite3.Connection,
    run: int,
    branch: int,
    batch: LineBatch,
    *,
    assign_steps: bool,
    now: float,
    looked: Looked | None = None,
) -> bool:
    """Adds what is new of the batch, within the caller's transaction. False: all of it was there (a retry).

    `assign_steps`: rows of history are given steps of the run's own (shared mode). `looked`: what `look` saw, if
    anybody did. RefusedError (final for the client): the run is gone, or was rewound since the writer learned of its
    branch.
    """
    next_step = _fence(connection, run, branch)
    if not batch.lines:
        return False
    space = _own_space(connection, run, branch, batch)
    if looked is None or (looked.space, looked.newest) != (space.id, space.newest):
        looked = None
        parts, present = _present(connection, space.id, batch) if batch.first < space.count else ((), {})
    else:
        parts, present = looked.parts, looked.present
    texts_now: Sequence[str] = batch.lines
    if assign_steps and batch.file is LineFile.HISTORY:
        next_step = _first_step(connection, run, branch) if next_step == 0 else next_step
        texts_now, following = _with_steps(batch, present, next_step)
        connection.execute(
            "UPDATE sdk_run SET next_step = ? WHERE id = ? AND next_step < ?", (following, run, following)
        )
    if texts_now is batch.lines and (looked is not None or not present):
        blocks = batch.packed if looked is None else looked.blocks
    else:
        blocks = _changed(batch, texts_now, present)
    if not blocks:
        return False
    if _replaces_decoded(space, blocks, parts):
        restart(connection, run, branch)
    newest = max(block.first + block.count for block in blocks)
    target = _unpinned(connection, space, min(block.first for block in blocks))
    seq = 0
    for block in blocks:
        seq = _insert_block(connection, target, block, now)
        if present:
            # What lies wholly under it counts no more. Left there, it would slow down whoever looks at these lines.
            stop = block.first + block.count
            connection.execute(
                "DELETE FROM line_block WHERE space = ? AND first >= ? AND first < ? AND first + count <= ? "
                "AND seq < ?",
                (target, block.first, stop, stop, seq),
            )
    connection.execute(
        "UPDATE line_space SET count = max(count, ?), last = ?, newest = ?, loose = loose + ? WHERE id = ?",
        (newest, now, seq, len(blocks), target),
    )
    failpoints.passing(failpoints.LINES_BEFORE_COMMIT)
    return True


def line_counts(connection: sqlite3.Connection, run: int, client: str | None = None) -> dict[LineFile, int]:
    """One more than the highest line's number of each file, of that writer; None: the sum over all writers."""
    rows = connection.execute(
        "SELECT file, sum(line_space.count) FROM line_space JOIN sdk_run ON sdk_run.id = run AND sdk_run.branch = "
        "line_space.branch WHERE run = ? AND (? IS NULL OR client = ?) GROUP BY file",
        (run, client, client),
    )
    return dict.fromkeys(LineFile, 0) | {LineFile(file): count for file, count in rows}


def read_lines(  # noqa: PLR0917  a range of one file of one writer
    connection: sqlite3.Connection, run: int, file: LineFile, first: int, stop: int, client: str = ""
) -> list[tuple[int, str]]:
    """Numbers and texts of one writer's lines [first, stop), in order; numbers that nobody wrote are left out."""
    found: list[tuple[int, str]] = []
    for space, count in newest_spaces(connection, run, file, client):
        parts = segments(connection, space, max(0, first), min(stop, count))
        for part, lines in texts(connection, parts):
            found += zip(range(part.start, part.stop), lines, strict=True)
    return found


def newest_spaces(
    connection: sqlite3.Connection, run: int, file: LineFile, client: str | None = None
) -> list[tuple[int, int]]:
    """Ids and counts of the spaces of the newest branch."""
    return connection.execute(
        "SELECT line_space.id, count FROM line_space JOIN sdk_run ON sdk_run.id = run "
        "AND sdk_run.branch = line_space.branch WHERE run = ? AND file = ? AND (? IS NULL OR client = ?) "
        "ORDER BY client",
        (run, file, client, client),
    ).fetchall()


def tail_lines(connection: sqlite3.Connection, run: int, file: LineFile, limit: int) -> list[str]:
    """The newest at most `limit` lines over all writers, oldest first."""
    found: list[tuple[int, int, str]] = []
    if limit <= 0:
        return []
    for space, count in newest_spaces(connection, run, file):
        found += _tail(connection, space, count, limit)
    found.sort(key=lambda item: item[:2])
    return [text for _, _, text in found[-limit:]]


def rewind_lines(  # noqa: PLR0917  from a branch to a branch
    connection: sqlite3.Connection, run: int, old_branch: int, new_branch: int, step: int, now: float
) -> None:
    """Opens the next branch on the old one: its history ends before the first row beyond `step`, the rest goes on.

    The caller raises the run's branch in the same transaction.
    """
    rows = connection.execute(
        "SELECT id, file, client, count FROM line_space WHERE run = ? AND branch = ?", (run, old_branch)
    ).fetchall()
    for space, file, client, count in rows:
        kept = _lines_up_to(connection, space, count, step) if file == LineFile.HISTORY else count
        _stand_on(connection, (run, new_branch, file, client), space, kept, now)
    connection.execute(
        "UPDATE line_space SET decoded = newest, base_decoded = base_count WHERE run = ? AND branch = ?",
        (run, old_branch),
    )
    connection.execute("UPDATE sdk_run SET next_step = ? WHERE id = ? AND next_step > ?", (step + 1, run, step + 1))
    restart(connection, run, new_branch)


def fork_lines(connection: sqlite3.Connection, child: int, parent: int, step: int, now: float) -> None:
    """Lets a new run's history begin with its parent's rows up to `step`. Events and console are its own."""
    (branch,) = connection.execute("SELECT branch FROM sdk_run WHERE id = ?", (child,)).fetchone()
    rows = connection.execute(
        "SELECT line_space.id, client, count FROM line_space JOIN sdk_run ON sdk_run.id = run "
        "AND sdk_run.branch = line_space.branch WHERE run = ? AND file = ?",
        (parent, LineFile.HISTORY),
    ).fetchall()
    for space, client, count in rows:
        kept = _lines_up_to(connection, space, count, step)
        _stand_on(connection, (child, branch, LineFile.HISTORY, client), space, kept, now)
    connection.execute("UPDATE sdk_run SET next_step = ? WHERE id = ?", (step + 1, child))


def delete_lines(connection: sqlite3.Connection, run: int) -> None:
    """Gives up all of a run's lines and what was decoded from them; `sweep_lines` removes what nobody stands on."""
    connection.execute(
        "UPDATE line_space SET run = -id, decoded = newest, base_decoded = base_count WHERE run = ?", (run,)
    )
    decoded.give_up(connection, run)


def restart(connection: sqlite3.Connection, run: int, branch: int) -> None:
    """Drops what was decoded of the run; the decoder begins again with the lines of this branch."""
    decoded.give_up(connection, run)
    connection.execute(
        "UPDATE line_space SET decoded = 0, base_decoded = 0 WHERE run = ? AND branch = ?", (run, branch)
    )


def sweep_lines(connection: sqlite3.Connection, most: int) -> int:
    """Removes at most `most` blocks, or the spaces without any, that nobody owns and nobody stands on. How many."""
    dead = connection.execute(
        "SELECT id FROM line_space WHERE run < 0 AND id NOT IN (SELECT base FROM line_space WHERE base IS NOT NULL) "
        "LIMIT 1"
    ).fetchone()
    if dead is None:
        return 0
    gone = connection.execute(
        "DELETE FROM line_block WHERE seq IN (SELECT seq FROM line_block WHERE space = ? LIMIT ?)", (dead[0], most)
    ).rowcount
    if gone < most:
        connection.execute("DELETE FROM line_space WHERE id = ?", (dead[0],))
        gone += 1
    return gone


def _fence(connection: sqlite3.Connection, run: int, branch: int) -> int:
    """The run's next step. RefusedError: it may not be written any more."""
    row = connection.execute(
        "SELECT branch, next_step FROM sdk_run WHERE id = ? AND deleted IS NULL", (run,)
    ).fetchone()
    if row is None:
        raise RefusedError(contract.ERROR_UNDECLARED, "the run was deleted: it takes no more data", status=404)
    if row[0] != branch:
        raise RefusedError(contract.ERROR_FENCED, "the run was rewound by a newer writer: this one may not go on")
    return int(row[1])


def _present(
    connection: sqlite3.Connection, space: int, batch: LineBatch
) -> tuple[Sequence[Segment], Mapping[int, str]]:
    """What stands at the batch's numbers."""
    parts = segments(connection, space, batch.first, batch.stop)
    present: dict[int, str] = {}
    for part, lines in texts(connection, parts):
        present.update(zip(range(part.start, part.stop), lines, strict=True))
    return parts, present


def _own_space(connection: sqlite3.Connection, run: int, branch: int, batch: LineBatch) -> _Space:
    key = (run, branch, batch.file, batch.client)
    row = connection.execute(
        "SELECT id, base, base_count, count, base_decoded, decoded, newest FROM line_space "
        "WHERE run = ? AND branch = ? AND file = ? AND client = ?",
        key,
    ).fetchone()
    if row is None:
        space = connection.execute("INSERT INTO line_space (run, branch, file, client) VALUES (?, ?, ?, ?)", key)
        row = (space.lastrowid, None, 0, 0, 0, 0, 0)
    return _Space(*key, *row)


def _first_step(connection: sqlite3.Connection, run: int, branch: int) -> int:
    """The first step that may be given: beyond all that rows brought."""
    row = connection.execute(
        "SELECT max(step_high) FROM line_space JOIN line_block ON space = line_space.id WHERE run = ? AND branch = ?",
        (run, branch),
    ).fetchone()
    return 0 if row[0] is None else max(0, row[0] + 1)


def _with_steps(batch: LineBatch, present: Mapping[int, str], next_step: int) -> tuple[list[str], int]:
    """The rows with steps of the run's own, and the step after them. A row whose line is there takes that one's. Pure.

    Newer clients count steps even where they share a run: each from 0 on, so that theirs say nothing.
    """
    given: list[str] = []
    for number, text in enumerate(batch.lines, batch.first):
        body = text.strip()
        if not body.startswith("{"):
            given.append(text)
            continue
        body = without_step(body)
        known = _GIVEN.match(present.get(number, ""))
        step = next_step if known is None else int(known.group(1))
        next_step += known is None
        rest = body[1:].lstrip()
        given.append(f'{{"_step":{step}{"" if rest.startswith("}") else ","}{rest}')
    return given, next_step


def _changed(batch: LineBatch, lines: Sequence[str], present: Mapping[int, str]) -> Sequence[Packed]:
    """Blocks of the lines that are not there, or differ from what is. Pure."""
    runs: list[tuple[int, int]] = []
    for at, text in enumerate(lines):
        if present.get(batch.first + at) == text:
            continue
        if runs and runs[-1][1] == at:
            runs[-1] = (runs[-1][0], at + 1)
        else:
            runs.append((at, at + 1))
    if runs == [(0, len(lines))] and lines is batch.lines:
        return batch.packed
    if len(runs) > _MOST_PARTS:
        runs = [(runs[0][0], runs[-1][1])]
    steps = batch.file is LineFile.HISTORY
    return [block for start, stop in runs for block in pack(batch.first + start, lines[start:stop], steps=steps)]


def _replaces_decoded(space: _Space, blocks: Sequence[Packed], parts: Sequence[Segment]) -> bool:
    """Whether one of the blocks lies over a line that was decoded. Pure."""
    if space.file is LineFile.CONSOLE:
        return False
    return any(
        block.first < stop and part.start < block.first + block.count
        for part in parts
        if (stop := _decoded_stop(space, part)) > part.start
        for block in blocks
    )


def _decoded_stop(space: _Space, part: Segment) -> int:
    """Up to which line a segment was decoded: of a block all or nothing, of a base its first lines. Pure."""
    if part.level:
        return min(part.stop, space.base_decoded)
    return part.stop if part.seq <= space.decoded else part.start


def _unpinned(connection: sqlite3.Connection, space: _Space, first: int) -> int:
    """The space to write lines from `first` on: a fresh one over it, if others stand on lines that would change."""
    pinned = connection.execute("SELECT max(base_count) FROM line_space WHERE base = ?", (space.id,)).fetchone()[0]
    if pinned is None or pinned <= first:
        return space.id
    connection.execute(
        "UPDATE line_space SET run = -id, decoded = newest, base_decoded = base_count WHERE id = ?", (space.id,)
    )
    fresh = connection.execute(
        "INSERT INTO line_space (run, branch, file, client, base, base_count, count) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (space.run, space.branch, space.file, space.client, space.id, space.count, space.count),
    )
    if space.file is not LineFile.CONSOLE:
        restart(connection, space.run, space.branch)
    assert fresh.lastrowid is not None
    return fresh.lastrowid


def _insert_block(connection: sqlite3.Connection, space: int, block: Packed, now: float) -> int:
    inserted = connection.execute(
        "INSERT INTO line_block (space, first, count, step_low, step_high, bytes, received, data) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (space, block.first, block.count, block.step_low, block.step_high, block.size, now, block.data),
    )
    assert inserted.lastrowid is not None
    return inserted.lastrowid


def _tail(connection: sqlite3.Connection, space: int, count: int, limit: int) -> list[tuple[int, int, str]]:
    """(block, line, text) of the last lines of a space; windows grow until enough is found, as there may be gaps."""
    found: list[tuple[int, int, str]] = []
    stop, width = count, max(limit, BLOCK_LINES)
    while stop > 0 and len(found) < limit:
        start = max(0, stop - width)
        parts = segments(connection, space, start, stop)
        for part, lines in texts(connection, parts[::-1]):
            if len(found) >= limit:
                break
            found += [(part.seq, part.start + at, text) for at, text in enumerate(lines)][-(limit - len(found)) :]
        stop, width = start, width * 8
    return found


def _lines_up_to(connection: sqlite3.Connection, space: int, count: int, step: int) -> int:
    """The number of the first line whose row is beyond the step; `count` if none is."""
    beyond = [
        part for part in segments(connection, space, 0, count) if part.step_high is not None and part.step_high > step
    ]
    for part, lines in texts(connection, beyond):
        for number, found in enumerate(steps_of(lines), part.start):
            if found is not None and found > step:
                return number
    return count


def _stand_on(
    connection: sqlite3.Connection, key: tuple[int, int, str, str], space: int, kept: int, now: float
) -> None:
    """Opens a space whose first `kept` lines are those of another one."""
    if kept == 0:
        return
    while True:
        base, base_count = connection.execute(
            "SELECT base, base_count FROM line_space WHERE id = ?", (space,)
        ).fetchone()
        own = connection.execute(
            "SELECT 1 FROM line_block WHERE space = ? AND first < ? LIMIT 1", (space, kept)
        ).fetchone()
        if base is None or kept > base_count or own is not None:
            break
        space = base
    connection.execute(
        "INSERT INTO line_space (run, branch, file, client, base, base_count, count, last) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run, branch, file, client) DO NOTHING",
        (*key, space, kept, kept, now),
    )
