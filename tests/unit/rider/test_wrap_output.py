"""What a command writes reaches its container's log and the files, byte for byte, whatever happens to either."""

from __future__ import annotations

import hashlib
import os
import shlex
import socket
import stat
import subprocess
from collections.abc import Iterator

import pytest

from tests.unit.rider.riding import Volume, environment, python, settled, until


@pytest.fixture
def small(volume: Volume) -> Iterator[Volume]:
    """A volume of 1 MiB for the containers."""
    target = volume.root / "containers"
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m,mode=1777", "tmpfs", str(target)], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"cannot mount a tmpfs here: {done.stderr.decode().strip()}")
    yield volume
    subprocess.run(["umount", "-l", str(target)], check=True)


def test_a_hundred_thousand_lines_are_the_same_everywhere(volume: Volume) -> None:
    code = """
import sys
for i in range(100000): sys.stdout.write(f'line {i} ' + 'x' * (i % 97) + '\\n')
sys.stderr.write('e' * 300000)
"""
    done = volume.run(python(code))
    expected = b"".join(b"line %d %s\n" % (i, b"x" * (i % 97)) for i in range(100000))
    assert done.out == expected
    assert (volume.start() / "stdout.log").read_bytes() == expected
    assert done.err == b"e" * 300000 == (volume.start() / "stderr.log").read_bytes()
    assert volume.events("lost") == []


def test_any_bytes_pass(volume: Volume) -> None:
    data = bytes(range(256)) * 300 + b"\r 10%\r 20%\r\n\x1b[31m[outrider\n[outrider:\n[default0] no newline at the end"
    file = volume.root / "data"
    file.write_bytes(data)
    assert volume.run(["cat", str(file)]).out == data
    assert (volume.start() / "stdout.log").read_bytes() == data


def test_an_unfinished_line_is_passed_on_at_once(volume: Volume) -> None:
    process = volume.popen(["sh", "-c", "printf '['; read answer; echo ok]"], stdin=subprocess.PIPE)
    assert process.stdin
    assert process.stdout
    assert os.read(process.stdout.fileno(), 10) == b"["
    process.stdin.write(b"go\n")
    process.stdin.close()
    assert process.stdout.read() == b"ok]\n"


def test_full_volume_stops_the_files_but_neither_the_command_nor_its_output(small: Volume) -> None:
    code = "for i in range(60000): print(f'line {i:06} ' + 'x' * 40)"
    done = small.run(python(code))
    expected = b"".join(b"line %06d %s\n" % (i, b"x" * 40) for i in range(60000))
    assert done.code == 0
    assert done.out == expected
    kept = (small.start() / "stdout.log").read_bytes()
    lost = sum(event["bytes"] for event in small.events("lost") if event["path"] == "stdout.log")
    assert 0 < len(kept) < 1 << 20
    assert expected.startswith(kept)
    assert len(kept) + lost == len(expected)
    assert small.events("lost")[0]["reason"] == "No space left on device"
    assert small.events("lost")[0]["offset"] == len(kept)
    # The records were written although nothing else fits.
    assert small.event("container.exit")["code"] == 0


def test_small_volume_gets_no_torchrun_files_and_a_warning(small: Volume) -> None:
    assert small.run(["sh", "-c", "env | grep PET_"]).out == b""
    assert small.event("warning")["code"] == "LittleSpace"


def filled(volume: Volume) -> str:
    """The beginning of a program: the volume is full but for 16 KiB, until it calls `make_room`."""
    filler = str(volume.root / "containers" / "filler")
    return f"""
import os, time
fd = os.open({filler!r}, os.O_WRONLY | os.O_CREAT)
try:
    while True: os.write(fd, b'x' * 4096)
except OSError: os.truncate(fd, os.fstat(fd).st_size - 16384)
def make_room():
    os.unlink({filler!r}); os.close(fd)
"""


def test_after_a_full_volume_the_file_goes_on_with_whole_lines(small: Volume) -> None:
    """Room comes back: the torn line is ended, and the next whole line follows."""
    code = f"""
{filled(small)}
end = time.monotonic() + 15
print('y' * 200000)
make_room()
n = 0
while time.monotonic() < end and not os.path.exists({str(small.root / "stop")!r}):
    os.write(1, b'after %d\\n' % n); n += 1
    time.sleep(.02)
"""
    process = small.popen(python(code), stdout=subprocess.DEVNULL)
    log = small.start() / "stdout.log"
    until(lambda: log.exists() and b"after" in log.read_bytes(), "lines after the gap")
    (small.root / "stop").touch()
    process.communicate(timeout=20)
    lines = log.read_bytes().split(b"\n")
    assert set(lines[0]) == {ord("y")}
    numbers = [int(line.removeprefix(b"after ")) for line in lines[1:-1]]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert small.events("lost")


