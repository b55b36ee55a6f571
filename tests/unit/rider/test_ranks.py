"""Ranks are the processes that say so; their ends are seen by the rider whoever their parent is."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.unit.rider.riding import Event, Volume, python, until

# A launcher: starts `count` ranks as torchrun does, each with its own environment and its output in a file of its own.
# What a rank does stands in BODY; the launcher reaps at once and prints when each ended.
LAUNCHER = """
import os, subprocess, sys, time
count, body, restart = int(sys.argv[1]), sys.argv[2], sys.argv[3]
folder = os.environ['PET_LOG_DIR'] + f'/none_ab/attempt_{restart}'
ranks = []
for local in range(count):
    os.makedirs(f'{folder}/{local}')
    env = os.environ | {
        'RANK': str(8 + local), 'LOCAL_RANK': str(local), 'WORLD_SIZE': '16', 'LOCAL_WORLD_SIZE': str(count),
        'GROUP_RANK': '1', 'TORCHELASTIC_RESTART_COUNT': restart, 'TORCHELASTIC_RUN_ID': 'none',
    }
    out, err = (open(f'{folder}/{local}/{name}.log', 'w') for name in ('stdout', 'stderr'))
    command = [sys.executable, '-I', '-S', '-c', body, '--api-key', 'hunter2']
    ranks.append(subprocess.Popen(command, env=env, stdout=out, stderr=err))
print('started', *[rank.pid for rank in ranks], flush=True)
for rank in ranks:
    rank.wait()
    print('ended', rank.pid, time.time(), flush=True)
"""

F_SETSIG = 10  # linux/fcntl.h; the module does not name it

WAIT_FOR_TERM = "import signal; signal.pause()"


def launcher(count: int, body: str, restart: int = 0) -> list[str]:
    return [*python(LAUNCHER), str(count), body, str(restart)]


def starts(volume: Volume, count: int) -> list[Event]:
    """The `rank.start` events once there are so many."""
    until(lambda: len(volume.events("rank.start")) >= count, f"{count} ranks are seen")
    return sorted(volume.events("rank.start"), key=lambda event: int(event["rank"]))


def has_workers(pid: int, count: int) -> bool:
    return len(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()) == count


def exit_of(volume: Volume, rank: int) -> Event:
    def found() -> list[Event]:
        return [event for event in volume.events("rank.exit") if event["rank"] == rank]

    (event,) = until(found, f"the end of rank {rank}")
    return event


def test_rank_start_says_who_and_where(volume: Volume) -> None:
    process = volume.popen(launcher(2, WAIT_FOR_TERM, restart=3))
    assert process.stdout
    pids = [int(word) for word in process.stdout.readline().split()[1:]]
    first, second = starts(volume, 2)
    assert first["ts"] == pytest.approx(time.time(), abs=30)
    assert {k: first[k] for k in first if k not in {"ts", "argv"}} == {
        "type": "rank.start",
        "container": "train",
        "start": 0,
        "pid": pids[0],
        "rank": 8,
        "localRank": 0,
        "worldSize": 16,
        "localWorldSize": 2,
        "groupRank": 1,
        "restart": 3,
        "launcherRunId": "none",
        "stdout": "torch/none_ab/attempt_3/0/stdout.log",
        "stderr": "torch/none_ab/attempt_3/0/stderr.log",
    }
    assert first["argv"][-2:] == ["--api-key", "***"]
    assert second["pid"] == pids[1]
    assert second["stderr"] == "torch/none_ab/attempt_3/1/stderr.log"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("raise SystemExit(3)", {"code": 3}),
        ("pass", {"code": 0}),
        ("import os; os.kill(os.getpid(), 9)", {"signal": 9}),
        ("import os; os.abort()", {"signal": 6}),
    ],
)
def test_end_of_a_rank_is_known_at_once_though_its_parent_reaps_it(
    volume: Volume, body: str, expected: dict[str, int]
) -> None:
    """The parent waits in waitpid, so the zombie is gone at once; Linux 6.15 keeps the status in the pidfd."""
    go = volume.root / "go"
    os.mkfifo(go)
    process = volume.popen(
        launcher(
            1, f"import resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); open({str(go)!r}).read()\n{body}"
        )
    )
    (start,) = starts(volume, 1)
    began = time.time()
    go.write_text("now")
    process.communicate(timeout=20)
    event = exit_of(volume, 8)
    known = {key: event[key] for key in ("code", "signal") if key in event}
    if tuple(map(int, os.uname().release.split(".")[:2])) < (6, 15) and not known:
        pytest.skip("Linux before 6.15 forgets the status when the parent reaps first")
    assert known == expected
    assert event["pid"] == start["pid"]
    assert event["oomKills"] == 0
    assert began <= event["ts"] <= time.time()


def test_end_of_a_rank_whose_parent_has_not_reaped_it(volume: Volume) -> None:
    """torchrun looks at its ranks only every 0.1 s: the zombie still has the status."""
    code = """
