"""The body of an append request: `ORF1`, then frames. Pure and bounded: hostile bytes cost at most their own length.

`parse` reads the structure, `unpack` gives the raw bytes of a data frame. Both raise RefusedError (frame, too_large).
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from outrider_sidecar import contract
from outrider_tracker.core import jsontext
from outrider_tracker.core.errors import RefusedError

CODINGS: Final = ("zlib", "none")
# Paths are percent-encoded by the sidecar, so a stream's name never holds anything else.
NAME: Final = re.compile(r"[A-Za-z0-9._/%-]+")
MAX_OFFSET: Final = 1 << 53  # JSON numbers of other languages are exact up to here
MAX_GENERATION: Final = 1 << 31
MAX_FRAMES: Final = 65_536  # of one request; 8 MiB of empty headers would be more
MAX_REASON: Final = 256
_LENGTH: Final = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class StreamFrame:
    """Declares a stream, or adds labels to it."""

    stream: str
    labels: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DataFrame:
    """`length` raw bytes from `offset` of a generation, coded as `coding` in `payload`."""

    stream: str
    generation: int
    offset: int
    length: int
    coding: str
    crc: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class LostFrame:
    """Raw bytes [start, stop) that the sender no longer has."""

    stream: str
    generation: int
    start: int
    stop: int
    reason: str


@dataclass(frozen=True, slots=True)
class UnknownFrame:
    """A frame of a newer sidecar: skipped and counted."""

    type: str


Frame = StreamFrame | DataFrame | LostFrame | UnknownFrame


def parse(body: bytes) -> list[Frame]:
    """All frames of a body, in order."""
    return list(_frames(memoryview(body)))


def unpack(frame: DataFrame) -> bytes:
    """The raw bytes: exactly `frame.length`, with the announced CRC. Never makes more than one byte beyond that."""
    if frame.coding == "none":
        raw = frame.payload
        if len(raw) != frame.length:
            raise _malformed(frame, f"its payload has {len(raw)} bytes, its header says n={frame.length}")
    else:
        raw = _inflate(frame)
    if zlib.crc32(raw) != frame.crc:
        raise _malformed(frame, "the CRC-32 of its raw bytes is not its header's crc")
    return raw


def _inflate(frame: DataFrame) -> bytes:
    inflater = zlib.decompressobj()
    try:
        raw = inflater.decompress(frame.payload, frame.length + 1)
    except zlib.error as error:
        raise _malformed(frame, f"its payload is no zlib stream ({error})") from None
    if len(raw) > frame.length:
        raise RefusedError(
            contract.ERROR_TOO_LARGE,
            f"a data frame of stream {frame.stream} at offset {frame.offset} holds more than the n={frame.length} "
            "bytes that its header announces: refused without unpacking the rest",
            stream=frame.stream,
        )
    if len(raw) < frame.length:
        raise _malformed(frame, f"its payload unpacks to {len(raw)} bytes, its header says n={frame.length}")
    if not inflater.eof:
        # All announced bytes are here; what may follow is the end mark and checksum only.
        try:
            rest = inflater.decompress(inflater.unconsumed_tail, 1)
        except zlib.error as error:
            raise _malformed(frame, f"its payload is no zlib stream ({error})") from None
        if rest or not inflater.eof:
            raise _malformed(frame, "its zlib stream does not end with its payload")
    if inflater.unused_data:
        raise _malformed(frame, f"{len(inflater.unused_data)} bytes follow the zlib stream in its payload")
    return raw


def _frames(body: memoryview) -> Iterator[Frame]:
    magic = len(contract.FRAMES_MAGIC)
    if bytes(body[:magic]) != contract.FRAMES_MAGIC:
        raise RefusedError(
            contract.ERROR_FRAME,
            f"the body does not begin with {contract.FRAMES_MAGIC.decode()}: this door takes {contract.FRAMES_TYPE}",
        )
    at, count = magic, 0
    while at < len(body):
        count += 1
        if count > MAX_FRAMES:
            raise RefusedError(
                contract.ERROR_TOO_LARGE, f"a request may hold {MAX_FRAMES} frames: send them in several"
            )
        header, at = _header(body, at)
        carried = _integer(header, "c", 0, contract.MAX_BODY, default=0)
        if carried > len(body) - at:
            raise RefusedError(
                contract.ERROR_FRAME,
                f"the payload of frame {count} is cut: {len(body) - at} of c={carried} bytes are here",
            )
        yield _frame(header, bytes(body[at : at + carried]))
        at += carried


def _header(body: memoryview, at: int) -> tuple[dict[str, Any], int]:
    if len(body) - at < _LENGTH.size:
        raise RefusedError(contract.ERROR_FRAME, f"{len(body) - at} stray bytes stand at the end of the body")
    (length,) = _LENGTH.unpack_from(body, at)
    at += _LENGTH.size
    if length > contract.MAX_FRAME_HEADER:
        raise RefusedError(
            contract.ERROR_TOO_LARGE,
            f"a frame header of {length} bytes is over the bound of {contract.MAX_FRAME_HEADER}",
        )
    if length > len(body) - at:
        raise RefusedError(
            contract.ERROR_FRAME, f"a frame header is cut: {len(body) - at} of its {length} bytes are here"
        )
    try:
        header = jsontext.read_object(bytes(body[at : at + length]))
    except ValueError as error:
        raise RefusedError(contract.ERROR_FRAME, f"a frame header is malformed: {error}") from None
    return header, at + length


def _frame(header: dict[str, Any], payload: bytes) -> Frame:
    kind = header.get("t")
    if not isinstance(kind, str):
        raise RefusedError(contract.ERROR_FRAME, 'a frame header has no "t"')
    if kind not in {contract.FRAME_STREAM, contract.FRAME_DATA, contract.FRAME_LOST}:
        return UnknownFrame(kind)
    stream = _name(header)
    if kind == contract.FRAME_STREAM:
        return StreamFrame(stream, _labels(header, stream))
    generation = _integer(header, "g", 0, MAX_GENERATION)
    if kind == contract.FRAME_LOST:
        start = _integer(header, "from", 0, MAX_OFFSET)
        stop = _integer(header, "to", start, MAX_OFFSET)
        reason = header.get("reason", "")
        if not isinstance(reason, str):
            raise RefusedError(contract.ERROR_FRAME, f"the reason of a lost frame of stream {stream} is no text")
        return LostFrame(stream, generation, start, stop, reason[:MAX_REASON])
    length = _integer(header, "n", 0, MAX_OFFSET)
    if length > contract.MAX_FRAME_RAW:
        raise RefusedError(
            contract.ERROR_TOO_LARGE,
            f"a data frame of stream {stream} announces {length} raw bytes, the bound is {contract.MAX_FRAME_RAW}",
            stream=stream,
        )
    coding = header.get("z")
    if coding not in CODINGS:
        raise RefusedError(
            contract.ERROR_FRAME, f"a data frame of stream {stream} has z={coding!r}: zlib or none", stream=stream
        )
    return DataFrame(
        stream,
        generation,
        _integer(header, "o", 0, MAX_OFFSET - length),
        length,
        str(coding),
        _integer(header, "crc", 0, 0xFFFFFFFF),
        payload,
    )


def _name(header: dict[str, Any]) -> str:
    name = header.get("s")
    if not isinstance(name, str) or len(name) > contract.MAX_STREAM_NAME or NAME.fullmatch(name) is None:
        raise RefusedError(
            contract.ERROR_FRAME,
            f"a stream's name is 1 to {contract.MAX_STREAM_NAME} of A-Z a-z 0-9 . _ / - (others percent-encoded), "
            f"not {str(name)[:80]!r}",
        )
    return name


def _labels(header: dict[str, Any], stream: str) -> Mapping[str, Any]:
    labels = header.get("labels", {})
    if not isinstance(labels, dict) or not all(
        isinstance(value, (str, int)) and not (isinstance(value, int) and abs(value) > MAX_OFFSET)
        for value in labels.values()
    ):
        raise RefusedError(
            contract.ERROR_FRAME,
            f"the labels of stream {stream} are not an object of texts and integers",
            stream=stream,
        )
    return labels


def _integer(header: dict[str, Any], key: str, low: int, high: int, default: int | None = None) -> int:
    value = header.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise RefusedError(
            contract.ERROR_FRAME,
            f"a frame header has {key}={str(value)[:40]}: an integer from {low} to {high} is expected",
        )
    return value


def _malformed(frame: DataFrame, what: str) -> RefusedError:
    return RefusedError(
        contract.ERROR_FRAME,
        f"a data frame of stream {frame.stream} at offset {frame.offset} is malformed: {what}",
        stream=frame.stream,
    )
