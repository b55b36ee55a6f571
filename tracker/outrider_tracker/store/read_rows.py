"""Rows of history and events of an SDK run. How much is read depends on how many rows are asked for.

All reads are of the newest branch; what it inherits from a parent or an older branch is part of it, and of lines that
were written twice only the newest text counts. Rows that are no JSON objects, and where steps are asked for those
without a step, are left out.
"""

from __future__ import annotations

import bisect
import dataclasses
import math
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Any, Final

from outrider_tracker.core.columns import AXES, gather
from outrider_tracker.core.rows import read_rows, step_of, steps_of, value_at
from outrider_tracker.store.decoded import decoding_of, kept_keys
from outrider_tracker.store.line_blocks import MAX_STEP, LineFile, Segment, segments, texts
from outrider_tracker.store.lines import newest_spaces
from outrider_tracker.store.read_summaries import STORED, Range, Stored, read_summaries
from outrider_tracker.store.summaries import STEP_LOW
from outrider_tracker.store.undecoded import Pending, following, pending

READ_WHOLE: Final = 20_000  # rows: of so few all are read, where only some have the keys that are asked for
_RARE: Final = 4  # a key that fewer than one row in so many has is looked up by its points

_first = itemgetter(0)

Row = dict[str, Any]


def rows_between(connection: sqlite3.Connection, run: int, low: int, high: int, limit: int) -> list[str]:
    """The texts of at most `limit` rows of history with low <= step < high, in order of steps."""
    found: list[tuple[int | float, str]] = []
    for part, lines in texts(connection, _by_step(connection, run, low, high)):
        if len(found) >= limit and part.step_low is not None:
            found.sort(key=_first)
            del found[limit:]
            if found and found[-1][0] < part.step_low:
                break
        found += [
            (step, text)
            for step, text in zip(steps_of(lines), lines, strict=True)
            if step is not None and low <= step < high
        ]
    found.sort(key=_first)
    return [text for _, text in found[:limit]]


def sample_rows(  # noqa: PLR0917  a spec as clients send it
    connection: sqlite3.Connection,
    run: int,
    file: LineFile,
    samples: int,
    keys: Sequence[str] = (),
    low: int | None = None,
    high: int | None = None,
) -> list[Row]:
    """At most `samples` rows, spread evenly, in order of steps (history) or as each writer sent them (events).

    `keys`: only rows that have them all, cut to them; nested values under keys joined by dots. Of more than READ_WHOLE
    rows a part is looked at: fewer may be found than there are. `low`, `high`: steps [low, high) of history.
    """
    if samples <= 0:
        return []
    ranged = file is LineFile.HISTORY and (low is not None or high is not None)
    low, high = -MAX_STEP if low is None else low, MAX_STEP + 1 if high is None else high
    parts = _by_step(connection, run, low, high) if ranged else _in_order(connection, run, file)
    total = sum(part.stop - part.start for part in parts)
    wanted = _Wanted(keys, low if ranged else None, high if ranged else None)
    if not keys and not ranged:
        rows = _at_places(connection, parts, _spread(total, samples), wanted)
    elif total <= max(READ_WHOLE, samples):
        rows = _at_places(connection, parts, range(total), wanted)
    elif (steps := _rare_steps(connection, run, wanted, total, samples)) is not None:
        rows = _at_steps(connection, parts, steps, wanted)
    else:
        rows = _at_places(connection, parts, _places_for(connection, run, wanted, total, samples), wanted)
    if file is LineFile.HISTORY:
        rows.sort(key=_first)
    return [rows[place][1] for place in _spread(len(rows), samples)]


def last_step(connection: sqlite3.Connection, run: int) -> int:
    """The highest step of the run's history, -1 if there is none."""
    best = -math.inf
    parts = [part for part in _in_order(connection, run, LineFile.HISTORY) if part.step_high is not None]
    parts.sort(key=lambda part: -(part.step_high or 0))
    for part in parts:
        if part.step_high is None or part.step_high <= best:
            break
        for _, lines in texts(connection, [part]):
            best = max([best, *(step for step in steps_of(lines) if step is not None)])
    return -1 if best == -math.inf else math.floor(best)


