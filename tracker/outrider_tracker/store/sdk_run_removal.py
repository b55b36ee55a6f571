"""Deleting an SDK run. Its row stays as a tombstone, so that nothing of it comes back under the same number."""

from __future__ import annotations

import sqlite3

from outrider_tracker.store.lines import delete_lines


def delete_run(connection: sqlite3.Connection, run: int, now: float) -> None:
    """Removes a run and what it logged, in a writer's job. A run that was forked from it keeps its rows."""
    delete_lines(connection, run)
    connection.execute("DELETE FROM run_file WHERE run = ?", (run,))
    connection.execute("DELETE FROM alert WHERE run = ?", (run,))
    connection.execute("DELETE FROM run_writer WHERE run = ?", (run,))
    connection.execute(
        "UPDATE sdk_run SET deleted = ?, updated = ?, config_json = '{}', summary_json = '{}' WHERE id = ?",
        (now, now, run),
    )
