"""samples.jsonl: keys and units of the protocol, against what the kernel says at the same time."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from tests.unit.rider.riding import Event, Volume, python, until

RANK = {"RANK": "2", "LOCAL_RANK": "0", "OUTRIDER_METRICS_INTERVAL": "0.2"}


def test_rank_samples_have_the_kernel_s_numbers(volume: Volume) -> None:
    code = "b = bytearray(b'x') * (50 << 20)\nwhile True: pass"
    process = volume.popen(python(code), env=RANK)

    def matching() -> list[Event]:
        """The newest samples whose memory is what the kernel says now; it stops growing after a moment."""
        newest = volume.samples("rank")[-1:]
        status = Path(f"/proc/{volume.event('container.start')['pid']}/status").read_text() if newest else ""
        resident = int(status.split("VmRSS:")[1].split()[0]) / 1024 if newest else 0
        return [s for s in newest if s["m"]["proc.memory.rssMB"] == round(resident, 6) > 50]

    (sample,) = until(matching, "a sample with the memory")
    assert sample["m"]["proc.cpu.threads"] == 1
    assert {
        "rank": 2,
        "localRank": 0,
        "container": "train",
        "pid": volume.event("container.start")["pid"],
    }.items() <= sample.items()
    # A rider that is held up between its clock and the kernel's counters tells too much once, not again and again.
    until(lambda: [s for s in volume.samples("rank") if 5 < s["m"].get("cpu", 0) < 130], "a busy core")
    process.kill()


def test_rank_samples_count_io(volume: Volume) -> None:
    target = volume.root / "written"
    code = f"""
import os, signal
fd = os.open({str(target)!r}, os.O_WRONLY | os.O_CREAT)
os.write(fd, b'x' * (3 << 20))
os.fsync(fd)
print('written')
signal.pause()
"""
    process = volume.popen(python(code), env=RANK)
    assert process.stdout
    assert process.stdout.readline() == b"written\n"
    pid = volume.event("container.start")["pid"]
    counted = int(Path(f"/proc/{pid}/io").read_text().split("\nwrite_bytes: ")[1].split()[0])
    until(
        lambda: [s for s in volume.samples("rank") if s["m"].get("proc.io.writtenMB") == round(counted / (1 << 20), 6)],
        f"{counted} bytes written",
    )


def test_container_is_sampled_even_if_it_ends_before_the_interval(volume: Volume) -> None:
    volume.run(["true"])
    (sample,) = volume.samples("container")
    assert sample["container"] == "train"
    assert sample["m"]["container.memory.usedMB"] > 0
    assert sample["m"]["container.memory.peakMB"] >= sample["m"]["container.memory.usedMB"]
    assert sample["m"]["container.cpu"] >= 0


def test_interval_is_kept(volume: Volume) -> None:
    began = time.time()
    process = volume.popen(["sleep", "60"], env={"OUTRIDER_METRICS_INTERVAL": "0.3"})
    samples = until(lambda: (found := volume.samples("container"))[4:] and found, "five samples")
    # A busy machine may stamp any of them late, so from the start on: five intervals, never less.
    assert 1.4 < samples[4]["ts"] - began < 15
    process.kill()


def test_wrong_interval_means_the_default(volume: Volume) -> None:
    for value in ("0", "-1", "x", "", "nan"):
        assert volume.run(["sleep", "0.3"], env={"OUTRIDER_METRICS_INTERVAL": value}).code == 0
    assert [len((volume.start(n) / "samples.jsonl").read_bytes().splitlines()) for n in range(5)] == [1] * 5


def test_samples_stop_at_their_own_cap_and_the_loss_is_counted(volume: Volume) -> None:
    process = volume.popen(["sleep", "60"], env={"OUTRIDER_METRICS_INTERVAL": "0.1", "OUTRIDER_SPOOL_LIMIT": "700"})
    until(lambda: [e for e in volume.events("lost") if e["path"] == "samples.jsonl"], "a loss")
    assert (volume.start() / "samples.jsonl").stat().st_size <= 700
    process.kill()


def test_cost_of_an_idle_command_is_small(volume: Volume) -> None:
    """CPU of the rider itself over three seconds of nothing: below one percent of a core, and few wake-ups."""
    process = volume.popen(["sleep", "60"])
    until(lambda: volume.events("container.info"), "the start is over")

    def spent() -> tuple[int, int]:
        stat = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        switches = Path(f"/proc/{process.pid}/status").read_text()
        return int(stat[11]) + int(stat[12]), int(switches.split("\nvoluntary_ctxt_switches:")[1].split()[0])

    began = time.monotonic()
    ticks, switches = spent()
    subprocess.run(["sleep", "3"], check=True)
    later_ticks, later_switches = spent()
    seconds = time.monotonic() - began  # a busy machine makes more of three
    assert (later_ticks - ticks) / os.sysconf("SC_CLK_TCK") / seconds < 0.05
    assert (later_switches - switches) / seconds < 10
