"""The decoding process, which the lines of run 1 end: as something would that no exception handler catches."""

from __future__ import annotations

import os
from collections.abc import Sequence
from unittest import mock

from outrider_tracker.decode import process
from outrider_tracker.decode.line_step import LineStep
from outrider_tracker.decode.steps import Here
from outrider_tracker.store.undecoded import Pending

_of_lines = Here.of_lines


def dying(steps: Here, place: Pending, now: float, most: float) -> LineStep:
    """Ends the process, or a step."""
    if place.run == 1:
        os._exit(7)
    return _of_lines(steps, place, now, most)


def main(arguments: Sequence[str]) -> None:
    """See above."""
    with mock.patch.object(Here, "of_lines", dying):
        process.main(arguments)
