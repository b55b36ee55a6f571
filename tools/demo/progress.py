"""Says what is being done and how long it took."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tools.demo.errors import DemoError

T = TypeVar("T")


def say(text: str = "") -> None:
    """One line to the person at the keyboard, at once."""
    print(text, flush=True)


@contextmanager
def step(sentence: str) -> Iterator[None]:
    """A step of the demo: its sentence before, its duration after."""
    say(f"==> {sentence}")
    began = time.monotonic()
    yield
    say(f"    {time.monotonic() - began:.1f} s")


def until(
    what: str,
    look: Callable[[], tuple[T | None, str]],
    seconds: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> T:
    """Look again and again until there is a result, and give it.

    look: gives (result, "") or (None, what is missing). DemoError with what was missing last when `seconds` are over.
    """
    end = clock() + seconds
    while True:
        found, missing = look()
        if found is not None:
            return found
        if clock() >= end:
            raise DemoError(f"{what}: not within {seconds:.0f} s; at the end: {missing}")
        pause(0.5)
