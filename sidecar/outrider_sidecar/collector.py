"""The main loop: look at the files, give up what is over the limit, talk to the tracker, remember.

One thread owns all streams; another one waits for the tracker, and hands back what it said. So a tracker that is away,
slow or hostile never keeps the files from being followed.
"""

from __future__ import annotations

import select
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from outrider_sidecar import batching, contract, ending, sending
from outrider_sidecar.config import Config
from outrider_sidecar.contact import Contact
from outrider_sidecar.declaring import Declared, declaration, read_declared
from outrider_sidecar.door import READ_TIMEOUT, Door, Request, tls_context
from outrider_sidecar.files import FileWorker
from outrider_sidecar.journal import say
from outrider_sidecar.packing import Piece, pack
from outrider_sidecar.sampling import Sampler
from outrider_sidecar.spool import Spool

POLL_ACTIVE: Final = 0.25
POLL_IDLE: Final = 1.0
POLL_ENDING: Final = 0.05
ACTIVE: Final = 5.0  # seconds after the last growth that count as active
SCAN_ACTIVE: Final = 1.0
SCAN_IDLE: Final = 2.0
SAVE: Final = 1.0
HEARTBEAT: Final = 10.0  # the tracker calls a source silent after 30 s
SMALLEST: Final = 16 << 10  # raw bytes of a request below which it is not made smaller
STRIKES: Final = 3


@dataclass(slots=True)
class Flight:
    """The request that is on its way; a declaration has no pieces."""

    declares: bool
    since: float
    pieces: list[Piece]
    raw: int = 0


