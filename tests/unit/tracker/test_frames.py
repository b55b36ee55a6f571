"""The parser of append bodies: what it takes, what it refuses, and that hostile bytes are only ever refused."""

from __future__ import annotations

import json
import struct
import tracemalloc
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider_sidecar import contract
from outrider_tracker.core.errors import RefusedError
from outrider_tracker.core.frames import DataFrame, LostFrame, StreamFrame, UnknownFrame, parse, unpack
from tests.unit.tracker import wire

names = st.text("abcXYZ019._/-%", min_size=1, max_size=255)
payloads = st.binary(max_size=300)


@st.composite
def frames(draw: st.DrawFn) -> tuple[bytes, object]:
    """A frame's bytes and what they must be read as."""
    name = draw(names)
    which = draw(st.sampled_from(["stream", "data", "lost", "unknown"]))
    generation, offset = draw(st.integers(0, 1 << 31)), draw(st.integers(0, 1 << 40))
    if which == "stream":
        labels = draw(st.dictionaries(st.text(max_size=5), st.integers(-9, 9) | st.text(max_size=5), max_size=3))
        return wire.frame({"t": "stream", "s": name, "labels": labels}), StreamFrame(name, labels)
    if which == "data":
        raw, coding = draw(payloads), draw(st.sampled_from(["zlib", "none"]))
        packed = zlib.compress(raw) if coding == "zlib" else raw
        return (
            wire.data(name, generation, offset, raw, coding=coding),
            DataFrame(name, generation, offset, len(raw), coding, zlib.crc32(raw), packed),
        )
    if which == "lost":
        stop = offset + draw(st.integers(0, 99))
        return wire.lost(name, generation, offset, stop, "why"), LostFrame(name, generation, offset, stop, "why")
    extra = draw(payloads)
    return wire.frame({"t": "later", "c": len(extra)}, extra), UnknownFrame("later")


def refusal(sent: bytes) -> str | None:
    """The code with which a body is refused, parsed and unpacked; None if it is not."""
    try:
        for frame in parse(sent):
            if isinstance(frame, DataFrame):
                unpack(frame)
    except RefusedError as error:
        return error.code
    return None


@given(st.lists(frames(), max_size=8))
def test_what_was_built_is_read_back(built: list[tuple[bytes, object]]) -> None:
    """Any sequence of frames, unknown ones included, is read as it was written."""
    assert parse(wire.body(*(item[0] for item in built))) == [item[1] for item in built]


@given(payloads, st.sampled_from(["zlib", "none"]))
def test_data_unpacks_to_its_raw_bytes(raw: bytes, coding: str) -> None:
    """Both codings give back what went in."""
    (frame,) = parse(wire.body(wire.data("s", 0, 0, raw, coding=coding)))
    assert isinstance(frame, DataFrame)
    assert unpack(frame) == raw


@given(st.binary(max_size=400))
def test_noise_is_refused_or_read_but_never_breaks(noise: bytes) -> None:
    """Bytes after the magic either parse or are refused with one of the door's errors."""
    assert refusal(wire.MAGIC + noise) in {None, contract.ERROR_FRAME, contract.ERROR_TOO_LARGE}


@given(st.lists(frames(), min_size=1, max_size=3), st.data())
def test_a_cut_body_is_refused(built: list[tuple[bytes, object]], drawn: st.DataObject) -> None:
    """Every proper beginning of a body that does not end between two frames is refused."""
    whole = wire.body(*(item[0] for item in built))
    ends = {4}
    for item in built:
        ends.add(max(ends) + len(item[0]))
    cut = drawn.draw(st.integers(0, len(whole) - 1).filter(lambda at: at not in ends))
    with pytest.raises(RefusedError) as caught:
        parse(whole[:cut])
    assert caught.value.code == contract.ERROR_FRAME


@given(st.data())
def test_a_flipped_bit_of_the_payload_never_passes(drawn: st.DataObject) -> None:
    """The CRC of the raw bytes finds any damage that unpacking does not find."""
    raw = drawn.draw(st.binary(min_size=1, max_size=200))
    built = bytearray(wire.body(wire.data("s", 0, 0, raw)))
    (header,) = struct.unpack_from("<I", built, 4)
    at = drawn.draw(st.integers(8 + header, len(built) - 1))
    built[at] ^= 1 << drawn.draw(st.integers(0, 7))
    # A few bits of a zlib stream mean nothing: then the raw bytes are what they were.
    (frame,) = parse(bytes(built))
    assert isinstance(frame, DataFrame)
    code = refusal(bytes(built))
    assert code in {contract.ERROR_FRAME, contract.ERROR_TOO_LARGE} or (code is None and unpack(frame) == raw)