def key_statistics(connection: sqlite3.Connection, run: int) -> dict[str, Any]:
    """Which keys the history has, of which types and how often, as W&B tells it; its last step.

    What is not decoded yet is counted here, if it is little.
    """
    decoding = decoding_of(connection, run)
    counts: dict[tuple[str, str], tuple[int, str | None]] = {
        (key, kind): (count, last)
        for key, kind, count, last in connection.execute(
            "SELECT key, type, count, last_json FROM history_key WHERE decoding = ? ORDER BY key, type", (decoding,)
        )
    }
    for key, kind, count, last in kept_keys(connection, decoding):
        counts[key, kind] = counts.get((key, kind), (0, None))[0] + count, last
    for lines in _undecoded(connection, run):
        for pair, found in gather(read_rows(lines), 0.0).keys.items():
            counts[pair] = counts.get(pair, (0, None))[0] + found.count, found.last_json()
    keys: dict[str, Any] = {}
    for (key, kind), (count, last) in sorted(counts.items()):
        entry = keys.setdefault(key, {"typeCounts": [], "monotonic": key == "_step"})
        entry["typeCounts"].append({"type": kind, "count": count})
        if last is not None:
            entry["previousValue"] = read_rows([last])[0]
    return {"keys": keys, "lastStep": last_step(connection, run), "sets": []}


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which rows are taken, and what of them: all of a row where no keys are named."""

    keys: Sequence[str]
    low: int | None
    high: int | None

    def of(self, row: Any) -> Row | None:
        """What is taken of a row."""
        if not isinstance(row, dict):
            return None
        if self.low is not None and self.high is not None:
            step = step_of(row)
            if step is None or not self.low <= step < self.high:
                return None
        if not self.keys:
            return row
        try:
            return {key: value_at(row, key) for key in self.keys}
        except KeyError:
            return None


def _in_order(connection: sqlite3.Connection, run: int, file: LineFile) -> list[Segment]:
    """All lines, one writer after the other."""
    return [
        part for space, count in newest_spaces(connection, run, file) for part in segments(connection, space, 0, count)
    ]


def _by_step(connection: sqlite3.Connection, run: int, low: int, high: int) -> list[Segment]:
    """Where rows of history with low <= step < high may be, in order of their lowest steps."""
    low, high = max(low, -MAX_STEP), min(high, MAX_STEP + 1)
    found: list[Segment] = []
    for space, count in newest_spaces(connection, run, LineFile.HISTORY):
        start, stop = _hull(connection, space, low, high)
        found += [
            part
            for part in segments(connection, space, start, min(stop, count))
            if part.step_low is not None
            and part.step_high is not None
            and part.step_low < high
            and part.step_high >= low
        ]
    found.sort(key=lambda part: (part.step_low, part.seq))
    return found


def _hull(connection: sqlite3.Connection, space: int, low: int, high: int) -> tuple[int, int]:
    """Between which lines of a space and its bases such rows may be."""
    start, stop = math.inf, 0
    here: int | None = space
    while here is not None:
        first, last = connection.execute(
            "SELECT min(first), max(first + count) FROM line_block WHERE space = ? AND step_high >= ? AND step_low < ?",
            (here, low, high),
        ).fetchone()
        if first is not None:
            start, stop = min(start, first), max(stop, last)
        (here,) = connection.execute("SELECT base FROM line_space WHERE id = ?", (here,)).fetchone()
    return (int(start), stop) if stop else (0, 0)


def _spread(total: int, samples: int) -> Sequence[int]:
    """At most `samples` of the places below `total`, evenly, the first and the last one among them. Pure."""
    if total <= samples:
        return range(total)
    return [at * (total - 1) // max(1, samples - 1) for at in range(samples)]


def _at_places(
    connection: sqlite3.Connection, parts: Sequence[Segment], places: Sequence[int], wanted: _Wanted
) -> list[tuple[int | float, Row]]:
    """What is wanted of the rows at ascending places in the parts' lines, with their steps."""
    holding: list[Segment] = []
    inside: list[list[int]] = []
    begin = at = 0
    for part in parts:
        end = begin + part.stop - part.start
        chosen = at
        while at < len(places) and places[at] < end:
            at += 1
        if at > chosen:
            holding.append(part)
            inside.append([place - begin for place in places[chosen:at]])
        begin = end
    chosen_lines = (
        [lines[place] for place in offsets]
        for offsets, (_, lines) in zip(inside, texts(connection, holding), strict=True)
    )
    return list(_taken(chosen_lines, wanted))