class Collector:
    """Runs until the pod ends. `stop` may be called from a signal handler."""

    def __init__(self, config: Config, clock: Callable[[], float] = time.monotonic) -> None:
        """Open the volume. Raises OSError where it is not there, ssl.SSLError for a CA that is no PEM."""
        self._config = config
        self._clock = clock
        self._context: ssl.SSLContext | None = None
        if config.tracker_url.startswith("https:"):
            self._context = tls_context(config.ca)
        self._spool = Spool(config.directory, config.spool_limit)
        self._journal = self._spool.journal
        self._waker = sending.Waker()
        self._sender = self._new_sender()
        self._sampler = Sampler(config, self._journal)
        self._files = FileWorker(config, self.new_door, self._journal, self._waker.wake)
        self._contact = Contact(self._journal.warn)
        self._path = f"/ingest/v1/sources/{quote(config.source, safe='')}"
        self._flight: Flight | None = None
        self._changed = True  # something that cursors.json should know
        self._full = False  # the last request was full: more waits
        self._budget = batching.BATCH_RAW
        self._last_append = float("-inf")
        self._last_save = float("-inf")
        self._last_scan = float("-inf")
        self._last_growth = float("-inf")
        self._served = 0
        self._stopping = 0
        self._window: ending.Window | None = None
        self._goodbye = False

    def stop(self) -> None:
        """End: send what is there, say the last words. A second call ends at once."""
        self._stopping += 1
        self._waker.wake()

    def run(self) -> None:
        """Collect until `stop`. Returns when the last words are written."""
        say(f"following {self._config.directory} for source {self._config.source}")
        self._spool.restore(self._clock())
        self._sampler.start()
        self._files.start()
        while not self._step():
            select.select([self._waker.reader], [], [], self._pause())
            self._waker.drain()
        self._last_words(self._reason())

    def new_door(self, url: str, *, authorized: bool) -> Door:
        """A connection of its own, for the thread that asks for it."""
        return Door(url, self._context, self._config.token_file if authorized else None)

    def _new_sender(self) -> sending.Sender:
        return sending.Sender(self.new_door(self._config.tracker_url, authorized=True), self._waker.wake)

    # ------------------------------------------------------------------ one turn

    def _step(self) -> bool:
        """One turn of the loop; True when all is over."""
        now = self._clock()
        self._begin_ending(now)
        self._take_outcome(now)
        if now - self._last_scan >= self._scan_pause(now):
            self._last_scan = now
            self._spool.scan(now)
        grew = self._spool.poll(now, ending=self._window is not None)
        self._changed |= bool(grew)
        if grew - {contract.KIND_METRICS}:  # samples come all the time and are in no hurry
            self._last_growth = now
        self._shed()
        self._talk(now)
        if self._changed and now - self._last_save >= SAVE:
            self._save(now)
        return self._is_over(now)

    def _scan_pause(self, now: float) -> float:
        if self._window is not None:
            return POLL_ACTIVE
        return SCAN_ACTIVE if now - self._last_growth < ACTIVE else SCAN_IDLE

    def _pause(self) -> float:
        """How long until there is something to do, if nothing wakes the loop."""
        now = self._clock()
        if self._window is not None:
            return POLL_ENDING if now - self._window.began < ACTIVE else POLL_ACTIVE
        pause = POLL_ACTIVE if now - self._last_growth < ACTIVE else POLL_IDLE
        if self._flight is None and (self._full or self._contact.declared is None):
            pause = min(pause, max(0.01, self._contact.not_before - now))
        return pause

    def _save(self, now: float) -> None:
        self._last_save, self._changed = now, False
        self._spool.save()

    def _shed(self) -> None:
        shed = self._spool.shed()
        if shed:
            self._spool.save()
            why = self._contact.problem or "the tracker takes less than is written"
            text = (
                f"more than {self._spool.limit} bytes wait on the pod's volume; the oldest is given up, metrics first"
                f" ({self._spool.lost} bytes so far): {why}"
            )
            self._journal.warn("SpoolFull", text)

    # ------------------------------------------------------------------ talking to the tracker

    def _talk(self, now: float) -> None:
        if self._flight is not None:
            if now - self._flight.since > sending.ANSWER_MOST:
                self._give_up_flight(now, f"no answer within {sending.ANSWER_MOST:.0f} s")
            return
        if now < self._contact.not_before:
            return
        if self._contact.declared is None:
            self._flight = Flight(declares=True, since=now, pieces=[])
            self._submit(Request("PUT", self._path, (declaration(self._config, self._contact.instance),), _JSON), now)
        elif self._is_due(now):
            self._append(now, self._contact.declared)

    def _is_due(self, now: float) -> bool:
        since = now - self._last_append
        if self._full or since >= HEARTBEAT or self._window is not None:
            return True
        kinds = self._contact.kinds(now)
        if since >= self._contact.pace or self._contact.flush:
            return any(True for _ in self._spool.waiting(now, kinds))
        return any(w.kind == contract.KIND_EVENTS for w in self._spool.waiting(now, kinds))

    def _append(self, now: float, declared: Declared) -> None:
        plan = batching.plan(self._spool.waiting(now, self._contact.kinds(now)), self._budget)
        if self._budget <= SMALLEST:
            plan = plan[:1]  # something in the requests is refused: find out what
        if not plan and self._window is not None and now - self._last_append < HEARTBEAT:
            return
        for name, _ in plan:
            self._spool.tails[name].claim()
        if any(self._spool.tails[name].unsaved for name, _ in plan):
            self._save(now)  # which file a generation is must be known before its first byte is sent
        parts = [contract.FRAMES_MAGIC]
        flight = Flight(declares=False, since=now, pieces=[])
        for name, n in plan:
            self._served += 1
            tail = self._spool.tails[name]
            tail.served = self._served
            piece = pack(tail, n, parts, now)
            if piece is not None:
                flight.pieces.append(piece)
                flight.raw += piece.raw
        unsent = self._spool.unsent - flight.raw + sum(self._files.due().values())
        headers = {
            "Content-Type": contract.FRAMES_TYPE,
            contract.HEADER_EPOCH: str(declared.epoch),
            contract.HEADER_INCARNATION: declared.incarnation,
            contract.HEADER_WALL: str(time.time_ns()),
            contract.HEADER_MONO: str(time.monotonic_ns()),
            contract.HEADER_UNSENT: str(max(0, unsent)),
        }
        self._full = flight.raw >= self._budget // 2
        self._contact.flush = False
        self._last_append = now
        self._flight = flight
        self._submit(Request("POST", self._path + "/append", tuple(parts), headers), now)

    def _submit(self, request: Request, now: float) -> None:
        limit = READ_TIMEOUT
        if self._window is not None:
            limit = max(0.2, min(limit, self._window.closes - now))
        self._sender.submit(request, limit)

    def _give_up_flight(self, now: float, problem: str) -> None:
        """Nobody waits for that answer any more; the thread that does ends with the process."""
        self._flight = None
        self._sender = self._new_sender()
        self._contact.failed(now, problem)
        self._contact.declared = None

    # ------------------------------------------------------------------ what it answered

    def _take_outcome(self, now: float) -> None:
        outcome = self._sender.outcome()
        if outcome is None:
            return
        flight, self._flight = self._flight, None
        self._changed = True
        assert flight is not None
        if outcome.reply is None:
            # Whether it was applied is not known: ask where everything stands.
            self._contact.declared = None
            self._contact.failed(now, outcome.problem)
            return
        verdict = sending.judge(outcome.reply)
        self._contact.hear(verdict, now)
        if not verdict.done:
            self._obey(flight, verdict, now)
            return
        problem = self._resume(outcome.reply.json()) if flight.declares else self._acknowledge(flight, verdict)
        if problem:
            self._contact.failed(now, problem)
        else:
            self._contact.worked()

    def _resume(self, body: dict[str, object]) -> str:
        declared = read_declared(body)
        if declared is None:
            return "the tracker's answer to the declaration cannot be understood: is it a tracker of this version?"
        self._contact.declare(declared)
        for tail in self._spool.tails.values():
            at = declared.streams.get(tail.name)
            if at is None:
                tail.announced = False
                tail.start_over(-1)
            else:
                self._spool.count_lost(tail.resume(*at))
        return ""

    def _acknowledge(self, flight: Flight, verdict: sending.Verdict) -> str:
        problem = ""
        for piece in flight.pieces:
            generation, end = verdict.ends.get(piece.tail.name, (piece.generation, piece.end))
            piece.tail.announced, piece.tail.strikes = True, 0
            if generation != piece.segment.generation:
                self._contact.declared = None
                problem = f"the tracker keeps generation {generation} of {piece.tail.name}, not {piece.generation}"
                continue
            self._spool.count_lost(piece.tail.acknowledge(piece.segment, end))
            if piece.segment.position == piece.end:
                piece.segment.check = piece.check
        self._budget = min(batching.BATCH_RAW, self._budget * 2)
        return problem

    def _obey(self, flight: Flight, verdict: sending.Verdict, now: float) -> None:
        if verdict.warning:
            self._journal.warn(*verdict.warning)
        if verdict.declare:
            self._contact.declared = None
        at = verdict.gap or verdict.mismatch
        tail = self._spool.tails.get(at.stream) if at else None
        if at and tail and verdict.gap:
            self._spool.count_lost(tail.resume(at.generation, at.end))
        elif at and tail:
            text = f"the file of {tail.name} is not the one whose bytes the tracker has: sent anew as next generation"
            self._journal.warn("StreamRewritten", text, path=tail.name)
            tail.start_over(at.generation)
        if verdict.fenced:
            self._contact.rename()
            self._journal.warn("Fenced", "another collector speaks for this pod: this one tries again in 30 s")
        if verdict.smaller and not flight.declares:
            self._refused(flight, verdict, now)
        elif verdict.failed or verdict.smaller:
            self._contact.failed(now, verdict.warning[1] if verdict.warning else verdict.said, verdict.wait)
        elif verdict.wait is not None and not verdict.accepts:
            self._contact.wait(now, verdict.wait)

    def _refused(self, flight: Flight, verdict: sending.Verdict, now: float) -> None:
        """A request is refused for what it holds: make it smaller, until the stream that is refused is known."""
        self._contact.wait(now, max(sending.BACKOFF_FIRST, verdict.wait or 0.0))
        if flight.raw > SMALLEST or len(flight.pieces) > 1:
            self._budget = max(SMALLEST, min(self._budget, flight.raw) // 2)
            return
        for piece in flight.pieces:
            tail = piece.tail
            tail.strikes += 1
            tail.muted = now + min(60.0, 0.5 * 2.0**tail.strikes)
            if tail.strikes >= STRIKES and piece.raw:
                tail.muted = now  # others had their turn; what is left of it is only to be told as lost
                text = f"{piece.raw} bytes of {tail.name} at {piece.start} are given up: {verdict.said}"
                self._journal.warn("StreamRefused", text, path=tail.name)
                piece.segment.give_up(piece.end, f"refused: {verdict.refused}")

    # ------------------------------------------------------------------ the end

    def _begin_ending(self, now: float) -> None:
        if not self._stopping or self._window is not None:
            return
        self._window = ending.Window(now, self._config.linger)
        self._contact.ending, self._contact.not_before = True, now
        self._sampler.stop()
        self._files.finish()
        if self._flight is not None and now - self._flight.since > ending.LAST_EVENT:
            self._give_up_flight(now, "no answer before the end")
        self._spool.scan(now)
        self._spool.poll(now, ending=True)
        self._last_words("interrupted")  # should the kubelet not leave us the time for better ones

    def _unsent(self) -> dict[str, int]:
        return {tail.name: tail.unsent for tail in self._spool.tails.values()} | self._files.due()

    def _is_over(self, now: float) -> bool:
        if self._window is None:
            return False
        unsent = sum(self._unsent().values())
        open_files = 0 if self._files.finished else 1
        if not self._goodbye and self._window.says_goodbye(now, unsent + open_files):
            self._goodbye = True
            self._journal.event("source.end", unsentBytes=unsent, lostBytes=self._spool.lost)
            self._spool.poll(now, ending=True)
            return False
        over = self._window.is_over(now, unsent + open_files + self._spool_pending(), said_goodbye=self._goodbye)
        return over or self._stopping > 1

    def _spool_pending(self) -> int:
        return sum(tail.pending_lost for tail in self._spool.tails.values())

    def _reason(self) -> str:
        return self._contact.problem if sum(self._unsent().values()) else ""

    def _last_words(self, reason: str) -> None:
        self._spool.poll(self._clock(), ending=True)
        self._save(self._clock())
        try:
            words = ending.message(self._unsent(), self._spool.lost, reason)
            ending.write_message(self._config.termination_log, words)
        except OSError as error:
            say(f"the last words cannot be written to {self._config.termination_log}: {error.strerror}")


_JSON: Final = {"Content-Type": "application/json"}
