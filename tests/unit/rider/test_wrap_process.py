"""The wrapped command keeps its exit code, its signals and its surroundings."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.unit.rider.riding import Volume, environment, python, until

AS_PID_1 = ["unshare", "--pid", "--fork", "--mount-proc"]


def pid_namespaces() -> str | None:
    """Why a PID namespace cannot be made here, None if it can."""
    done = subprocess.run([*AS_PID_1, "true"], capture_output=True, check=False)
    return None if done.returncode == 0 else f"unshare: {done.stderr.decode().strip()}"


_REASON = pid_namespaces()
needs_pid_1 = pytest.mark.skipif(_REASON is not None, reason=str(_REASON))


@pytest.mark.parametrize("code", [0, 1, 3, 127, 255])
def test_exit_code_is_kept_and_recorded(volume: Volume, code: int) -> None:
    assert volume.run(["sh", "-c", f"exit {code}"]).code == code
    assert volume.event("container.exit")["code"] == code
    assert "signal" not in volume.event("container.exit")


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGABRT, signal.SIGUSR1, signal.SIGHUP]
)
def test_signal_that_killed_the_command_kills_the_rider_too(volume: Volume, number: signal.Signals) -> None:
    # What began the tests may ignore a signal, as nohup does, and who is started inherits that.
    done = volume.run(["sh", "-c", f"ulimit -c 0; kill -{number.value} $$"], prefix=["env", "--default-signal"])
    assert done.code == -number
    assert volume.event("container.exit")["signal"] == number
    assert "code" not in volume.event("container.exit")


@needs_pid_1
@pytest.mark.parametrize(
    ("script", "code"), [("exit 5", 5), ("kill -9 $$", 137), ("kill -15 $$", 143), ("kill -11 $$", 139)]
)
def test_as_pid_1_a_signal_becomes_128_and_its_number(volume: Volume, script: str, code: int) -> None:
    assert volume.run(["sh", "-c", script], prefix=AS_PID_1).code == code


def ends_with(code: int, number: int) -> str:
    """A script that a signal ends with this code.

    It waits in turns: a signal that comes just before a wait begins is seen only after it.
    """
    return f"""
import signal, sys, time
signal.signal({number}, lambda *_: sys.exit({code}))
print('ready')
while True: time.sleep(0.1)
"""


def test_sigterm_reaches_the_command_whose_own_exit_code_counts(volume: Volume) -> None:
    process = volume.popen(python(ends_with(9, signal.SIGTERM)))
    assert process.stdout
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 9


@needs_pid_1
def test_sigterm_to_pid_1_reaches_the_command(volume: Volume) -> None:
    command = [*AS_PID_1, *volume.wrap(python(ends_with(9, signal.SIGTERM)))]
    outside = volume.spawn(command, env=environment(), stdout=subprocess.PIPE)
    assert outside.stdout
    assert outside.stdout.readline() == b"ready\n"
    children = Path(f"/proc/{outside.pid}/task/{outside.pid}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGTERM)
    assert outside.wait(timeout=20) == 9


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGHUP, signal.SIGUSR2, signal.SIGQUIT, signal.SIGWINCH, signal.SIGRTMIN + 3]
)
def test_other_signals_are_passed_on(volume: Volume, number: int) -> None:
    process = volume.popen(python(ends_with(11, number)))
    assert process.stdout
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode == 11


def test_signals_ignored_from_outside_stay_ignored_and_none_is_blocked(volume: Volume) -> None:
    done = volume.run(
        ["grep", "-E", "SigBlk|SigIgn", "/proc/self/status"], prefix=["sh", "-c", "trap '' HUP; exec \"$@\"", "-"]
    )
    plain = subprocess.run(
        ["sh", "-c", "trap '' HUP; exec grep -E 'SigBlk|SigIgn' /proc/self/status"], capture_output=True, check=True
    )
    assert done.out == plain.stdout


def test_missing_command_is_127_and_says_what_to_do(volume: Volume) -> None:
    done = volume.run(["no-such-program-here"])
    assert done.code == 127
    assert b"cannot run no-such-program-here: not found" in done.err
    assert b"Check the container's command" in done.err


def test_command_that_is_no_program_is_126(volume: Volume) -> None:
    file = volume.root / "plain"
    file.write_text("no program")
    file.chmod(0o644)
    done = volume.run([str(file)])
    assert done.code == 126
    assert b"Permission denied" in done.err


def test_missing_interpreter_of_a_script_is_127(volume: Volume) -> None:
    file = volume.root / "script"
    file.write_text("#!/no/such/interpreter\n")
    file.chmod(0o755)
    assert volume.run([str(file)]).code == 127


def test_rider_ends_with_the_command_though_a_grandchild_holds_the_pipe(volume: Volume) -> None:
    held, release = os.pipe()
    code = f"""
