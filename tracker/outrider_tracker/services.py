"""What every door of the read API works with, composed once by app.py."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, ParamSpec, Protocol, TypeVar

from starlette.responses import Response

from outrider_tracker.core import jsontext
from outrider_tracker.core.principals import Person
from outrider_tracker.notifier import Notifier
from outrider_tracker.store.interfaces import ReadStore
from outrider_tracker.store.read_sdk import SdkReader

P = ParamSpec("P")
T = TypeVar("T")


class People(Protocol):
    """People by their API keys (blocking: call through `Services.read`)."""

    def authenticate_key(self, key: str) -> Person | None:
        """The person whose key this is, or None."""

    def find_person(self, name: str) -> Person | None:
        """The person of that name with today's roles, or None: what a session is checked against."""


class Signer(Protocol):
    """Signs short texts with the store's own secret (sessions, upload addresses)."""

    def sign(self, purpose: str, value: str, expires: int) -> str:
        """A token that carries value and expiry (Unix seconds), readable by its holder, made by nobody else."""

    def verify(self, purpose: str, token: str) -> str | None:
        """The value of a token that was signed for this purpose and has not expired, else None."""


@dataclass(frozen=True, slots=True)
class Services:
    """Handed to every router. `reads` is the thread pool for blocking reads.

    `public_url`: the address at which people open the tracker, "" where nobody said.
    """

    reader: ReadStore
    sdk: SdkReader
    people: People
    signer: Signer
    notifier: Notifier
    reads: Executor
    version: str
    public_url: str = ""

    async def read(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a blocking read (or key check) in the pool: `await services.read(services.reader.get_run, run_id)`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.reads, lambda: work(*args, **kwargs))

    async def answer(self, work: Callable[[], Any]) -> Response:
        """Reads, shapes and writes an answer of JSON in the pool: what may be large is never made in the event loop."""
        return await self.read(lambda: Response(jsontext.encode(work()), media_type="application/json"))
