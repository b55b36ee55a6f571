"""The frames of one stream in one request, read from its file at the last moment."""

from __future__ import annotations

from dataclasses import dataclass

from outrider_sidecar import batching, contract, frames
from outrider_sidecar.tailing import CHECK, Segment, Tail


@dataclass(slots=True)
class Piece:
    """What a request says of one stream: [lost_from, start) is gone, [start, end) is data."""

    tail: Tail
    segment: Segment
    generation: int
    start: int
    end: int
    check: bytes  # the last bytes before `end`

    @property
    def raw(self) -> int:
        """Bytes of data."""
        return self.end - self.start


def pack(tail: Tail, n: int, parts: list[bytes], now: float) -> Piece | None:
    """Append the frames of a stream's next n bytes to `parts`; None where its file turned out to be another one."""
    segment = tail.segments[0]
    if not segment.is_same():
        tail.cut(segment, now)
        return None
    tail.fresh = False
    start = segment.position
    piece = Piece(tail, segment, segment.generation, start, start, segment.check)
    mine = [] if tail.announced else [frames.stream(tail.name, tail.labels)]
    if segment.pending_lost:
        mine.append(frames.lost(tail.name, segment.generation, segment.acked, start, segment.reason))
    while n > 0:
        data = tail.read(piece.end, min(n, contract.MAX_FRAME_RAW))
        if len(data) == n:  # the last frame
            data = data[: batching.cut(data, more=piece.end + n < segment.size)]
            n = 0
        n = n - len(data) if data else 0
        if data:
            mine.append(frames.data(tail.name, segment.generation, piece.end, data))
            piece.check = (piece.check + data[-CHECK:])[-CHECK:]
            piece.end += len(data)
    if piece.end == segment.acked:
        return None
    parts.extend(mine)
    return piece
