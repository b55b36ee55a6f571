"""Names of streams, what is a stream, and that no link is followed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider_sidecar import layout

file_names = (
    st.binary(min_size=1, max_size=255)
    .filter(lambda b: b"/" not in b and b"\0" not in b and b not in {b".", b".."})
    .map(os.fsdecode)
)


@given(file_names)
def test_an_encoded_name_is_plain_and_leads_back(name: str) -> None:
    """Only letters, digits and `._-%`; percent-decoding gives the file name's bytes."""
    encoded = layout.encode_component(name)
    assert re.fullmatch(r"[A-Za-z0-9._%-]+", encoded)
    assert unquote_to_bytes(encoded) == os.fsencode(name)


@given(st.lists(file_names, min_size=1, max_size=4).map(tuple), st.lists(file_names, min_size=1, max_size=4).map(tuple))
def test_two_paths_have_two_names_within_the_bound(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    """Also where a name had to be cut."""
    assert len(layout.stream_name(one)) <= 255
    assert re.fullmatch(r"[A-Za-z0-9._/%-]+", layout.stream_name(one))
    assert (layout.stream_name(one) == layout.stream_name(other)) == (one == other)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def test_only_the_layout_of_the_protocol_is_a_stream(tmp_path: Path, root: int) -> None:
    """Other files, folders that are no numbers, and folders named like files are left alone."""
    for path in (
        "containers/train/0/stdout.log",
        "containers/train/0/notes.txt",
        "containers/train/00/stdout.log",
        "containers/train/-1/stdout.log",
        "containers/train/x/stdout.log",
        "containers/stdout.log",
        "containers/train/0/torch/a/attempt_0/0/stderr.log",
        "containers/train/0/torch/a/attempt_0/0/error.json",
        "containers/train/0/torch/a/attempt_x/0/stderr.log",
        "containers/train/0/torch/a/other_0/0/stderr.log",
        "containers/train/0/stderr.log/deep",
        "user/rank0.jsonl",
        "user/rank0.txt",
        "user/deep/rank1.jsonl",
        "sidecar/events.jsonl",
        "sidecar/cursors.json",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert sorted(found.name for found in layout.discover(root)) == [
        "sidecar/events",
        "train/0/stdout",
        "train/0/torch/a/attempt_0/0/stderr",
        "user/rank0",
    ]


@pytest.mark.parametrize(
    "link", ["containers", "containers/train", "containers/train/0", "containers/train/0/stdout.log"]
)
def test_no_component_of_a_path_may_be_a_link(tmp_path: Path, root: int, link: str) -> None:
    """A trainer that links any part of the path to elsewhere gets nothing found and nothing opened."""
    real = tmp_path / "elsewhere" / "containers" / "train" / "0"
    real.mkdir(parents=True)
    (real / "stdout.log").write_text("secret")
    (tmp_path / link).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / link).symlink_to(tmp_path / "elsewhere" / link)
    assert (tmp_path / "containers/train/0/stdout.log").read_text() == "secret"
    assert list(layout.discover(root)) == []
    with pytest.raises(OSError):
        layout.open_file(root, ("containers", "train", "0", "stdout.log"))


def test_a_pipe_is_refused_without_waiting_for_its_writer(tmp_path: Path, root: int) -> None:
    """Opening a FIFO blocks for ever unless one takes care."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="no regular file"):
        layout.open_file(root, ("pipe",))


def test_an_unreadable_folder_hides_only_itself(tmp_path: Path, root: int) -> None:
    """torchrun's folders are 0700 until the rider opens them (root sees them in any case)."""
    for rank in "01":
        file = tmp_path / f"containers/train/0/torch/a/attempt_0/{rank}/stdout.log"
        file.parent.mkdir(parents=True)
        file.touch()
    (tmp_path / "containers/train/0/torch/a/attempt_0/1").chmod(0)
    names = {found.name[-8:] for found in layout.discover(root)}
    assert names == ({"0/stdout", "1/stdout"} if os.geteuid() == 0 else {"0/stdout"})