import os, sys
if os.fork() == 0:
    os.close({release})
    os.write(1, b'grandchild\\n')
    os.read({held}, 1)  # until the test lets go
    os._exit(0)
os.write(1, b'parent\\n')
sys.exit(4)
"""
    try:
        process = volume.popen(python(code), pass_fds=(held, release))
        out, _ = process.communicate(timeout=20)
    finally:
        os.close(release)
        os.close(held)
    assert process.returncode == 4
    assert b"parent\n" in out
    assert b"parent\n" in (volume.start() / "stdout.log").read_bytes()


def test_rider_ends_with_the_command_though_a_grandchild_never_stops_writing(volume: Volume) -> None:
    writes = "yes & echo $! > pid; until [ -s $0 ]; do sleep 0.01; done; exit 6"
    done = volume.run(["sh", "-c", writes, str(volume.start() / "stdout.log")], cwd=volume.root)
    assert done.code == 6
    assert done.out.startswith(b"y\n")
    pid = int((volume.root / "pid").read_text())
    until(lambda: not Path(f"/proc/{pid}").exists(), "the writer dies of its closed pipe")


@needs_pid_1
def test_orphans_are_reaped(volume: Volume) -> None:
    """Fifty orphans that ended leave no zombie beside the command."""
    script = """
for i in $(seq 50); do (true &) ; done
for i in $(seq 100); do
  n=$(cat /proc/[0-9]*/stat 2>/dev/null | awk '$3 == "Z"' | wc -l)
  [ $n = 0 ] && break
  sleep 0.1
done
echo $n"""
    assert volume.run(["sh", "-c", script], prefix=AS_PID_1).out.strip() == b"0"


def test_command_dies_with_a_killed_rider(volume: Volume) -> None:
    process = volume.popen(["sh", "-c", "echo $$; exec sleep 100"])
    assert process.stdout
    pid = int(process.stdout.readline())
    process.kill()
    process.communicate(timeout=20)
    until(lambda: not Path(f"/proc/{pid}").exists(), "the command dies")


def test_nothing_else_is_changed_for_the_command(volume: Volume) -> None:
    """Open files, umask and working folder are the caller's; of the environment only torchrun's three are new."""
    code = """
import os
print(sorted(os.listdir('/proc/self/fd')))
print(oct(os.umask(0)), os.getcwd())
print(sorted(os.environ.items()))
"""
    command = ["sh", "-c", 'umask 027; exec "$@"', "-"]
    plain = subprocess.run(
        [*command, *python(code)], env=environment(), cwd="/", stdin=subprocess.DEVNULL, capture_output=True, check=True
    ).stdout
    wrapped = volume.run(python(code), prefix=command, cwd=Path("/")).out
    torch = {
        "PET_LOG_DIR": str(volume.start() / "torch"),
        "PET_TEE": "3",
        "TORCHELASTIC_LOG_LINE_PREFIX_TEMPLATE": "[outrider:${rank}]:",
    }
    expected = plain.decode().splitlines()
    got = wrapped.decode().splitlines()
    assert got[:2] == expected[:2]
    assert dict(eval(got[2])) == dict(eval(expected[2])) | torch


@pytest.mark.parametrize("name", ["PET_LOG_DIR", "PET_TEE", "PET_REDIRECTS", "TORCHELASTIC_LOG_LINE_PREFIX_TEMPLATE"])
def test_torchrun_is_told_nothing_where_the_user_set_one_of_its_variables(volume: Volume, name: str) -> None:
    done = volume.run(["sh", "-c", "env | grep -E '^(PET|TORCHELASTIC)_' | sort"], env={name: "mine"})
    assert done.out == f"{name}=mine\n".encode()


def test_torchrun_is_told_nothing_where_only_wrapping_is_asked_for(volume: Volume) -> None:
    assert (
        volume.run(["sh", "-c", "env | grep -E '^(PET|TORCHELASTIC)_'"], env={"OUTRIDER_CAPTURE": "wrap-only"}).out
        == b""
    )


def test_each_start_gets_the_smallest_free_number(volume: Volume) -> None:
    for _ in range(3):
        volume.run(["true"])
    assert sorted(p.name for p in volume.start().parent.iterdir()) == ["0", "1", "2"]
    assert [volume.event("container.start", n)["start"] for n in range(3)] == [0, 1, 2]


def test_starts_at_the_same_time_get_different_folders(volume: Volume) -> None:
    processes = [volume.popen(["sh", "-c", "echo $$"]) for _ in range(12)]
    pids = {process.communicate(timeout=20)[0] for process in processes}
    found = {(volume.start(n) / "stdout.log").read_bytes() for n in range(12)}
    assert found == pids


def test_usage_is_said_for_a_wrong_call(volume: Volume) -> None:
    done = subprocess.run([volume.rider, "wrap", "/x"], capture_output=True, check=False)
    assert done.returncode == 2
    assert b"usage" in done.stderr
