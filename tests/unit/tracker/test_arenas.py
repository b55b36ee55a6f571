"""The allocator's arenas, as the allocator itself counts them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from outrider_tracker.arenas import ARENAS

SCRIPT = """
import ctypes, sys, threading
from outrider_tracker import arenas
if sys.argv[1] == "shared":
    assert arenas.share()
here = threading.Barrier(9)
def hold():
    held = [bytearray(50_000) for _ in range(20)]
    here.wait(30)
    here.wait(30)
for _ in range(8):
    threading.Thread(target=hold).start()
here.wait(30)
libc = ctypes.CDLL(None)
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
here.wait(30)
"""


@pytest.mark.parametrize(("how", "most"), [("shared", ARENAS), ("alone", 9)])
def test_threads_share_arenas(how: str, most: int) -> None:
    """Left alone nearly every thread has its own."""
    done = subprocess.run([sys.executable, "-c", SCRIPT, how], check=True, capture_output=True, text=True, timeout=60)
    found = done.stdout.count("<heap nr=")
    assert found <= most
    assert (found > ARENAS) == (how == "alone")
