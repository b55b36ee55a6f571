"""Space below what the collector has is given back; nothing the collector's file says can do harm."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.unit.rider.riding import Volume, python, settled, until

MIB = 1 << 20

# Writes 6 MiB to its stdout, 8 MiB to a rank's file and 2 MiB beside it, says so, and waits.
WRITER = f"""
import os, sys
log = os.environ['PET_LOG_DIR'] + '/none_ab/attempt_0/0'
os.makedirs(log)
block = bytes(i % 251 for i in range({MIB}))
with open(log + '/stdout.log', 'wb') as rank: [rank.write(block) for _ in range(8)]
with open(log + '/other.log', 'wb') as other: [other.write(block) for _ in range(2)]
for _ in range(6): sys.stdout.buffer.write(block)
sys.stdout.flush()
sys.stdin.read()
"""
RANK_FILE = "torch/none_ab/attempt_0/0/stdout.log"


@pytest.fixture
def written(volume: Volume) -> Volume:
    """A container that wrote its data and runs on."""
    probe = volume.root / "probe"
    probe.write_bytes(b"x" * 8192)
    done = subprocess.run(
        ["fallocate", "--punch-hole", "-o", "0", "-l", "4096", str(probe)], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"this file system punches no holes: {done.stderr.decode().strip()}")
    volume.popen(python(WRITER), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    until(
        lambda: (volume.start() / "stdout.log").exists() and (volume.start() / "stdout.log").stat().st_size == 6 * MIB,
        "the output",
    )
    return volume


def on_disk(path: Path) -> int:
    return path.stat().st_blocks * 512


def test_holes_below_the_offset_and_bytes_above_intact(written: Volume) -> None:
    own, rank = written.start() / "stdout.log", written.start() / RANK_FILE
    whole_own, whole_rank = own.read_bytes(), rank.read_bytes()
    written.free(b"%d stdout.log\n%d %s\n" % (5 * MIB + 100, 7 * MIB, RANK_FILE.encode()))
    until(lambda: on_disk(own) <= MIB + 8192, "our own file shrinks to what is not acknowledged")
    # torchrun's own reader may be 4 MiB behind.
    until(lambda: on_disk(rank) <= 5 * MIB + 8192, "the rank's file shrinks")
    assert (own.stat().st_size, rank.stat().st_size) == (6 * MIB, 8 * MIB)
    assert own.read_bytes()[5 * MIB + 100 :] == whole_own[5 * MIB + 100 :]
    assert own.read_bytes()[: 5 * MIB] == bytes(5 * MIB)
    assert rank.read_bytes()[3 * MIB :] == whole_rank[3 * MIB :]
    assert rank.read_bytes()[: 3 * MIB] == bytes(3 * MIB)
    written.free(b"%d stdout.log\n%d %s\n" % (6 * MIB, 8 * MIB, RANK_FILE.encode()))
    until(lambda: on_disk(own) == 0, "the rest")
    until(lambda: on_disk(rank) <= 4 * MIB + 8192, "the rest of the rank's file but the margin")


def test_freed_bytes_make_room_below_the_cap(volume: Volume) -> None:
    code = """
import sys
sys.stdout.write('x' * 299999 + '\\n')
sys.stdout.flush()
sys.stdin.readline()
sys.stdout.write('y' * 299999 + '\\n')
"""
    process = volume.popen(
        python(code), env={"OUTRIDER_SPOOL_LIMIT": "400000"}, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    log = volume.start() / "stdout.log"
    until(lambda: log.exists() and log.stat().st_size == 300000, "the first half")
    volume.free(b"300000 stdout.log\n")
    until(lambda: on_disk(log) < 300000, "the offset was read")
    assert process.stdin
    process.stdin.write(b"\n")
    process.stdin.close()
    process.wait(timeout=20)
    assert log.stat().st_size == 600000
    assert volume.events("lost") == []


HOSTILE = [
    "5242880 ../../../victim",
    "5242880 ../0/stdout.log/../victim",
    "5242880 /etc/passwd",
    "5242880 torch/../../../../victim/stdout.log",
    "5242880 torch/link/stdout.log",
    "5242880 torch/none_ab/attempt_0/0/other.log",
    "5242880 torch/none_ab/attempt_0/0/linked/stdout.log",
    "5242880 torch//none_ab/attempt_0/0/stdout.log",
    "5242880 torch/hard/stdout.log",
    "5242880 events.jsonl",
    "99999999 stdout.log",
    "99999999 torch/none_ab/attempt_0/0/stdout.log",
    "99999999999999999999999999 stdout.log",
    "18446744073709551615 stdout.log",
    "-1 stdout.log",
    "0x500000 stdout.log",
    " 5242880 stdout.log",
    "5242880\tstdout.log",
    "5242880  stdout.log",
    "5242880",
    "5242880 ",
    "",
    "5242880 " + "a/" * 3000 + "stdout.log",
]


def test_hostile_lines_touch_nothing_and_the_good_one_still_counts(written: Volume) -> None:
    victim = written.root / "victim"
    victim.mkdir()
    data = b"v" * (6 * MIB)
    (victim / "stdout.log").write_bytes(data)
    (written.start() / "torch" / "link").symlink_to(victim)
    (written.start() / "torch" / "hard").mkdir()
    os.link(victim / "stdout.log", written.start() / "torch" / "hard" / "stdout.log")
    (written.start() / "torch/none_ab/attempt_0/0/linked").symlink_to(victim)
    own = written.start() / "stdout.log"
    files = [
        victim / "stdout.log",
        written.start() / RANK_FILE,
        written.start() / "torch/none_ab/attempt_0/0/other.log",
    ]
    before = [(on_disk(file), file.read_bytes()) for file in files]
    whole = own.read_bytes()
    written.free("\n".join([*HOSTILE, f"{MIB} stdout.log", ""]).encode())
    assert settled(lambda: on_disk(own) if on_disk(own) < 6 * MIB else 0) >= 5 * MIB
    assert own.read_bytes()[MIB:] == whole[MIB:]
    assert [(on_disk(file), file.read_bytes()) for file in files] == before


@pytest.mark.parametrize(
    "content",
    [b"\x00" * 100 + b"\n5242880 stdout.log\n", b"5242880 stdout.log", b"\xff\xfe\n" * 1000, b"1" * (2 << 20)],
)
def test_malformed_file_is_harmless(written: Volume, content: bytes) -> None:
    """Unfinished last lines and NULs are not trusted; afterwards a good file works."""
    own = written.start() / "stdout.log"
    before = on_disk(own)
    written.free(content)
    assert settled(lambda: on_disk(own), seconds=1.5) == before
    written.free(b"5242880 stdout.log\n")
    until(lambda: on_disk(own) < before, "the good file")


def test_freed_file_that_is_a_link_or_fifo_is_not_read(written: Volume) -> None:
    own = written.start() / "stdout.log"
    before = on_disk(own)
    place = written.root / "sidecar" / "freed" / "train.0"
    (written.root / "elsewhere").write_bytes(b"5242880 stdout.log\n")
    place.symlink_to(written.root / "elsewhere")
    assert settled(lambda: on_disk(own), seconds=1.5) == before
    place.unlink()
    os.mkfifo(place)
    assert settled(lambda: on_disk(own), seconds=1.5) == before
    place.unlink()
    written.free(b"5242880 stdout.log\n")
    until(lambda: on_disk(own) < before, "the good file")
