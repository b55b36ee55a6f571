"""JSON from strangers: read strictly, so that whatever was accepted can be stored and answered again."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

_PARTS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_PIECE: Final = 64 << 10  # bytes looked through at once, while nobody else's thread runs
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_PAIR: Final = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")


def read_object(data: bytes, *, allow_nan: bool = False) -> dict[str, Any]:
    r"""The JSON object of the bytes. ValueError: no JSON, no object, too deep, NaN where not allowed, half characters.

    A lone surrogate (`"\ud800"`) is valid JSON but no text: SQLite and UTF-8 cannot take it. The bytes are UTF-8 and
    nothing else: given bytes, `json.loads` would let coded surrogates pass, and guess at UTF-16.
    """
    try:
        text = data.decode()
        value = json.loads(text) if allow_nan else json.loads(text, parse_constant=_refuse)
        if b"\\u" in data:
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("a JSON object is expected")
    return value


def nested_deeper(value: Any, most: int) -> bool:
    """Whether anything stands inside more than `most` lists and objects."""
    level = [value]
    for _ in range(most + 1):
        level = [item for outer in level if isinstance(outer, (dict, list)) for item in _within(outer)]
    return bool(level)


def _within(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def write(value: Any) -> str:
    """JSON text that any reader takes: numbers that JSON lacks become texts."""
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        return json.dumps(finite(value), allow_nan=False)


def encode(value: Any) -> bytes:
    """JSON of a value without NaN and infinities (`finite`), for an answer; parts may be written already (`portion`).

    One call holds the interpreter until it is through: some 3 ms for a megabyte, and a tenth of what `json` takes.
    """
    try:
        return msgspec.json.encode(value)
    except (OverflowError, UnicodeEncodeError):  # integers beyond 64 bits, half characters: rare, and JSON all the same
        return json.dumps(value, allow_nan=False, separators=(",", ":"), default=_again).encode()


def portion(value: Any) -> msgspec.Raw:
    """A part of an answer that is large as a whole: written on its own, so that others run between the parts."""
    return msgspec.Raw(encode(finite(value)))


def without_halves(data: bytes | bytearray) -> bytes | bytearray:
    r"""JSON with `?` for each escaped half of a surrogate pair: valid JSON (`"\ud800"`), which the fast reader refuses.

    What is no JSON stays none. It is looked through in pieces: others run in between, however long it is.
    """
    made, kept, at = bytearray(), 0, 0
    while (at := _find(data, at)) >= 0:
        pair = _PAIR.match(data, at)
        if _is_escaped(data, at):
            at += 2
        elif pair is not None:
            at = pair.end()
        else:
            made += data[kept:at]
            made += b"?"
            at = kept = at + 6
    return made + data[kept:] if kept else data


def _find(data: bytes | bytearray, start: int) -> int:
    """Where the next surrogate's escape begins, if it is one; -1 if there is none."""
    for begin in range(start, len(data), _PIECE):
        found = _SURROGATE.search(data, begin, begin + _PIECE + 5)
        if found is not None:
            return found.start()
    return -1


def _is_escaped(data: bytes | bytearray, at: int) -> bool:
    """Whether the backslash there is the second one of a pair: a character, and no escape."""
    begin = at
    while begin > 0 and data[begin - 1] == ord("\\"):
        begin -= 1
    return (at - begin) % 2 == 1


def joined(under: str, over: str) -> str:
    """One object of two texts of objects: of a key that both have, the value of `over`. The values are passed on as
    they are: it costs by the number of keys, hardly by their size.
    """
    try:
        return msgspec.json.encode(_PARTS.decode(under) | _PARTS.decode(over)).decode()
    except (msgspec.MsgspecError, UnicodeError):
        # Half of a surrogate pair is valid JSON, which the fast reader refuses: a key may hold one.
        return write(json.loads(under) | json.loads(over))


def finite(value: Any) -> Any:
    """The value with NaN and infinities as the texts `NaN`, `Infinity`, `-Infinity`."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return value


def _again(part: msgspec.Raw) -> Any:
    return json.loads(bytes(part))


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")
