"""What the next lines of history or events of an SDK run say. Reads a snapshot, writes nothing."""

from __future__ import annotations

import sqlite3

import msgspec

from outrider_tracker.decode.rows import decode
from outrider_tracker.store.found import Prepared, prepare
from outrider_tracker.store.line_blocks import texts
from outrider_tracker.store.undecoded import Next, Pending, following


class LineStep(msgspec.Struct, frozen=True, tag=True):
    """The lines of one step, and what they mean."""

    to: Next
    prepared: Prepared


def take(connection: sqlite3.Connection, place: Pending, now: float, most: float) -> LineStep:
    """Decodes the next lines of a space. `now`: Unix seconds; `most`: series that its run may have."""
    to = following(connection, place)
    lines = [line for _, part in texts(connection, to.parts) for line in part]
    received = now if to.received is None else to.received
    return LineStep(to, prepare(decode(lines, place.file, place.client, received), now, most))
