r"""Lines of a stream by raw offset: forward, backward, the last ones. Bounded work for any stream.

A line longer than MAX_LINE comes in parts. `\r` is collapsed as a terminal would: what was overwritten is not shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from outrider_tracker.store.logs import Data, Piece, Snapshot, StreamKey, generation_end, pieces
from outrider_tracker.store.records import Line, Lines, LostLine, LostRange

MAX_LINE: Final = 64 << 10
WINDOW: Final = 64 << 10  # raw bytes of the first look; doubled until the lines are found
MAX_WINDOW: Final = 8 << 20
MAX_LINES: Final = 5000


def render(raw: bytes) -> str:
    r"""Text of a line without its line end; damaged characters are replaced, ANSI is kept, `\r` collapsed."""
    return raw.rstrip(b"\r\n").rsplit(b"\r", 1)[-1].decode("utf-8", "replace")


def split(stored: Iterable[Piece]) -> list[tuple[int, Line | LostLine]]:
    """Lines and lost ranges with the offset behind each. A lost range ends a line; so does MAX_LINE."""
    found: list[tuple[int, Line | LostLine]] = []
    at = 0
    since: float | None = None
    buffered = bytearray()

    def flush(raw: bytes) -> None:
        nonlocal at
        found.append((at + len(raw), Line(at, render(raw), since)))
        at += len(raw)

    for piece in stored:
        if isinstance(piece, LostRange):
            if buffered:
                flush(bytes(buffered))
                buffered.clear()
            found.append((piece.stop, LostLine(piece.start, piece.stop - piece.start, piece.reason)))
            at = piece.stop
            continue
        if not buffered:
            at, since = piece.start, piece.received
        buffered += piece.data
        begin = 0
        while begin < len(buffered):
            newline = buffered.find(b"\n", begin, begin + MAX_LINE)
            if newline < 0 and len(buffered) - begin < MAX_LINE:
                break
            stop = begin + MAX_LINE if newline < 0 else newline + 1
            flush(bytes(buffered[begin:stop]))
            begin = stop
            since = piece.received
        del buffered[:begin]
    if buffered:
        flush(bytes(buffered))
    return found


def forward(snapshot: Snapshot, key: StreamKey, offset: int, limit: int) -> Lines:
    """At most `limit` lines from `offset`. The unfinished last line of the stream is given, marked `partial`."""
    end = generation_end(snapshot.connection, key)
    limit = max(1, min(limit, MAX_LINES))
    window = WINDOW
    while True:
        stop = min(end, offset + window)
        found = split(pieces(snapshot, key, offset, stop)) if offset < end else []
        whole = found if stop >= end or not found else _without_cut(found, stop)
        if len(whole) >= limit or stop >= end or window >= MAX_WINDOW:
            kept = whole[:limit]
            return _answer(snapshot, key, offset, kept, end)
        window *= 2


def backward(snapshot: Snapshot, key: StreamKey, offset: int | None, limit: int) -> Lines:
    """The at most `limit` lines that end at or before `offset` (None: the end)."""
    end = generation_end(snapshot.connection, key)
    stop = end if offset is None else max(0, min(offset, end))
    limit = max(1, min(limit, MAX_LINES))
    window = WINDOW
    while True:
        start = max(0, stop - window)
        found = list(pieces(snapshot, key, start, stop)) if start < stop else []
        whole = split(_from_line_start(found, at_start=start == 0))
        if len(whole) >= limit or start == 0 or window >= MAX_WINDOW:
            kept = whole[-limit:]
            return _answer(snapshot, key, kept[0][1].offset if kept else stop, kept, end)
        window *= 2


def _without_cut(found: list[tuple[int, Line | LostLine]], stop: int) -> list[tuple[int, Line | LostLine]]:
    """Drops the last line if the window's end cut it (unless it is all there is)."""
    behind, last = found[-1]
    cut = isinstance(last, Line) and behind == stop
    return found[:-1] if cut and len(found) > 1 else found


def _from_line_start(found: Sequence[Piece], *, at_start: bool) -> Iterable[Piece]:
    """The pieces without the end of a line that began before them."""
    if at_start or not found or isinstance(found[0], LostRange):
        return found
    for index, piece in enumerate(found):
        if isinstance(piece, LostRange):
            return found[index:]
        newline = piece.data.find(b"\n")
        if newline >= 0:
            rest = Data(piece.start + newline + 1, piece.data[newline + 1 :], piece.received)
            return [rest, *found[index + 1 :]] if rest.data else found[index + 1 :]
    return ()


def _answer(
    snapshot: Snapshot, key: StreamKey, start: int, kept: Sequence[tuple[int, Line | LostLine]], end: int
) -> Lines:
    behind = kept[-1][0] if kept else start
    partial = False
    if kept and behind == end and isinstance(kept[-1][1], Line):
        last = [piece for piece in pieces(snapshot, key, end - 1, end) if isinstance(piece, Data)]
        partial = not last[-1].data.endswith(b"\n")
    return Lines(key[1], start, behind, [line for _, line in kept], partial)