REFUSED = {
    "wrong magic": (b"ORF2" + wire.stream("s"), "frame"),
    "empty body": (b"", "frame"),
    "header over the bound": (wire.MAGIC + struct.pack("<I", 4097) + b" " * 4097, "too_large"),
    "header is a list": (wire.MAGIC + struct.pack("<I", 2) + b"[]", "frame"),
    "header holds NaN": (wire.body(wire.data("s", 0, 0, b"").replace(b'"o": 0', b'"o":NaN')), "frame"),
    "header nested deeply": (wire.MAGIC + struct.pack("<I", 4000) + b'{"t":' + b"[" * 3995, "frame"),
    "half a character in a label": (wire.body(wire.stream("s", path="\ud800")), "frame"),
    "no type": (wire.body(wire.frame({"s": "x"})), "frame"),
    "name with a space": (wire.body(wire.stream("a b")), "frame"),
    "name too long": (wire.body(wire.stream("a" * 256)), "frame"),
    "offset is true": (wire.body(wire.data("s", 0, 0, b"x", o=True)), "frame"),
    "offset is negative": (wire.body(wire.data("s", 0, 0, b"x", o=-1)), "frame"),
    "offset is a float": (wire.body(wire.data("s", 0, 0, b"x", o=1.5)), "frame"),
    "coding unknown": (wire.body(wire.data("s", 0, 0, b"x", z="zstd")), "frame"),
    "raw length over the bound": (wire.body(wire.data("s", 0, 0, b"x", n=(1 << 20) + 1)), "too_large"),
    "lost backwards": (wire.body(wire.lost("s", 0, 5, 4)), "frame"),
    "label is an object": (wire.body(wire.stream("s", deep={})), "frame"),
    "payload beyond the body": (wire.body(wire.data("s", 0, 0, b"x", c=999)), "frame"),
    "too many frames": (wire.body(wire.frame({"t": "x"}) * 65_537), "too_large"),
}


@pytest.mark.parametrize(("sent", "code"), REFUSED.values(), ids=REFUSED)
def test_malformed_bodies_are_refused(sent: bytes, code: str) -> None:
    """Each with the code that the protocol gives it, and a sentence."""
    with pytest.raises(RefusedError) as caught:
        parse(sent)
    assert caught.value.code == code
    assert len(caught.value.message) > 20


WRONG_DATA = {
    "wrong crc": ({"crc": 1}, "frame"),
    "announces more": ({"n": 6}, "frame"),
    "announces less": ({"n": 4}, "too_large"),
}


@pytest.mark.parametrize(("changes", "code"), WRONG_DATA.values(), ids=WRONG_DATA)
def test_data_that_does_not_match_its_header_is_refused(changes: dict[str, Any], code: str) -> None:
    """CRC and length are checked against the raw bytes."""
    (frame,) = parse(wire.body(wire.data("s", 0, 0, b"hello", **changes)))
    assert isinstance(frame, DataFrame)
    with pytest.raises(RefusedError) as caught:
        unpack(frame)
    assert caught.value.code == code


def test_plain_data_of_another_length_is_refused() -> None:
    """Without compression the payload is the raw bytes."""
    (frame,) = parse(wire.body(wire.data("s", 0, 0, b"hello", coding="none", n=4)))
    assert isinstance(frame, DataFrame)
    with pytest.raises(RefusedError, match="5 bytes"):
        unpack(frame)


@pytest.mark.parametrize("tail", [b"\0", zlib.compress(b"second")])
def test_bytes_behind_the_zlib_stream_are_refused(tail: bytes) -> None:
    """Nothing can hide in a payload."""
    packed = zlib.compress(b"hello") + tail
    header = {"t": "data", "s": "s", "g": 0, "o": 0, "n": 5, "z": "zlib", "c": len(packed), "crc": zlib.crc32(b"hello")}
    (frame,) = parse(wire.body(wire.frame(header, packed)))
    assert isinstance(frame, DataFrame)
    with pytest.raises(RefusedError):
        unpack(frame)


def test_a_bomb_is_not_unpacked() -> None:
    """100 MiB of zeros in 100 KiB cost no more memory than they announce."""
    packer = zlib.compressobj(9)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(100)) + packer.flush()
    header = {"t": "data", "s": "s", "g": 0, "o": 0, "n": 1 << 20, "z": "zlib", "c": len(bomb), "crc": 0}
    (frame,) = parse(wire.body(wire.frame(header, bomb)))
    assert isinstance(frame, DataFrame)
    tracemalloc.start()
    try:
        with pytest.raises(RefusedError) as caught:
            unpack(frame)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.code == contract.ERROR_TOO_LARGE
    assert peak < 4 << 20


def test_header_json_must_be_utf8() -> None:
    """A header of other bytes is refused, not guessed."""
    with pytest.raises(RefusedError):
        parse(wire.MAGIC + struct.pack("<I", 4) + b'{"\xff"'[:4])


def test_the_helper_builds_what_the_protocol_says() -> None:
    """The wire helper itself: magic, little-endian length, JSON header, payload."""
    built = wire.body(wire.data("s", 1, 2, b"abc", coding="none"))
    length = int.from_bytes(built[4:8], "little")
    assert built[:4] == b"ORF1"
    assert json.loads(built[8 : 8 + length]) == {
        "t": "data",
        "s": "s",
        "g": 1,
        "o": 2,
        "n": 3,
        "z": "none",
        "c": 3,
        "crc": 0x352441C2,
    }
    assert built[8 + length :] == b"abc"
