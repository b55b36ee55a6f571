"""Deleting a run leaves its tombstone and nothing else."""

from __future__ import annotations

from pathlib import Path

from outrider_tracker.store import decoded
from outrider_tracker.store.batches import SeriesKey, columns
from outrider_tracker.store.database import open_database
from outrider_tracker.store.found import DIRECT, PORTION, Found, prepare
from outrider_tracker.store.line_blocks import LineFile
from outrider_tracker.store.lines import LineBatch, append_lines, sweep_lines
from outrider_tracker.store.sdk_run_removal import delete_run


def test_no_row_of_a_deleted_run_is_left(tmp_path: Path) -> None:
    connection = open_database(tmp_path / "tracker.db")
    for run in (1, 2):
        connection.execute(
            "INSERT INTO sdk_run (id, project, name, display_name, created, updated, heartbeat, config_json) "
            "VALUES (?, 1, ?, 'r', 0, 0, 0, '{\"secret\": 1}')",
            (run, f"r{run}"),
        )
        for file in LineFile:
            append_lines(connection, run, 0, LineBatch(file, "", 0, ['{"_step": 0}']), assign_steps=False, now=0.0)
        owner = -decoded.begin(connection, run)
        number = SeriesKey("loss", "user", "user", None, "")
        found = Found({number: columns([1.0], [0.0], [0.5])}, [("loss", "number", 1, "1")], [("i", 0, "image", "{}")])
        decoded.put(connection, owner, prepare(found, 0.0, 9))
        many = Found(keys=[(f"k{key}", "number", 1, "1") for key in range(DIRECT + 1)])
        decoded.put(connection, owner, prepare(many, 0.0, 9))
        connection.execute("INSERT INTO run_file VALUES (?, 'f', 'aa', 1, 0)", (run,))
        connection.execute(
            "INSERT INTO alert (run, title, text, severity, wait, created) VALUES (?, 't', '', 'INFO', 0, 0)", (run,)
        )
        connection.execute("INSERT INTO run_writer VALUES (?, 'w', 0, 0, 0)", (run,))

    delete_run(connection, 1, 5.0)
    while sweep_lines(connection, 100) or decoded.sweep(connection, 100):
        pass

    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    fields = {table: {row[1] for row in connection.execute(f"PRAGMA table_info({table})")} for table in tables}
    left = {
        table: sorted(row[0] for row in connection.execute(f"SELECT DISTINCT run FROM {table}"))
        for table in tables
        if "run" in fields[table]
    }
    assert left.keys() >= {"line_space", "decoding", "run_file", "alert"}
    assert all(runs == [2] for runs in left.values()), left
    (kept,) = connection.execute("SELECT id FROM decoding").fetchone()
    assert connection.execute("SELECT source FROM series").fetchall() == [(-kept,)]
    for table, column, rows in (
        ("history_key", "decoding", 1),
        ("media", "decoding", 1),
        ("kept", "-owner", -(-(DIRECT + 1) // PORTION)),
    ):
        assert connection.execute(f"SELECT {column} FROM {table}").fetchall() == [(kept,)] * rows
    assert connection.execute("SELECT count(*) FROM point_tail").fetchone() == (1,)
    assert connection.execute("SELECT count(*) FROM line_block").fetchone() == (3,)
    assert connection.execute("SELECT id, deleted, config_json FROM sdk_run WHERE deleted IS NOT NULL").fetchall() == [
        (1, 5.0, "{}")
    ]
    connection.close()
