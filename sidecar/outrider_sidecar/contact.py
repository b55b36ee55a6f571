"""How things stand between this collector and the tracker: declared or not, in what pace, since when it fails."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from outrider_sidecar import sending
from outrider_sidecar.declaring import Declared
from outrider_sidecar.journal import say
from outrider_sidecar.sending import Verdict

PACE: Final = 0.5
AWAY: Final = 30.0  # so long a tracker may be away before the Run is told
END_RETRY: Final = 0.3  # at the end nobody has the time for more


class Contact:
    """State of the conversation. All times are of the monotonic clock; `warn` takes a code and a message."""

    def __init__(self, warn: Callable[[str, str], None]) -> None:
        self._warn = warn
        self._random = random.Random()  # noqa: S311  jitter and a name, no secret
        self._failures = 0
        self._failing_since: float | None = None
        self._incarnation: str | None = None
        self._heard = ""
        self._accepts: frozenset[str] | None = None
        self._accepts_until = 0.0
        self.instance = ""
        self.declared: Declared | None = None
        self.not_before = 0.0
        self.pace = PACE
        self.flush = False
        self.ending = False
        self.problem = ""
        self.rename()

    def rename(self) -> None:
        """Be another writer: the next declaration fences the one that is there."""
        self.instance = f"{self._random.getrandbits(64):016x}"

    def declare(self, declared: Declared) -> None:
        """The tracker knows us."""
        if self._incarnation not in {None, declared.incarnation}:
            self._warn("StoreChanged", "the tracker's store was restored or is another: what it lacks is sent again")
        self._incarnation, self.declared = declared.incarnation, declared

    def hear(self, verdict: Verdict, now: float) -> None:
        """What an answer says beside its matter: pace, directives, which kinds a full store takes."""
        if verdict.pace is not None:
            self.pace = verdict.pace
        if verdict.directives != self._heard:  # answers repeat them
            self._heard = verdict.directives
            self.flush |= verdict.flush
        if verdict.accepts is not None and verdict.wait is not None:
            self._accepts, self._accepts_until = verdict.accepts, now + verdict.wait

    def kinds(self, now: float) -> frozenset[str] | None:
        """The kinds of streams that the tracker takes now; None: all."""
        return self._accepts if now < self._accepts_until else None

    def wait(self, now: float, seconds: float) -> None:
        """Ask nothing for so long, at the end less."""
        self.not_before = now + (min(seconds, END_RETRY) if self.ending else seconds)

    def failed(self, now: float, problem: str, wait: float | None = None) -> None:
        """It did not work: back off, longer each time, and say why."""
        self._failures += 1
        self.wait(now, max(sending.backoff(self._failures, self._random.random()), wait or 0.0))
        if problem != self.problem:
            self.problem = problem
            say(f"{problem}; trying again")
        if self._failing_since is None:
            self._failing_since = now
        elif now - self._failing_since >= AWAY:
            self._warn("TrackerAway", f"nothing could be sent for {now - self._failing_since:.0f} s: {problem}")

    def worked(self) -> None:
        """It works (again)."""
        if self._failing_since is not None:
            say("the tracker answers again")
        self._failures, self._failing_since, self.problem = 0, None, ""
