"""What entities keep: bytes and runs, counted from the rows themselves, so that nothing can drift."""

from __future__ import annotations

import sqlite3

# Streams by their raw bytes, lines by the bytes of their blocks, files by their sizes: a file of two runs counts twice.
_STORED = """
SELECT entity, sum(bytes) FROM (
  SELECT source.entity AS entity, sum(generation.end - generation.lost) AS bytes
    FROM generation JOIN stream ON stream.id = generation.stream JOIN source ON source.id = stream.source GROUP BY 1
  UNION ALL
  SELECT source.entity, sum(file.size) FROM file JOIN source ON source.id = file.source GROUP BY 1
  UNION ALL
  SELECT project.entity, sum(line_block.bytes) FROM line_block JOIN line_space ON line_space.id = line_block.space
    JOIN sdk_run ON sdk_run.id = line_space.run JOIN project ON project.id = sdk_run.project GROUP BY 1
  UNION ALL
  SELECT project.entity, sum(run_file.size) FROM run_file JOIN sdk_run ON sdk_run.id = run_file.run
    JOIN project ON project.id = sdk_run.project GROUP BY 1
) GROUP BY entity
"""


def stored_bytes(connection: sqlite3.Connection) -> dict[str, int]:
    """Bytes kept of each entity. Reads every block's row (not its data): for once in a while."""
    return {str(entity): int(size) for entity, size in connection.execute(_STORED)}


def count_runs(connection: sqlite3.Connection, entity: str) -> int:
    """SDK runs of an entity that are not deleted."""
    row = connection.execute(
        "SELECT count(*) FROM sdk_run JOIN project ON project.id = sdk_run.project "
        "WHERE project.entity = ? AND sdk_run.deleted IS NULL",
        (entity,),
    ).fetchone()
    return int(row[0])
