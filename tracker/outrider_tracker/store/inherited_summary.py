"""What a run that was rewound or forked begins its summary with: what the rows say that it inherited.

The client begins with an empty one. It tells of its own rows only, and `sdk_stream` puts that over this.
"""

from __future__ import annotations

import sqlite3
from typing import Any, Final

from outrider_tracker.core import jsontext
from outrider_tracker.core.metric_definitions import Metrics
from outrider_tracker.core.row_summary import RowSummary
from outrider_tracker.core.rows import read_rows
from outrider_tracker.store.line_blocks import LineFile, segments, texts
from outrider_tracker.store.lines import newest_spaces

READ: Final = 256 << 20  # characters of rows, seconds to read; of a longer history the newest ones are


def summary_of_rows(connection: sqlite3.Connection, run: int, metrics: Metrics) -> dict[str, Any]:
    """What the rows of the run's newest branch say. It may take seconds: not for the writer."""
    parts = [
        part
        for space, count in newest_spaces(connection, run, LineFile.HISTORY)
        for part in segments(connection, space, 0, count)
        if part.step_high is not None
    ]
    parts.sort(key=lambda part: (part.step_high, part.start), reverse=True)
    summary, left = RowSummary(metrics), READ
    for _, lines in texts(connection, parts):
        if left <= 0:
            return summary.value(whole=False)
        left -= sum(map(len, lines))
        for row in reversed(read_rows(lines)):  # of rows with one step the later one counts
            summary.add(row)
    return summary.value(whole=True)


def put_inherited(connection: sqlite3.Connection, run: int, branch: int, summary_json: str) -> None:
    """In a writer's job. What the run's client has said meanwhile stays; a run that is gone, or was rewound once more
    since, is left alone.
    """
    row = connection.execute(
        "SELECT summary_json FROM sdk_run WHERE id = ? AND branch = ? AND deleted IS NULL", (run, branch)
    ).fetchone()
    if row is not None:
        text = jsontext.joined(summary_json, row[0])
        connection.execute("UPDATE sdk_run SET summary_json = ? WHERE id = ?", (text, run))
