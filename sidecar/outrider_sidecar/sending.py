"""What an answer of the ingest door means (pure), how long to wait, and the one thread that waits for answers."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, Final

from outrider_sidecar import contract
from outrider_sidecar.door import Door, Reply, Request, UnreachableError

BACKOFF_FIRST: Final = 0.25
BACKOFF_MOST: Final = 5.0
RETRY_AFTER_MOST: Final = 60.0
FENCED_WAIT: Final = 30.0
# A thread that has waited so long is given up: an answer that drips in would outlast each single time limit.
ANSWER_MOST: Final = 60.0


def backoff(failures: int, chance: float) -> float:
    """Seconds to wait after so many failures in a row: doubled each time, at most 5 s, spread by `chance` < 1."""
    most = min(BACKOFF_MOST, BACKOFF_FIRST * 2.0 ** min(failures - 1, 16))
    return most * (0.5 + chance / 2)


@dataclass(frozen=True, slots=True)
class At:
    """A stream's newest generation and durable end, as the tracker said."""

    stream: str
    generation: int
    end: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do about an answer. At most one of the fields that name a place in a stream is set."""

    done: bool = False  # applied and durable
    ends: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    gap: At | None = None  # go back to there
    mismatch: At | None = None  # what is there is not ours: next generation
    declare: bool = False  # ask anew where everything stands
    fenced: bool = False  # another writer took over
    smaller: bool = False  # the request was refused for what it holds: try with less
    refused: str = ""  # code of a refusal that says so
    accepts: frozenset[str] | None = None  # the store is full: only these kinds
    wait: float | None = None  # at least so many seconds; None: only back-off where `failed`
    failed: bool = False  # back off, longer each time
    pace: float | None = None
    flush: bool = False
    directives: str = ""  # all that were given, to know them when they come again
    warning: tuple[str, str] | None = None  # code, message
    said: str = ""  # the answer, for people


def judge(reply: Reply) -> Verdict:
    """The verdict on an answer to an append request or a declaration."""
    body = reply.json()
    if reply.status == 200:
        pace, flush, directives = _directives(body)
        return Verdict(done=True, ends=_ends(body.get("ends")), pace=pace, flush=flush, directives=directives)
    error = body.get("error")
    error = error if isinstance(error, dict) else {}
    code = error.get("code") if isinstance(error.get("code"), str) else ""
    message = str(error.get("message", ""))[:500]
    said = (
        f"the tracker answered {reply.status} {code}: {message}" if message else f"the tracker answered {reply.status}"
    )
    wait = None if reply.retry_after is None else min(reply.retry_after, RETRY_AFTER_MOST)
    match reply.status:
        case 409:
            return _conflict(str(code), error, said)
        case 400 | 413 | 422:
            return Verdict(smaller=True, refused=str(code) or str(reply.status), wait=wait, said=said)
        case 401:
            text = f"{said}; the pod's token does not verify: check the tracker's issuer, key set and clock"
            return Verdict(failed=True, wait=wait, warning=("TokenRefused", text))
        case 403:
            text = f"{said}; the token is not of this pod, or the pod was deleted"
            return Verdict(failed=True, wait=wait, warning=("TokenForbidden", text))
        case 507:
            accepts = error.get("accepts")
            kinds = frozenset(map(str, accepts)) if isinstance(accepts, list) else frozenset()
            text = f"{said}; data waits on the pod's volume: give the tracker's store room"
            return Verdict(accepts=kinds, wait=wait if wait is not None else BACKOFF_MOST, warning=("StoreFull", text))
        case 429 | 503:
            return Verdict(failed=True, wait=wait, said=said)
    return Verdict(failed=True, declare=True, wait=wait, warning=("TrackerError", said))


def _conflict(code: str, error: Mapping[str, Any], said: str) -> Verdict:
    stream, generation, end = error.get("stream"), error.get("generation"), error.get("end")
    at = None
    if isinstance(stream, str) and isinstance(generation, int) and isinstance(end, int) and min(generation, end) >= 0:
        at = At(stream, generation, end)
    match code:
        case contract.ERROR_GAP if at:
            return Verdict(gap=at, failed=True, said=said)
        case contract.ERROR_MISMATCH if at:
            return Verdict(mismatch=at, failed=True, said=said)
        case contract.ERROR_FENCED:
            return Verdict(fenced=True, declare=True, wait=FENCED_WAIT)
        case contract.ERROR_INCARNATION | contract.ERROR_UNDECLARED:
            return Verdict(declare=True, failed=True, said=said)
    return Verdict(declare=True, failed=True, warning=("TrackerConflict", said))


def _directives(body: Mapping[str, Any]) -> tuple[float | None, bool, str]:
    pace, flush = None, False
    given = body.get("pace")
    if isinstance(given, dict):
        pace = _interval(given.get("interval"))
    items = body.get("directives")
    for item in items if isinstance(items, list) else []:
        if isinstance(item, dict) and item.get("type") == "flush":
            flush = True
        elif isinstance(item, dict) and item.get("type") == "pace":
            pace = _interval(item.get("interval")) or pace
    return pace, flush, json.dumps(items) if items else ""


def _interval(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        return None
    return min(max(float(value), 0.05), 60.0)


def _ends(value: object) -> dict[str, tuple[int, int]]:
    ends: dict[str, tuple[int, int]] = {}
    for name, pair in value.items() if isinstance(value, dict) else ():
        match pair:
            case [int(generation), int(end)] if generation >= 0 and end >= 0:
                ends[str(name)] = (generation, end)
    return ends


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a request: an answer, or a sentence why there is none."""

    reply: Reply | None
    problem: str = ""


class Sender:
    """A thread that sends one request at a time, so that names that do not resolve and hosts that hang hold up nothing.

    `wake` is called from the thread when an outcome is there.
    """

    def __init__(self, door: Door, wake: Callable[[], None]) -> None:
        self._door = door
        self._wake = wake
        self._jobs: SimpleQueue[tuple[Request, float]] = SimpleQueue()
        self._outcomes: SimpleQueue[Outcome] = SimpleQueue()
        threading.Thread(target=self._run, name="sender", daemon=True).start()

    def submit(self, request: Request, timeout: float) -> None:
        """Send this; its outcome comes by `outcome`."""
        self._jobs.put((request, timeout))

    def outcome(self) -> Outcome | None:
        """The outcome of the request that was submitted, once it is there."""
        return None if self._outcomes.empty() else self._outcomes.get()

    def _run(self) -> None:
        while True:
            request, timeout = self._jobs.get()
            try:
                outcome = Outcome(self._door.ask(request, timeout=timeout))
            except UnreachableError as error:
                outcome = Outcome(None, str(error))
            except Exception as error:  # noqa: BLE001  a thread that dies silently would stop all sending
                outcome = Outcome(None, f"{type(error).__name__}: {error}")
            self._outcomes.put(outcome)
            self._wake()


class Waker:
    """Wakes the main loop from threads and signal handlers through a pipe."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def wake(self) -> None:
        """End the main loop's wait. A full pipe is as good as one byte."""
        try:
            os.write(self.writer, b"!")
        except BlockingIOError:
            return

    def drain(self) -> None:
        """Forget wakes so far."""
        try:
            while os.read(self.reader, 512):
                pass
        except BlockingIOError:
            return