import os, subprocess, sys
body = 'import sys; sys.stdin.read(); raise SystemExit(7)'
pair = {'RANK': '0', 'LOCAL_RANK': '0'}
rank = subprocess.Popen([sys.executable, '-I', '-S', '-c', body], env=os.environ | pair)
import signal; signal.pause()
"""
    process = volume.popen(python(code), stdin=subprocess.PIPE)
    starts(volume, 1)
    assert process.stdin
    process.stdin.close()
    assert exit_of(volume, 0)["code"] == 7


def test_children_of_a_rank_are_no_ranks(volume: Volume) -> None:
    """Data loaders inherit RANK and LOCAL_RANK, through fork and through exec."""
    body = "import os, subprocess, signal\nsubprocess.Popen(['sleep', '60'])\nos.fork()\nsignal.pause()"
    volume.popen(launcher(2, body), env={"OUTRIDER_METRICS_INTERVAL": "0.3"})
    for rank in starts(volume, 2):
        until(partial(has_workers, rank["pid"], 2), "its two workers")
    until(lambda: len(volume.samples("container")) >= 2, "the sampler runs")
    before = len(volume.samples("container"))
    # Scans are 0.25 s apart: three more samples later a wrong one would have been reported.
    until(lambda: len(volume.samples("container")) >= before + 3, "more scans")
    assert [event["rank"] for event in sorted(volume.events("rank.start"), key=lambda e: int(e["rank"]))] == [8, 9]


def test_worker_that_outlives_its_rank_is_no_rank(volume: Volume) -> None:
    """It becomes the rider's child, whose environment has no pair."""
    body = "import os, signal, sys\nif os.fork() == 0:\n    os.fork()\n    signal.pause()\nsys.stdin.read()"
    process = volume.popen(launcher(1, body), stdin=subprocess.PIPE)
    starts(volume, 1)
    assert process.stdin
    process.stdin.close()
    process.wait(timeout=20)
    assert len(volume.events("rank.start")) == 1


def test_a_command_that_has_not_begun_is_no_rank_yet(volume: Volume) -> None:
    """Between fork and exec it is a copy of the rider, whose environment names the rank: the command is what counts."""
    program = volume.root / "program"
    shutil.copy(shutil.which("sleep") or "sleep", program)
    held = os.open(program, os.O_RDONLY)
    try:
        fcntl.fcntl(held, F_SETSIG, signal.SIGURG)  # which is ignored: the kernel says so that somebody wants the file
        fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_WRLCK)  # the exec waits until it is given back
        environment = {"RANK": "3", "LOCAL_RANK": "1", "OUTRIDER_METRICS_INTERVAL": "0.1"}
        process = volume.popen([str(program), "60"], env=environment)
        until(lambda: len(volume.samples("container")) > 10, "the rider has looked around several times")
        assert not volume.events("rank.start")
        fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    finally:
        os.close(held)
    (start,) = starts(volume, 1)
    assert start["argv"] == [str(program), "60"]
    assert (start["rank"], start["localRank"], start["pid"]) == (3, 1, volume.event("container.start")["pid"])
    assert (start["stdout"], start["stderr"]) == ("stdout.log", "stderr.log")
    process.kill()


def test_the_command_itself_may_be_the_rank(volume: Volume) -> None:
    env = {"RANK": "5", "LOCAL_RANK": "1", "WORLD_SIZE": "8"}
    process = volume.popen(python("import sys; sys.stdin.read(); sys.exit(4)"), env=env, stdin=subprocess.PIPE)
    (start,) = starts(volume, 1)
    assert (start["rank"], start["localRank"], start["worldSize"]) == (5, 1, 8)
    assert (start["stdout"], start["stderr"]) == ("stdout.log", "stderr.log")
    assert start["pid"] == volume.event("container.start")["pid"]
    until(lambda: volume.events("container.info"), "what else is said, which may come last of all")
    assert process.stdin
    process.stdin.close()
    process.wait(timeout=20)
    assert exit_of(volume, 5)["code"] == 4
    assert [event["type"] for event in volume.events()][-1] == "container.exit"


