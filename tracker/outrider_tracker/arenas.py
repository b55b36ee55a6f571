"""How many arenas glibc's allocator has: left to itself each thread gets one, which keeps what it once needed.

Thirty threads that unpack and parse what strangers send had twice as much memory after a while as they ever needed at a
time. Threads wait for the interpreter before they could wait for each other's arena.
"""

from __future__ import annotations

import ctypes
from typing import Final

ARENAS: Final = 2
_M_ARENA_MAX: Final = -8  # malloc.h


def share() -> bool:
    """Before there are threads. Whether the allocator has arenas: another C library's may not."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and mallopt(_M_ARENA_MAX, ARENAS) == 1
