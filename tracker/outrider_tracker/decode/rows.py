"""Lines of history and events to points, key statistics and media. Pure.

History gives series of kind `user`. Events give series of kind `system` under the whole key that the client sends, such
as `system.gpu.0.temp/l:node-1`: what follows `/l:` is the writer's label. In shared mode their `container` is the
writer, so that each has a line of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from outrider_tracker.core.columns import Gathered, KeyCount, Media, gather
from outrider_tracker.core.rows import read_rows
from outrider_tracker.store.lines import LineFile
from outrider_tracker.store.pointcodec import Points
from outrider_tracker.store.points import SeriesKey


@dataclass(slots=True)
class Decoded:
    """What lines of one file of one writer come to. Of events only the points count."""

    series: dict[SeriesKey, Points] = field(default_factory=dict)
    keys: dict[tuple[str, str], KeyCount] = field(default_factory=dict)
    media: list[Media] = field(default_factory=list)
    malformed: int = 0


def decode(lines: Sequence[str], file: LineFile, client: str, received: float) -> Decoded:
    """All that the lines say. `received`: the time (Unix seconds) of rows that bring none."""
    found = gather(read_rows(lines), received)
    if file is LineFile.EVENTS:
        return Decoded(_series(found, "system", "node", client), malformed=found.malformed)
    return Decoded(_series(found, "user", "user", ""), found.keys, found.media, found.malformed)


def _series(found: Gathered, kind: str, scope: str, container: str) -> dict[SeriesKey, Points]:
    return {
        SeriesKey(key, kind, scope, None, container): Points(column.times, column.steps, column.values)
        for key, column in found.numbers.items()
    }