def test_rank_whose_output_is_shared_names_no_file(volume: Volume) -> None:
    code = """
import os, subprocess, signal
for i in '01':
    subprocess.Popen(['sleep', '60'], env=os.environ | {'RANK': i, 'LOCAL_RANK': i, 'LOCAL_WORLD_SIZE': '2'})
signal.pause()
"""
    volume.popen(python(code))
    for start in starts(volume, 2):
        assert "stdout" not in start
        assert "stderr" not in start


@pytest.mark.parametrize("value", ["", "x", "1.5", " 1", "99999999999999999999"])
def test_rank_that_is_no_integer_is_none(volume: Volume, value: str) -> None:
    """Other programs use the name RANK too."""
    done = volume.run(["sleep", "0.7"], env={"RANK": value, "LOCAL_RANK": "0"})
    assert done.code == 0
    assert volume.events("rank.start") == []


def test_many_ranks_that_end_together(volume: Volume) -> None:
    process = volume.popen(launcher(24, WAIT_FOR_TERM))
    for start in starts(volume, 24):
        os.kill(start["pid"], signal.SIGTERM if start["rank"] % 2 else signal.SIGKILL)
    process.communicate(timeout=20)
    ends = {event["rank"]: event for event in volume.events("rank.exit")}
    assert sorted(ends) == list(range(8, 32))
    for rank, event in ends.items():
        assert event.get("signal") == (15 if rank % 2 else 9)


def test_rank_whose_launcher_died_ends_as_a_child_of_the_rider(volume: Volume) -> None:
    """The rider reaps it, and so has its status first hand."""
    for name in ("rank", "launcher", "command"):
        os.mkfifo(volume.root / name)
    rank = "RANK=0 LOCAL_RANK=0 sh -c 'read x < rank; exit 6'"
    process = volume.popen(
        ["sh", "-c", f'sh -c "{rank} & read x < launcher" & wait; read x < command'], cwd=volume.root
    )
    (start,) = starts(volume, 1)
    (volume.root / "launcher").write_text("go\n")
    until(
        lambda: int(Path(f"/proc/{start['pid']}/stat").read_text().rsplit(")", 1)[1].split()[1]) == process.pid,
        "a new parent",
    )
    (volume.root / "rank").write_text("go\n")
    assert exit_of(volume, 0)["code"] == 6
    assert process.poll() is None
    (volume.root / "command").write_text("go\n")
    assert process.wait(timeout=20) == 0


# ---------------------------------------------------------------- out of memory
@pytest.fixture
def memory_group() -> Iterator[Path]:
    """A memory cgroup of 64 MiB, version 1 or 2, whichever is mounted."""
    parent = Path("/sys/fs/cgroup/memory") if Path("/sys/fs/cgroup/memory").is_dir() else Path("/sys/fs/cgroup")
    group = parent / f"outrider-test-{os.getpid()}-{time.monotonic_ns()}"
    try:
        group.mkdir()
        limit = group / ("memory.limit_in_bytes" if (group / "memory.limit_in_bytes").exists() else "memory.max")
        limit.write_text(str(64 << 20))
    except OSError as error:
        pytest.skip(f"cannot make a memory cgroup here: {error}")
    yield group
    until(lambda: not (group / "cgroup.procs").read_text(), "the group is empty")
    group.rmdir()


def test_oom_kill_of_a_rank_is_counted(volume: Volume, memory_group: Path) -> None:
    go = volume.root / "go"
    os.mkfifo(go)
    body = f"open({str(go)!r}).read()\nopen('/proc/self/oom_score_adj', 'w').write('1000')\nb = bytearray(200 << 20)"
    process = volume.spawn(
        ["sh", "-c", f'echo $$ > {memory_group}/cgroup.procs; exec "$@"', "-", *volume.wrap(launcher(1, body))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={k: v for k, v in os.environ.items() if k not in {"RANK", "LOCAL_RANK"}}
        | {"OUTRIDER_METRICS_INTERVAL": "0.2"},
    )
    starts(volume, 1)
    until(lambda: volume.events("container.info"), "the record of the container")
    go.write_text("now")
    process.communicate(timeout=30)
    event = exit_of(volume, 8)
    assert (event["signal"], event["oomKills"]) == (9, 1)
    # Counted once: the container's end reports what is new since then.
    assert volume.event("container.exit")["oomKills"] == 0
    last = volume.samples("container")[-1]["m"]
    assert last["container.oomKills"] == 1
    assert last["container.memory.limitMB"] == 64
    assert 40 < last["container.memory.peakMB"] <= 64
    assert volume.event("container.info")["cgroup"]["memoryLimitBytes"] == 64 << 20
