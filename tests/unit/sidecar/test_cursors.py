"""cursors.json: kept whole through kills, believed only where it makes sense."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider_sidecar import cursors
from outrider_sidecar.tailing import Segment, Tail

KEPT = ("generation", "device", "inode", "acked", "shed", "claimed", "size", "reason", "check", "closed")

counts = st.integers(0, (1 << 63) - 1)
segments = st.builds(
    Segment,
    generation=counts,
    device=counts,
    inode=counts,
    acked=counts,
    shed=counts,
    claimed=counts,
    size=counts,
    reason=st.text(max_size=20),
    check=st.binary(max_size=64),
    closed=st.booleans(),
)
tails = st.builds(
    Tail,
    name=st.text(min_size=1),
    kind=st.sampled_from(["stdout", "events"]),
    labels=st.just({}),
    path=st.just(()),
    next_generation=counts,
    segments=st.lists(segments, max_size=3).map(deque),
    fresh=st.just(False),
)


@given(counts, st.lists(tails, max_size=5, unique_by=lambda tail: tail.name))
def test_what_is_saved_is_restored(lost: int, kept: list[Tail]) -> None:
    """Every number, and nothing more believed readable than was published as not freed."""
    restored = cursors.decode(cursors.encode(lost, kept))
    assert restored.lost == lost
    assert set(restored.streams) == {tail.name for tail in kept}
    for tail in kept:
        got = restored.streams[tail.name]
        assert (got.kind, got.next_generation) == (tail.kind, tail.next_generation)
        for mine, theirs in zip(tail.segments, got.segments, strict=True):
            for field in (
                "generation",
                "device",
                "inode",
                "acked",
                "shed",
                "claimed",
                "size",
                "reason",
                "check",
                "closed",
            ):
                assert getattr(mine, field) == getattr(theirs, field)
            assert theirs.fd is None
            assert theirs.freed == max(0, mine.position - 64)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.binary(max_size=80)
    | json_values.map(lambda value: json.dumps(value).encode())
    | json_values.map(lambda value: json.dumps({"version": 1, "lost": 0, "streams": {"a": value}}).encode())
)
def test_anything_else_is_refused_with_a_sentence(data: bytes) -> None:
    """The trainer shares the volume: what it writes there never raises anything else, and never becomes a cursor."""
    with pytest.raises(cursors.CursorsError, match=cursors.FILE):
        cursors.decode(data)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


class Killed(BaseException):
    """The process ended here."""


@pytest.mark.parametrize("call", ["open", "write", "fsync", "close", "rename"])
def test_killed_at_any_point_the_old_or_the_new_file_is_there(
    tmp_path: Path, folder: int, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Whichever system call the process dies in."""
    old, new = cursors.encode(1, []), cursors.encode(2, [])
    cursors.save(folder, old)

    def killed(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(os, call, killed)
        with pytest.raises(Killed):
            cursors.save(folder, new)
    assert cursors.load(folder).lost == 1
    cursors.save(folder, new)
    assert cursors.load(folder).lost == 2


def test_half_a_write_is_never_visible(folder: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel may take fewer bytes than given; all are written before the name changes."""
    plain = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: plain(fd, bytes(data[:7])))
    cursors.save(folder, cursors.encode(12345, []))
    assert cursors.load(folder).lost == 12345


def test_a_broken_file_is_put_aside_and_a_link_is_not_followed(tmp_path: Path, folder: int) -> None:
    """What could not be read stays for people to look at."""
    (tmp_path / "cursors.json").write_text("{")
    with pytest.raises(cursors.CursorsError):
        cursors.load(folder)
    assert (tmp_path / "cursors.json.broken").read_text() == "{"
    assert cursors.load(folder) == cursors.Kept()
    (tmp_path / "elsewhere").write_bytes(cursors.encode(5, []))
    (tmp_path / "cursors.json").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(cursors.CursorsError, match="cannot be opened"):
        cursors.load(folder)