def _at_steps(
    connection: sqlite3.Connection, parts: Sequence[Segment], steps: Sequence[float], wanted: _Wanted
) -> list[tuple[int | float, Row]]:
    """What is wanted of the rows with these steps (ascending)."""
    holding = [
        part
        for part in parts
        if part.step_low is not None
        and part.step_high is not None
        and (at := bisect.bisect_left(steps, part.step_low)) < len(steps)
        and steps[at] <= part.step_high
    ]
    chosen = set(steps)
    chosen_lines = (
        [text for step, text in zip(steps_of(lines), lines, strict=True) if step in chosen]
        for _, lines in texts(connection, holding)
    )
    return list(_taken(chosen_lines, wanted))


def _taken(found: Iterable[Sequence[str]], wanted: _Wanted) -> Iterator[tuple[int | float, Row]]:
    """Steps and what is wanted of rows; a row without a step comes after the one before it."""
    last: int | float = -math.inf
    for lines in found:
        for row in read_rows(lines):
            step = step_of(row)
            last = last if step is None else step
            taken = wanted.of(row)
            if taken is not None:
                yield last, taken


def _places_for(connection: sqlite3.Connection, run: int, wanted: _Wanted, total: int, samples: int) -> Sequence[int]:
    """Places to look at, more where the rarest key is not in each row."""
    decoding = decoding_of(connection, run)
    held = [
        connection.execute(
            "SELECT ifnull(sum(count), 0) FROM history_key WHERE decoding = ? AND key = ?", (decoding, key)
        ).fetchone()[0]
        for key in wanted.keys
    ]
    part = max(min(held, default=total) / total, 1 / _RARE)
    return _spread(total, math.ceil(samples / min(part, 1.0)))


def _rare_steps(
    connection: sqlite3.Connection, run: int, wanted: _Wanted, total: int, samples: int
) -> list[float] | None:
    """Steps of the rarest of the keys by its points, None if none is rare."""
    decoding = decoding_of(connection, run)
    rows = [
        row
        for key in wanted.keys
        for row in connection.execute(
            f"SELECT {STORED} FROM series WHERE source = ? AND key = ? AND kind = 'user'",  # noqa: S608
            (-decoding, key),
        )
    ]
    rarest = min((Stored(*row) for row in rows), key=attrgetter("count"), default=None)
    if rarest is None or rarest.count * _RARE >= total:
        return None
    low = -math.inf if wanted.low is None else wanted.low
    high = math.inf if wanted.high is None else wanted.high
    # Some of these rows may lack the other keys.
    most = max(1, samples if len(set(wanted.keys) - AXES) == 1 else 2 * samples)
    # The lowest step of a summary is that of one of its points.
    _, table = read_summaries(connection, [rarest], Range("step", low, high), most)
    found = sorted({step for step in table[:, STEP_LOW].tolist() if low <= step < high})
    return found[:: max(1, -(-len(found) // most))]


def _undecoded(connection: sqlite3.Connection, run: int) -> Iterator[list[str]]:
    """Lines of history that are not decoded yet, at most about READ_WHOLE."""
    left = READ_WHOLE
    for place in pending(connection, run):
        while place.file is LineFile.HISTORY and left > 0 and _is_pending(place):
            found = following(connection, place)
            lines = [line for _, part in texts(connection, found.parts) for line in part]
            left -= len(lines)
            yield lines
            place = dataclasses.replace(place, base_decoded=found.base_decoded, decoded=found.decoded)  # noqa: PLW2901


def _is_pending(place: Pending) -> bool:
    return place.decoded < place.newest or place.base_decoded < place.base_count
