"""cursors.json: which file each stream is, and how far it is durable at the tracker.

The file is replaced as a whole (write, fsync, rename, fsync of the folder), so that a collector that is killed at any
point finds either the old or the new one. It may be older than the truth: the tracker's durable ends win. It is never
older than the numbering of generations, because that is saved before the first byte of a generation is sent.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from outrider_sidecar import atomic
from outrider_sidecar.layout import Labels
from outrider_sidecar.tailing import CHECK, Segment, Tail

FILE: Final = "cursors.json"
VERSION: Final = 1
MAX_BYTES: Final = 64 << 20


class CursorsError(ValueError):
    """cursors.json cannot be understood; the text says what is wrong with it."""


@dataclass(slots=True)
class Kept:
    """What an earlier collector of this pod knew: bytes told as lost, and each stream's segments."""

    lost: int = 0
    streams: dict[str, Tail] = field(default_factory=dict)


def encode(lost: int, tails: Iterable[Tail]) -> bytes:
    """The file's content."""
    streams = {
        tail.name: {
            "kind": tail.kind,
            "next": tail.next_generation,
            "segments": [_segment(segment) for segment in tail.segments],
        }
        for tail in tails
        if not (tail.fresh and not tail.segments)
    }
    return json.dumps({"version": VERSION, "lost": lost, "streams": streams}, separators=(",", ":")).encode()


def decode(data: bytes) -> Kept:
    """What `encode` wrote. Raises CursorsError for anything else: the trainer shares the volume."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CursorsError(f"{FILE} is no JSON: {error}") from error
    if not isinstance(value, dict) or value.get("version") != VERSION:
        raise CursorsError(f"{FILE} is not of version {VERSION}")
    streams = value.get("streams")
    if not isinstance(streams, dict):
        raise CursorsError(f"{FILE} has no streams")
    return Kept(_count(value, "lost"), {name: _stream(name, item) for name, item in streams.items()})


def save(folder: int, data: bytes) -> None:
    """Replace the file in the open folder. Raises OSError; the old file is then still there."""
    atomic.replace(folder, FILE, data)


def load(folder: int) -> Kept:
    """Read the file in the open folder; nothing where there is none. Raises CursorsError, and puts the file aside."""
    try:
        fd = os.open(FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return Kept()
    except OSError as error:
        raise CursorsError(f"{FILE} cannot be opened: {error.strerror}") from error
    try:
        with os.fdopen(fd, "rb") as file:
            return decode(file.read(MAX_BYTES))
    except CursorsError:
        with suppress(OSError):  # it is read-only evidence; the next save replaces the name in any case
            os.rename(FILE, FILE + ".broken", src_dir_fd=folder, dst_dir_fd=folder)
        raise


def _segment(segment: Segment) -> dict[str, Any]:
    return {
        "g": segment.generation,
        "dev": segment.device,
        "ino": segment.inode,
        "acked": segment.acked,
        "shed": segment.shed,
        "claimed": segment.claimed,
        "size": segment.size,
        "reason": segment.reason,
        "check": segment.check.hex(),
        "closed": segment.closed,
    }


def _stream(name: str, item: object) -> Tail:
    if (
        not isinstance(item, dict)
        or not isinstance(item.get("segments"), list)
        or not isinstance(item.get("kind"), str)
    ):
        raise CursorsError(f"{FILE}: a stream without kind or segments")
    segments = deque(_restored(segment) for segment in item["segments"])
    labels: Labels = {"kind": item["kind"]}
    return Tail(name, item["kind"], labels, (), _count(item, "next"), segments, fresh=False)


def _restored(item: object) -> Segment:
    if not isinstance(item, dict) or not isinstance(item.get("reason"), str):
        raise CursorsError(f"{FILE}: a segment is no object")
    try:
        check = bytes.fromhex(item["check"])
    except (KeyError, TypeError, ValueError) as error:
        raise CursorsError(f"{FILE}: a segment's check is no hex") from error
    acked, shed = _count(item, "acked"), _count(item, "shed")
    return Segment(
        _count(item, "g"),
        _count(item, "dev"),
        _count(item, "ino"),
        acked=acked,
        shed=shed,
        claimed=_count(item, "claimed"),
        size=_count(item, "size"),
        freed=max(0, max(acked, shed) - CHECK),  # published at most so far; below, bytes may be holes
        reason=item["reason"],
        check=check,
        closed=item.get("closed") is True,
    )


def _count(item: Mapping[str, Any], key: str) -> int:
    value = item.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 63:
        raise CursorsError(f"{FILE}: {key} must be a count, not {str(value)[:40]!r}")
    return value
