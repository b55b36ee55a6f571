"""Files by rule: live ones when they rest, the others at the end, none through links, none twice."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.integration.sidecar.conftest import Pod, until
from tests.integration.sidecar.double import Double, RefusedError


@pytest.fixture
def work(pod: Pod, tmp_path: Path) -> Path:
    """A volume of the trainer at /work, which is its working directory by the rider's record."""
    work = tmp_path / "work"
    work.mkdir()
    containers = [{"name": "train", "capture": "wrap", "mounts": [{"path": "/work", "at": str(work)}]}]
    rules = [
        {"path": "checkpoints/**", "policy": "live"},
        {"path": "report.json", "policy": "end"},
        {"path": "/scratch/*.bin", "policy": "end"},
    ]
    pod.env |= {"OUTRIDER_CONTAINERS": json.dumps(containers), "OUTRIDER_FILES": json.dumps(rules)}
    start = {"type": "container.start", "container": "train", "start": 0, "cwd": "/work"}
    (pod.folder() / "events.jsonl").write_text(json.dumps(start) + "\n")
    return work


def contents(double: Double) -> dict[str, bytes]:
    source = double.sources.get("pod-1")
    return {path: content for path, (_, content) in source.files.items()} if source else {}


def test_live_files_come_when_they_rest_and_the_others_at_the_end(pod: Pod, double: Double, work: Path) -> None:
    """A rewritten one comes again; what no volume holds is told with what to mount."""
    (work / "checkpoints" / "deep").mkdir(parents=True)
    (work / "checkpoints" / "deep" / "step1.pt").write_bytes(os.urandom(1 << 20))
    (work / "checkpoints" / "empty").touch()
    (work / "checkpoints" / "link").symlink_to("/etc/hostname")
    (work / "report.json").write_text("{}")
    pod.start()
    double.wait_for(lambda: set(contents(double)) == {"checkpoints/deep/step1.pt", "checkpoints/empty"})
    second = os.urandom(3 << 20)
    (work / "checkpoints" / "deep" / "step1.pt").write_bytes(second)
    double.wait_for(lambda: contents(double)["checkpoints/deep/step1.pt"] == second)
    (work / "checkpoints" / "last.pt").write_bytes(b"written just before the end")
    words = pod.end()
    assert words["unsentBytes"] == 0
    assert contents(double) == {
        "checkpoints/deep/step1.pt": second,
        "checkpoints/empty": b"",
        "checkpoints/last.pt": b"written just before the end",
        "report.json": b"{}",
    }
    question, _ = double.sources["pod-1"].files["report.json"]
    assert (question["policy"], question["container"], question["size"]) == ("end", "train", 2)
    assert question["mtime"] == pytest.approx((work / "report.json").stat().st_mtime)
    (warning,) = [event for event in double.events() if event["type"] == "warning"]
    assert (warning["code"], warning["path"], warning["container"]) == ("PathNotVisible", "/scratch/*.bin", "train")
    assert "mount one" in warning["message"]


def test_a_restart_uploads_nothing_again(pod: Pod, double: Double, work: Path) -> None:
    """Neither asks for what it knows to be stored."""
    (work / "checkpoints").mkdir()
    (work / "checkpoints" / "a").write_bytes(b"a" * 1000)
    pod.start()
    double.wait_for(lambda: set(contents(double)) == {"checkpoints/a"})
    kept = pod.volume / "sidecar" / "files.json"
    until(kept.exists)
    pod.kill()
    asked: list[str] = []
    double.fault = lambda _method, path: asked.append(path)
    pod.start()
    double.wait_for(lambda: any(path.endswith("/append") for path in asked))
    assert pod.end()["unsentBytes"] == 0
    assert not [path for path in asked if path.endswith("/files")]


@pytest.mark.parametrize("step", ["/files", "/uploads/u0?signature=1", "/commit"])
def test_an_upload_that_is_cut_or_refused_for_now_is_tried_again(
    pod: Pod, double: Double, work: Path, step: str
) -> None:
    """At each of its three steps."""
    (work / "checkpoints").mkdir()
    (work / "checkpoints" / "a").write_bytes(b"a" * 1000)
    faults: list[str | RefusedError] = ["drop", "drop-after", RefusedError(503, "busy")]
    double.fault = lambda _method, path: faults.pop() if path.endswith(step) and faults else None
    pod.start()
    double.wait_for(lambda: contents(double) == {"checkpoints/a": b"a" * 1000})
    assert pod.end()["unsentBytes"] == 0


def test_files_that_could_not_be_sent_are_counted_to_the_byte(pod: Pod, double: Double, work: Path) -> None:
    """With the tracker gone the end comes in its time, and says which and how much."""
    (work / "report.json").write_bytes(b"x" * 12345)
    double.stop()
    pod.start(OUTRIDER_LINGER="5")
    until(lambda: "trying again" in pod.log.read_text())
    words = pod.end()
    assert words["streams"]["report.json"] == 12345
    streams = sum(
        file.stat().st_size for file in (pod.folder() / "events.jsonl", pod.volume / "sidecar" / "events.jsonl")
    )
    assert words["unsentBytes"] == 12345 + streams
