"""What is written on the shared volume: freed offsets, the own journal, samples."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from outrider_sidecar import freed, sampling
from outrider_sidecar.journal import Journal
from outrider_sidecar.tailing import Tail


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def tail(tmp_path: Path, *path: str, size: int = 0, acked: int = 0, shed: int = 0) -> Tail:
    file = tmp_path / "-".join(path)
    file.write_bytes(os.urandom(size))
    made = Tail("/".join(path), "stdout", {}, path)
    segment = made.begin(os.open(file, os.O_RDONLY), 0.0)
    segment.acked, segment.shed = acked, shed
    return made


def test_what_is_acknowledged_or_given_up_is_listed_by_container_start(tmp_path: Path) -> None:
    """Less the 64 bytes by which a file is known again; user data is nobody's business but ours."""
    tails = [
        tail(tmp_path, "containers", "t", "0", "stdout.log", size=1000, acked=500),
        tail(tmp_path, "containers", "t", "0", "torch", "a b", "attempt_0", "1", "stderr.log", size=1000, shed=1000),
        tail(tmp_path, "containers", "t", "1", "stdout.log", size=10, acked=10),
        tail(tmp_path, "user", "rank0.jsonl", size=10, acked=10),
    ]
    freed.mark(tails)
    assert freed.listing(tails) == {
        "t.0": b"436 stdout.log\n936 torch/a b/attempt_0/1/stderr.log\n",
        "t.1": b"0 stdout.log\n",
    }
    for made in tails:
        made.segments[0].close()


def test_a_new_generation_frees_nothing(tmp_path: Path) -> None:
    """The path leads to another file now: no byte of that may be punched for what was acknowledged of the old one."""
    made = tail(tmp_path, "containers", "t", "0", "stdout.log", size=1000, acked=1000)
    freed.mark([made])
    made.cut(made.segments[0], 1.0)
    freed.mark([made])
    assert freed.listing([made]) == {"t.0": b"0 stdout.log\n"}
    made.segments[-1].close()


def test_a_name_that_no_container_has_stops_nobody(tmp_path: Path, folder: int) -> None:
    """A trainer may make any folder; the others' offsets are published all the same."""
    freed.Publisher(folder).publish({"x" * 254 + ".0": b"1 a\n", "t.0": b"2 b\n"})
    assert [entry.name for entry in tmp_path.iterdir()] == ["t.0"]


def test_own_files_give_their_blocks_back(tmp_path: Path) -> None:
    """From a megabyte on; what is not acknowledged stays."""
    made = tail(tmp_path, "user", "rank0.jsonl", size=3 << 20, acked=2 << 20)
    data = (tmp_path / "user-rank0.jsonl").read_bytes()
    freed.mark([made])
    assert freed.punch_own(made, 0) == (2 << 20) - 4096
    after = (tmp_path / "user-rank0.jsonl").read_bytes()
    assert after[(2 << 20) - 64 :] == data[(2 << 20) - 64 :]
    assert not any(after[: (2 << 20) - 4096])
    assert (tmp_path / "user-rank0.jsonl").stat().st_blocks * 512 < 2 << 20
    made.segments[0].close()


def test_files_of_a_container_are_left_to_the_rider(tmp_path: Path) -> None:
    """torchrun reads behind itself in them."""
    made = tail(tmp_path, "containers", "t", "0", "stdout.log", size=3 << 20, acked=3 << 20)
    freed.mark([made])
    assert freed.punch_own(made, 0) == 0
    made.segments[0].close()


def test_a_line_cut_by_a_kill_does_not_spoil_the_next(tmp_path: Path, folder: int) -> None:
    """The journal begins on a line of its own."""
    (tmp_path / "events.jsonl").write_bytes(b'{"ts": 1, "ty')
    Journal(folder, clock=lambda: 2.0).event("x", a=1)
    assert (tmp_path / "events.jsonl").read_bytes() == b'{"ts": 1, "ty\n{"ts":2.0,"type":"x","a":1}\n'


def test_the_same_warning_is_not_repeated(tmp_path: Path, folder: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither on the Run nor in the sidecar's log; another path is another warning."""
    journal = Journal(folder)
    for path in ("a", "a", "b"):
        journal.warn("Code", "what, to what, what to do", path=path)
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [(e["type"], e["code"], e["path"]) for e in events] == [("warning", "Code", "a"), ("warning", "Code", "b")]
    assert capsys.readouterr().err.count("Code") == 2


def test_network_is_summed_over_interfaces_but_loopback() -> None:
    """From the kernel's table."""
    table = (
        "Inter-|   Receive                                                |  Transmit\n"
        " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs\n"
        "    lo: 9999 9 0 0 0 0 0 0 9999 9 0 0 0 0 0 0\n"
        "  eth0: 1000 7 0 0 0 0 0 0 200 5 0 0 0 0 0 0\n"
        "  eth1:  50 1 0 0 0 0 0 0 5 1 0 0 0 0 0 0\n"
    )
    assert sampling.network(table) == {"network.recv": 1050.0, "network.sent": 205.0}


def test_a_sample_has_every_volume_that_can_be_seen(tmp_path: Path) -> None:
    """Keys by the trainer's own path; one that is gone is left out."""
    values = sampling.sample({"/outrider": str(tmp_path), "/gone": str(tmp_path / "gone")})
    assert 0 < values["disk./outrider.usagePercent"] <= 100
    assert values["disk./outrider.usageGB"] > 0
    assert not [key for key in values if "/gone" in key]