def test_a_torn_line_stays_alone_however_seldom_there_are_others(small: Volume) -> None:
    """Lines that come one at a time: the first while the volume is full, the next when there is room again."""
    code = f"""
{filled(small)}
os.write(1, b'y' * 200000 + b'\\n')
time.sleep(1.3)  # longer than the rider waits until it tries again
os.write(1, b'while it is full\\n')
time.sleep(.3)
make_room()
for n in range(30):
    os.write(1, b'after %d\\n' % n)
    time.sleep(.1)
"""
    assert small.run(python(code)).code == 0
    torn, *lines, rest = (small.start() / "stdout.log").read_bytes().split(b"\n")
    assert set(torn) == {ord("y")}
    assert lines == [b"after %d" % n for n in range(30)][30 - len(lines) :]
    assert lines
    assert rest == b""


@pytest.mark.parametrize("where", ["missing/deeper", "file/train"])
def test_no_folder_means_no_files_and_one_sentence(volume: Volume, where: str) -> None:
    (volume.root / "file").touch()
    done = subprocess.run(
        [volume.rider, "wrap", str(volume.root / where), "--", "sh", "-c", "echo out; exit 3"],
        env=environment(),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (3, b"out\n")
    assert done.stderr.count(b"\n") == 1
    assert b"The command runs all the same" in done.stderr


def test_unwritable_folder_for_another_user(volume: Volume) -> None:
    (volume.root / "containers").chmod(0o755)
    done = subprocess.run(
        volume.wrap(["sh", "-c", "echo out; id -u; exit 3"]),
        env=environment(),
        user=1000,
        group=1000,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (3, b"out\n1000\n")
    assert b"Permission denied" in done.stderr


@pytest.mark.parametrize("group", [65532, 1000], ids=["of another group", "of the files' group, as with an fsGroup"])
def test_files_of_uid_1000_with_a_narrow_umask_can_be_read_by_another_user(volume: Volume, group: int) -> None:
    """Also torchrun's: its folder is 0700 and its files 0600 under this umask."""
    script = """
launch=$(mktemp -d "$PET_LOG_DIR/none_XXXXXX") && mkdir -p $launch/attempt_0/0 || exit 1
for name in stdout stderr; do printf $name > $launch/attempt_0/0/$name.log; done
echo made
read wait
"""
    process = volume.popen(["sh", "-c", script], stdin=subprocess.PIPE, user=1000, group=1000, umask=0o077)
    assert process.stdout
    assert process.stdout.readline() == b"made\n"
    start = volume.start()

    def readable() -> bool:
        paths = [start, start / "torch", *start.glob("torch/**/*")]
        return len(paths) == 7 and all(p.stat().st_mode & (0o001 if p.is_dir() else 0o004) for p in paths)

    until(readable, "torchrun's files are opened while it runs")
    reader = subprocess.run(
        ["sh", "-c", f"cat {start}/stdout.log {start}/torch/none_*/attempt_0/0/*.log"],
        user=65532,
        group=group,
        capture_output=True,
        check=True,
    )
    assert reader.stdout == b"made\nstderrstdout"
    process.communicate(timeout=20)
    assert all(
        stat.S_IMODE((start / name).stat().st_mode) == 0o644
        for name in ("stdout.log", "stderr.log", "events.jsonl", "samples.jsonl")
    )


def test_torchrun_links_are_not_followed(volume: Volume) -> None:
    """A link in place of a folder or file leaves its target's mode alone."""
    secret = volume.root / "secret"
    secret.mkdir(mode=0o700)
    (secret / "file").touch(mode=0o600)
    code = f"""
import os
log = os.environ['PET_LOG_DIR']
os.symlink({str(secret)!r}, log + '/linked')
os.makedirs(log + '/none_a/attempt_0/0')
os.symlink({str(secret / "file")!r}, log + '/none_a/attempt_0/0/stdout.log')
os.link({str(secret / "file")!r}, log + '/none_a/attempt_0/0/stderr.log')
"""
    assert volume.run(python(code)).code == 0
    assert stat.S_IMODE(secret.stat().st_mode) == 0o700
    assert stat.S_IMODE((secret / "file").stat().st_mode) == 0o600


def test_slow_reader_holds_the_command_as_its_own_pipe_would_and_loses_nothing(volume: Volume) -> None:
    """The rider takes in no more than its buffers while nobody reads, and the other stream goes on."""
    code = "import sys\nfor i in range(3000): print(f'{i:06}' + 'x' * 993)\nprint('done', file=sys.stderr)"
    process = volume.popen(python(code))
    log = volume.start() / "stdout.log"
    assert settled(lambda: log.stat().st_size if log.exists() else 0) < 600_000
    out, err = process.communicate(timeout=30)
    assert out == b"".join(b"%06d%s\n" % (i, b"x" * 993) for i in range(3000))
    assert err == b"done\n"


def test_reader_that_leaves_does_not_stop_the_command(volume: Volume) -> None:
    code = "import sys\nfor i in range(20000): print(f'line {i}')\nsys.exit(5)"
    process = volume.popen(python(code), stderr=subprocess.DEVNULL)
    assert process.stdout
    process.stdout.close()
    assert process.wait(timeout=30) == 5
    assert (volume.start() / "stdout.log").read_bytes() == b"".join(b"line %d\n" % i for i in range(20000))
    assert {event["code"] for event in volume.events("warning")} == {"ConsoleLost"}


def test_console_may_be_a_socket_a_file_or_closed(volume: Volume) -> None:
    code = "for i in range(5000): print(f'line {i}')"
    expected = b"".join(b"line %d\n" % i for i in range(5000))
    ours, its = socket.socketpair()
    with ours, its:
        process = volume.popen(python(code), stdout=its)
        its.close()
        got = b""
        while chunk := ours.recv(65536):
            got += chunk
        process.communicate(timeout=20)
    assert got == expected
    file = volume.root / "console"
    with file.open("wb") as stream:
        volume.popen(python(code), stdout=stream).communicate(timeout=20)
    assert file.read_bytes() == expected
    command = shlex.join(volume.wrap(["echo", "hello"]))
    subprocess.run(["sh", "-c", f"exec {command} >&-"], env=environment(), check=True)
    assert (volume.start(2) / "stdout.log").read_bytes() == b"hello\n"


def test_caller_s_stdout_stays_a_blocking_file(volume: Volume) -> None:
    """O_NONBLOCK on a shared open file would break whoever shares it."""
    script = shlex.join(volume.wrap(["echo", "hello"])) + "; cat /proc/self/fdinfo/1"
    done = subprocess.run(["sh", "-c", script], env=environment(), capture_output=True, check=True)
    flags = int(done.stdout.split(b"flags:\t")[1].split()[0], 8)
    assert not flags & os.O_NONBLOCK


def test_cap_bounds_what_waits_for_a_collector_that_is_away(volume: Volume) -> None:
    done = volume.run(python("for i in range(20000): print('z' * 99)"), env={"OUTRIDER_SPOOL_LIMIT": "500000"})
    assert len(done.out) == 2_000_000
    kept = (volume.start() / "stdout.log").stat().st_size
    assert kept == 500_000
    lost = volume.events("lost")  # told every five seconds
    assert sum(event["bytes"] for event in lost) == 1_500_000
    assert all("cap" in event["reason"] for event in lost)


def test_file_size_limit_of_the_container_is_a_loss_not_an_end(volume: Volume) -> None:
    command = shlex.join(volume.wrap(python("print('q' * 2000000)")))
    done = subprocess.run(
        ["bash", "-c", f"ulimit -f 1000; exec {command}"], env=environment(), capture_output=True, check=False
    )
    assert done.returncode == 0
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(b"q" * 2000000 + b"\n").digest()
    assert volume.events("lost")[0]["reason"] == "File too large"


def test_log_that_someone_put_there_as_a_link_is_not_written(volume: Volume) -> None:
    """The start folder is always new, so nothing of another's can stand in it."""
    target = volume.root / "target"
    target.write_bytes(b"precious")
    (volume.start() / "..").resolve().mkdir(parents=True, exist_ok=True)
    volume.start().symlink_to(volume.root)
    assert volume.run(["echo", "hi"]).code == 0
    assert target.read_bytes() == b"precious"
    assert (volume.start(1) / "stdout.log").read_bytes() == b"hi\n"
