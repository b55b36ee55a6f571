"""A process that makes the steps of decoding, so that the interpreter which answers requests is free of it.

    tracker                                    decoding process
    asks: a place in a stream or in lines ──>  reads a snapshot, decodes, codes for the writer
    writes what it says, if still true    <──  a step, or why there is none

It starts when it is first needed and ends when nothing was decoded for a while, when the tracker says so, and when the
tracker is gone, however that went: its socket says it. It reads only. What ends it (hostile bytes, the kernel short of
memory) costs one step: it is asked for once more, in a fresh process; a place that ends two of them is given up.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from outrider_tracker.decode.line_step import LineStep
from outrider_tracker.decode.steps import Here
from outrider_tracker.decode.stream_step import PendingStream, StreamStep
from outrider_tracker.log import say
from outrider_tracker.store.blobs import BlobFolder
from outrider_tracker.store.database import Readers
from outrider_tracker.store.errors import StoreError
from outrider_tracker.store.undecoded import Pending

IDLE_SECONDS: Final = 60.0  # without a step, after which it ends
NICE: Final = 5  # requests come first where cores are short
OOM_SCORE: Final = 500  # where memory is short the kernel ends it, not the tracker
END_SECONDS: Final = 10.0  # in which a step at hand may end
_TRIES: Final = 2

S = TypeVar("S", StreamStep, LineStep)


class OfStream(msgspec.Struct, frozen=True, tag=True):
    """Asks for a step of a stream; see Steps."""

    pending: PendingStream
    now: float
    most: float


class OfLines(msgspec.Struct, frozen=True, tag=True):
    """Asks for a step of lines; see Steps."""

    place: Pending
    now: float
    most: float


class Failed(msgspec.Struct, frozen=True, tag=True):
    """Why there is no step. `store`: the store is the reason, not what was asked."""

    reason: str
    store: bool


class DecodingFailedError(Exception):
    """There is no step for this place, now and later."""


class DecodingAwayError(StoreError):
    """There is no step now, for want of a process, or of what the store should have: try again."""


_ENCODER: Final = msgspec.msgpack.Encoder()
_ASKED: Final = msgspec.msgpack.Decoder(OfStream | OfLines)
_ANSWER: Final = msgspec.msgpack.Decoder(StreamStep | LineStep | Failed)


class _Child:
    """A process that runs, and our end of the socket."""

    def __init__(self, database: Path, objects: Path) -> None:
        """OSError: it cannot be had."""
        ours, theirs = Pipe()
        try:
            # It finds its modules where we found ours, whatever lies in its folder and environment.
            script = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import main; main(sys.argv[1:])"
            command = [sys.executable, "-I", "-c", script, str(theirs.fileno()), str(database), str(objects)]
            # Of a session of its own: a terminal's ^C is for the tracker, which ends it in its time.
            self._process = subprocess.Popen(
                command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, start_new_session=True
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._connection: Connection = ours
        try:
            ours.recv_bytes()  # it is ready
        except (EOFError, OSError):
            raise OSError(f"it ended at its start with exit code {self.end()}") from None

    def ask(self, asked: bytes) -> bytes:
        """EOFError, OSError: it is gone."""
        self._connection.send_bytes(asked)
        return self._connection.recv_bytes()

    @property
    def pid(self) -> int:
        """The process' number."""
        return self._process.pid

    def end(self) -> int:
        """After the step at hand. Its exit code."""
        self._connection.close()
        try:
            return self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


class DecodingProcess:
    """See Steps. One step at a time, whoever asks. `close` when nobody asks any more."""

    def __init__(self, database: Path, objects: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """What it reads: the store's database, and the folder of its objects."""
        self._database = database
        self._objects = objects
        self._clock = clock
        self._lock = threading.Lock()
        self._child: _Child | None = None
        self._used = clock()
        self.starts = 0

    @property
    def pid(self) -> int | None:
        """The process' number, None while there is none."""
        child = self._child
        return None if child is None else child.pid

    def of_stream(self, pending: PendingStream, now: float, most: float) -> StreamStep:
        """See Steps."""
        return self._ask(OfStream(pending, now, most), StreamStep)

    def of_lines(self, place: Pending, now: float, most: float) -> LineStep:
        """See Steps."""
        return self._ask(OfLines(place, now, most), LineStep)

    def end_if_idle(self) -> None:
        """A chore: frees its memory when nothing was decoded for IDLE_SECONDS."""
        with self._lock:
            if self._clock() - self._used >= IDLE_SECONDS:
                self._end()

    def close(self) -> None:
        """Ends it."""
        with self._lock:
            self._end()

    def _ask(self, asked: OfStream | OfLines, kind: type[S]) -> S:
        """DecodingFailedError, DecodingAwayError."""
        answer = _ANSWER.decode(self._answered(_ENCODER.encode(asked)))
        if isinstance(answer, Failed):
            raise (DecodingAwayError if answer.store else DecodingFailedError)(answer.reason)
        assert isinstance(answer, kind)
        return answer

    def _answered(self, asked: bytes) -> bytes:
        code = 0
        with self._lock:
            for _ in range(_TRIES):
                try:
                    child = self._child = self._child or self._start()
                except OSError as error:
                    raise DecodingAwayError(f"the decoding process cannot be started: {error}") from error
                self._used = self._clock()
                try:
                    return child.ask(asked)
                except (EOFError, OSError):
                    code = self._end()
                    say("decoding.process.ended", code=code)
        raise DecodingFailedError(f"decoding this ended the process twice (exit code {code})")

    def _start(self) -> _Child:
        self.starts += 1
        return _Child(self._database, self._objects)

    def _end(self) -> int:
        child, self._child = self._child, None
        return 0 if child is None else child.end()


def main(arguments: Sequence[str]) -> None:
    """The process: `<its socket's descriptor> <database> <folder of objects>`."""
    descriptor, database, objects = arguments
    connection = Connection(int(descriptor))
    os.nice(NICE)
    with contextlib.suppress(OSError):  # where /proc is read-only the kernel chooses by itself
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE))
    steps = Here(Readers(Path(database)), BlobFolder(Path(objects)))
    # The tracker is gone or wants no more: nothing of ours is to be kept.
    with contextlib.suppress(EOFError, ConnectionError):
        connection.send_bytes(b"ready")
        while True:
            connection.send_bytes(_ENCODER.encode(_step(steps, connection.recv_bytes())))


def _step(steps: Here, data: bytes) -> StreamStep | LineStep | Failed:
    asked = _ASKED.decode(data)
    try:
        if isinstance(asked, OfStream):
            return steps.of_stream(asked.pending, asked.now, asked.most)
        return steps.of_lines(asked.place, asked.now, asked.most)
    except Exception as error:  # noqa: BLE001  whatever hostile bytes found: others must go on
        return Failed(repr(error), store=isinstance(error, StoreError))
