"""PID 1 of the sidecar: installs itself first, keeps the collector running, never goes before SIGTERM."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.unit.rider.riding import Volume, environment, python, until


@pytest.fixture
def empty(volume: Volume) -> Iterator[Volume]:
    """A volume as the kubelet makes it: nothing there, open to all."""
    for name in ("containers", "user", "sidecar", "bin"):
        shutil.rmtree(volume.root / name)
    yield volume
    (volume.root).chmod(0o777)


class Sidecar:
    """The rider from its image as the sidecar's first process."""

    def __init__(self, volume: Volume, binary: Path) -> None:
        self.volume, self.binary = volume, binary
        self.log = volume.root / "termination-log"
        self.log.touch()

    @property
    def env(self) -> dict[str, str]:
        return environment({"OUTRIDER_DIR": str(self.volume.root), "OUTRIDER_TERMINATION_LOG": str(self.log)})

    def supervise(self, *command: str, **options: Any) -> subprocess.Popen[bytes]:
        return self.volume.spawn(
            [str(self.binary), "supervise", "--", *command], env=self.env, stderr=subprocess.PIPE, **options
        )

    def wait(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([str(self.binary), "wait", *arguments], env=self.env, capture_output=True, check=False)

    def message(self) -> dict[str, Any]:
        words = self.log.read_bytes()
        assert len(words) <= 4096
        message: dict[str, Any] = json.loads(words)
        return message


@pytest.fixture
def sidecar(empty: Volume, binary: Path) -> Sidecar:
    return Sidecar(empty, binary)


def until_down(process: subprocess.Popen[bytes]) -> None:
    """Returns when the collector has ended and a long pause before its next start has begun."""
    assert process.stderr is not None
    while b"starting it again in 2.0 s" not in (line := process.stderr.readline()):
        assert line, "supervise ended without a word about its collector"


def state(pid: int) -> str:
    """The letter of proc(5): T for stopped, Z for a zombie."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def stop(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> bytes:
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    return err


def test_installs_itself_and_lays_out_the_volume(sidecar: Sidecar) -> None:
    process = sidecar.supervise("sleep", "60", umask=0o077)
    assert sidecar.wait().returncode == 0
    root = sidecar.volume.root
    assert (root / "bin" / "rider").read_bytes() == sidecar.binary.read_bytes()
    assert os.listdir(root / "bin") == ["rider"]
    modes = {
        name: stat.S_IMODE((root / name).stat().st_mode)
        for name in ("bin", "bin/rider", "containers", "user", "sidecar", "sidecar/freed")
    }
    assert modes == {
        "bin": 0o755,
        "bin/rider": 0o755,
        "containers": 0o1777,
        "user": 0o1777,
        "sidecar": 0o711,
        "sidecar/freed": 0o755,
    }
    stop(process)
    assert process.returncode == 0


def test_trainer_of_any_user_can_use_what_a_sidecar_of_another_user_installed(sidecar: Sidecar) -> None:
    sidecar.log.chmod(0o666)
    shutil.copy(sidecar.binary, sidecar.volume.root / "image")
    sidecar.binary = sidecar.volume.root / "image"
    sidecar.binary.chmod(0o755)
    sidecar.supervise("sleep", "60", user=65532, group=65532)
    assert sidecar.wait().returncode == 0
    done = subprocess.run(
        sidecar.volume.wrap(["echo", "hi"]), env=environment(), user=1000, group=1000, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"hi\n", b"")
    reader = subprocess.run(
        ["cat", str(sidecar.volume.start() / "stdout.log")], user=65532, group=65532, capture_output=True, check=True
    )
    assert reader.stdout == b"hi\n"


def test_installs_before_the_collector_starts(sidecar: Sidecar) -> None:
    process = sidecar.supervise("sh", "-c", "ls $OUTRIDER_DIR/bin > $OUTRIDER_DIR/seen; exec sleep 60")
    until(
        lambda: (sidecar.volume.root / "seen").exists() and (sidecar.volume.root / "seen").read_text() == "rider\n",
        "the collector looks",
    )
    stop(process)


def test_reinstalls_over_a_running_program(sidecar: Sidecar) -> None:
    """A sidecar that is started again must not fail on "text file busy", and the trainer keeps its old program."""
    stop_first = sidecar.supervise("sleep", "60")
    assert sidecar.wait().returncode == 0
    trainer = sidecar.volume.popen(["cat"], stdin=subprocess.PIPE)
    until(lambda: sidecar.volume.events("container.start"), "the trainer runs")
    stop(stop_first)
    first = (sidecar.volume.root / "bin" / "rider").stat().st_ino
    sidecar.supervise("sleep", "60")
    until(lambda: (sidecar.volume.root / "bin" / "rider").stat().st_ino != first, "a new file")
    out, _ = trainer.communicate(b"still here", timeout=20)
    assert out == b"still here"


def test_hook_waits_for_a_late_installation(sidecar: Sidecar) -> None:
    results: list[int] = []
    hook = threading.Thread(target=lambda: results.append(sidecar.wait().returncode))
    hook.start()
    (sidecar.volume.root / "bin").mkdir()
    unfinished = sidecar.volume.root / "bin" / "rider"
    unfinished.touch(mode=0o644)  # there, but not executable
    hook.join(0.2)
    assert results == []
    unfinished.unlink()
    sidecar.supervise("sleep", "60")
    hook.join(20)
    assert results == [0]


def test_racing_hooks_and_installers_never_see_half_a_program(sidecar: Sidecar) -> None:
    for _ in range(5):
        sidecar.supervise("sleep", "60")
    whole = sidecar.binary.read_bytes()
    assert sidecar.wait().returncode == 0
    for _ in range(200):
        assert (sidecar.volume.root / "bin" / "rider").read_bytes() == whole


def test_hook_fails_after_its_time_with_a_sentence(sidecar: Sidecar) -> None:
    began = time.monotonic()
    done = sidecar.wait("--timeout", "0.3")
    assert done.returncode == 1
    assert 0.3 <= time.monotonic() - began < 10  # what it waits without the option
    assert b"was not installed within 0.3 s" in done.stderr
    assert sidecar.wait("--timeout", "x").returncode == 2


def test_collector_is_started_again_with_growing_pauses(sidecar: Sidecar) -> None:
    stamps = sidecar.volume.root / "stamps"
    process = sidecar.supervise(
        *python(f"import time\nopen({str(stamps)!r}, 'a').write(f'{{time.time()}}\\n')\nraise SystemExit(3)")
    )
    until(lambda: stamps.exists() and len(stamps.read_text().split()) >= 4, "four starts")
    times = [float(word) for word in stamps.read_text().split()][:4]
    gaps = [b - a for a, b in pairwise(times)]
    assert gaps[0] >= 0.5
    assert gaps[1] >= 1.0
    assert gaps[2] >= 2.0
    assert process.poll() is None
    err = stop(process)
    assert process.returncode == 0
    assert b"the collector ended (exit code 3)" in err
    assert b"starting it again in 0.5 s" in err


def test_collector_that_cannot_be_run_does_not_end_the_sidecar(sidecar: Sidecar) -> None:
    process = sidecar.supervise("no-such-collector")
    assert process.stderr
    assert b"cannot run the collector no-such-collector" in process.stderr.readline()
    assert b"exit code 127" in process.stderr.readline()
    assert b"cannot run the collector" in process.stderr.readline()
    assert sidecar.wait().returncode == 0
    stop(process)
    assert process.returncode == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 7)])
def test_end_is_passed_on_and_waited_for(sidecar: Sidecar, number: int, code: int) -> None:
    script = f"""
import os, signal, sys, time
def end(*_):
    open(os.environ['OUTRIDER_TERMINATION_LOG'], 'w').write('{{"outrider":1,"unsentBytes":0}}')
    sys.exit({code})
signal.signal({int(number)}, end)
open(os.environ['OUTRIDER_DIR'] + '/ready', 'w')
while True: time.sleep(0.1)
"""
    process = sidecar.supervise(*python(script))
    until((sidecar.volume.root / "ready").exists, "the collector is ready")
    stop(process, number)
    assert process.returncode == 0
    assert sidecar.message() == {"outrider": 1, "unsentBytes": 0}


def test_last_words_of_a_collector_that_ends_at_once_are_kept(sidecar: Sidecar) -> None:
    """Supervise finds the signal to stop and its collector's end at the same time."""
    script = """
import os
open(os.environ['OUTRIDER_DIR'] + '/ready', 'w')
os.read(0, 1)
open(os.environ['OUTRIDER_TERMINATION_LOG'], 'w').write('{"outrider":1,"unsentBytes":0}')
"""
    process = sidecar.supervise(*python(script), stdin=subprocess.PIPE)
    until((sidecar.volume.root / "ready").exists, "the collector is ready")
    (collector,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.send_signal(signal.SIGSTOP)
    until(lambda: state(process.pid) == "T", "supervise stands still")
    assert process.stdin
    process.stdin.write(b"x")
    process.stdin.flush()
    until(lambda: state(int(collector)) == "Z", "the collector has ended")
    process.send_signal(signal.SIGTERM)
    stop(process, signal.SIGCONT)
    assert process.returncode == 0
    assert sidecar.message() == {"outrider": 1, "unsentBytes": 0}


def test_zombies_of_the_collector_are_reaped(sidecar: Sidecar) -> None:
    go = sidecar.volume.root / "go"
    orphan = "(until [ -e $0 ]; do sleep 0.01; done &) ; exec sleep 60"
    process = sidecar.supervise("sh", "-c", orphan, str(go))
    listing = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    until(lambda: len(listing.read_text().split()) == 2, "the orphan comes")
    go.touch()
    until(lambda: len(listing.read_text().split()) == 1, "the orphan is reaped")


def test_last_words_where_the_collector_was_down(sidecar: Sidecar) -> None:
    """What lies on the volume beyond the released offsets, by stream, largest first."""
    process = sidecar.supervise("no-such-collector")
    assert sidecar.wait().returncode == 0
    root = sidecar.volume.root
    start = root / "containers" / "train" / "0"
    rank = start / "torch" / "none_ab" / "attempt_0" / "1"
    rank.mkdir(parents=True)
    (start / "stdout.log").write_bytes(b"x" * 1000)
    (start / "samples.jsonl").write_bytes(b"x" * 50)
    (rank / "stderr.log").write_bytes(b"x" * 5000)
    (rank / "error.json").write_bytes(b"no stream")
    (root / "user" / "rank 3.jsonl").write_bytes(b"x" * 70)
    (root / "user" / "link.jsonl").symlink_to(start / "stdout.log")
    (root / "sidecar" / "freed" / "train.0").write_text(
        "900 stdout.log\n50 samples.jsonl\n4000 torch/none_ab/attempt_0/1/stderr.log\n"
    )
    until_down(process)
    stop(process)
    message = sidecar.message()
    assert message["outrider"] == 1
    assert message["unsentBytes"] == 100 + 1000 + 70
    assert message["streams"] == {
        "train/0/torch/none_ab/attempt_0/1/stderr": 1000,
        "train/0/stdout": 100,
        "user/rank%203": 70,
    }
    assert list(message["streams"].values()) == [1000, 100, 70]
    assert message["reason"].startswith("the collector was down when the pod ended")


def test_last_words_where_the_collector_said_none(sidecar: Sidecar) -> None:
    process = sidecar.supervise("sleep", "60")
    assert sidecar.wait().returncode == 0
    until(lambda: Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(), "the collector runs")
    stop(process)
    assert sidecar.message()["reason"].startswith("the collector ended without a last message")


def test_last_words_stay_below_four_kib_with_hostile_names(sidecar: Sidecar) -> None:
    process = sidecar.supervise("no-such-collector")
    assert sidecar.wait().returncode == 0
    user = sidecar.volume.root / "user"
    for n in range(60):
        (user / ('\x01"\n' * 12 + f"{n}.jsonl")).write_bytes(b"x" * (n + 1))
        (user / ("z" * 240 + f"{n}.jsonl")).write_bytes(b"x" * (n + 1))
    stop(process)
    message = sidecar.message()
    assert len(message["streams"]) == 20
    assert message["unsentBytes"] == 2 * sum(range(1, 61))


def test_volume_that_cannot_be_written_is_said_and_tried_again(sidecar: Sidecar) -> None:
    root = sidecar.volume.root
    (root / "bin").write_text("in the way")
    process = sidecar.supervise("sleep", "60")
    assert process.stderr
    line = process.stderr.readline()
    assert b"cannot install on" in line
    assert b"(bin)" in line
    assert sidecar.wait("--timeout", "0.1").returncode == 1
    (root / "bin").unlink()
    assert sidecar.wait().returncode == 0


def test_folder_that_was_replaced_by_a_link_is_not_followed(sidecar: Sidecar) -> None:
    elsewhere = sidecar.volume.root / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    (sidecar.volume.root / "containers").symlink_to(elsewhere)
    process = sidecar.supervise("sleep", "60")
    assert process.stderr
    assert b"(containers)" in process.stderr.readline()
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o700
