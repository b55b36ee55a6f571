"""Lines of history and events to points, key statistics and media. Pure.

History gives series of kind `user`. Events give series of kind `system` under the whole key that the client sends, such
as `system.gpu.0.temp/l:node-1`: what follows `/l:` is the writer's label. In shared mode their `container` is the
writer, so that each has a line of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from outrider_tracker.core.columns import Gathered, gather
from outrider_tracker.core.rows import read_rows
from outrider_tracker.store.batches import Points, SeriesKey
from outrider_tracker.store.found import Found
from outrider_tracker.store.line_blocks import LineFile


def decode(lines: Sequence[str], file: LineFile, client: str, received: float) -> Found:
    """All that lines of one file of one writer say; of events only the points count.

    `received`: the time (Unix seconds) of rows that bring none.
    """
    found = gather(read_rows(lines), received)
    if file is LineFile.EVENTS:
        return Found(_series(found, "system", "node", client))
    return Found(
        _series(found, "user", "user", ""),
        [(*name, counted.count, counted.last_json()) for name, counted in found.keys.items()],
        [(item.key, item.step, item.type, item.data) for item in found.media],
    )


def _series(found: Gathered, kind: str, scope: str, container: str) -> dict[SeriesKey, Points]:
    return {
        SeriesKey(key, kind, scope, None, container): Points(column.times, column.steps, column.values)
        for key, column in found.numbers.items()
    }
