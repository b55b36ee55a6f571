"""When the interpreter looks for garbage in cycles: every look holds all threads up, the longer the more there is.

Left to itself it looks at the whole heap whenever that has grown by a quarter: 80 ms and more in which nobody is
answered, whoever caused it. Nearly everything here is freed without it. So what is there at the start is never looked
at again, young objects often, in small numbers, and all of them once in a while.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Final

YOUNG: Final = 2_000  # objects made and not freed, between two looks at those
MIDDLE: Final = 3  # of these looks, between two at their survivors: 3 ms each, where five times 10 000 took 15
NEVER: Final = 1 << 30
WHOLE_SECONDS: Final = 60.0


def tame() -> None:
    """Once all that stays is loaded."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, NEVER)


class WholeLook:
    """A chore: looks at everything if the last time is WHOLE_SECONDS ago."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due = clock() + WHOLE_SECONDS

    def __call__(self) -> None:
        """Looks, if it is time to."""
        if self._clock() >= self._due:
            gc.collect()
            self._due = self._clock() + WHOLE_SECONDS
