"""Summaries of summaries, so that a chart reads as little of a thousand million points as of ten thousand. Pure.

    level 2   │     16 000      │     16 000      │ …        rows of point_level; each row of the table holds up to FAN
    level 1   │1000│1000│ … 16 of them │1000│ …             summaries; one that is full is a summary of the next level
    level 0   │128│128│ … 8 of them                         one row a chunk, also of the chunk that is not full yet

A row that is not full is written anew when a chunk is sealed. Whatever is full never changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from outrider_tracker.store import summaries
from outrider_tracker.store.summaries import Table

CHUNK: Final = 1000  # points
FAN: Final = 16
OUTLINES: Final = 0


@dataclass(frozen=True, slots=True)
class Row:
    """A row of point_level: its level, the number of its first point, and its summaries."""

    level: int
    first: int
    table: Table


def span(level: int) -> int:
    """Points under one summary of a level."""
    return summaries.OUTLINE if level == OUTLINES else CHUNK * FAN ** (level - 1)


def loose(chunks: int) -> Iterator[tuple[int, int]]:
    """Level and first point of the rows that are not full, of a series of so many full chunks."""
    level, count = 1, chunks
    while count:
        if count % FAN:
            yield level, (count - count % FAN) * span(level)
        level, count = level + 1, count // FAN


def grown(present: Mapping[int, Table], chunks: int, new: Table) -> Iterator[Row]:
    """The rows that change when summaries of full chunks follow `chunks` others, whose loose rows are `present`."""
    level, count, added = 1, chunks, new
    while len(added):
        table = np.concatenate((present.get(level, summaries.NONE), added))
        base = count - count % FAN
        for at in range(0, len(table), FAN):
            yield Row(level, (base + at) * span(level), table[at : at + FAN])
        added = summaries.by(table[: len(table) - len(table) % FAN], FAN)
        level, count = level + 1, count // FAN
