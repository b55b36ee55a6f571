"""Where the steps of decoding are made: whoever asks for one needs not know.

`Here` makes them in the thread that asks. decode/process.py makes them in a process of its own.
"""

from __future__ import annotations

from typing import Protocol

from outrider_tracker.decode import line_step, stream_step
from outrider_tracker.decode.line_step import LineStep
from outrider_tracker.decode.stream_step import PendingStream, StreamStep
from outrider_tracker.store.database import Readers
from outrider_tracker.store.interfaces import BlobStore
from outrider_tracker.store.logs import Snapshot
from outrider_tracker.store.undecoded import Pending


class Steps(Protocol):
    """Reads durable bytes and says what they mean; for any thread. Whatever a method raises but a StoreError concerns
    what was asked only. `now`: Unix seconds; `most`: series that the run may have.
    """

    def of_stream(self, pending: PendingStream, now: float, most: float) -> StreamStep:
        """The next step of a stream."""

    def of_lines(self, place: Pending, now: float, most: float) -> LineStep:
        """The next step of a space of lines."""


class Here:
    """See Steps."""

    def __init__(self, readers: Readers, objects: BlobStore) -> None:
        self._readers = readers
        self._objects = objects

    def of_stream(self, pending: PendingStream, now: float, most: float) -> StreamStep:
        """See Steps."""
        with self._readers.snapshot() as connection:
            return stream_step.take(Snapshot(connection, self._objects), pending, now, most)

    def of_lines(self, place: Pending, now: float, most: float) -> LineStep:
        """See Steps."""
        with self._readers.snapshot() as connection:
            return line_step.take(connection, place, now, most)
