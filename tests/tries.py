"""What is to happen within some seconds: a shared machine may hold up any one try, but not each of them."""

from collections.abc import Iterator
from typing import Final

MOST: Final = 3


class Tries:
    """Numbers of tries from 0, until one took less than `limit` seconds. AssertionError where none of them did."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._seconds: list[float] = []

    def __iter__(self) -> Iterator[int]:
        for number in range(MOST):
            yield number
            if self._seconds[-1] < self._limit:
                return
        raise AssertionError(f"within {self._limit} s was none of {MOST} tries: {self._seconds}")

    def took(self, seconds: float) -> None:
        """Of the present try."""
        self._seconds.append(seconds)
