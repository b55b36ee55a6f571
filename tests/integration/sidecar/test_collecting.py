"""The collector in good weather: what is written is at the tracker, byte for byte, with its labels."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.integration.sidecar.conftest import Pod, until
from tests.integration.sidecar.double import Double


def test_every_stream_arrives_with_its_labels(pod: Pod, double: Double) -> None:
    """stdout, events, samples, torchrun's files, user data: names, kinds and labels as the protocol says."""
    folder = pod.folder()
    torch = folder / "torch" / "none_ab:1" / "attempt_2" / "1"
    torch.mkdir(parents=True)
    (folder / "stdout.log").write_bytes(b"one\ntwo\nno newline")
    (folder / "events.jsonl").write_bytes(b'{"type": "x"}\n')
    (folder / "samples.jsonl").write_bytes(b"{}\n")
    (torch / "stderr.log").write_bytes(b"\x00\xff\r\n" * 1000)
    (pod.volume / "user").mkdir()
    (pod.volume / "user" / "rank3.jsonl").write_bytes(b'{"type": "log"}\n')
    pod.start()
    name = "train/0/torch/none_ab%3A1/attempt_2/1/stderr"
    double.wait_for(lambda: len(double.data(name)) == 4000 and len(double.data("user/rank3")) == 16)
    words = pod.end()
    assert double.data("train/0/stdout") == b"one\ntwo\nno newline"
    assert double.data("train/0/events") == b'{"type": "x"}\n'
    assert double.stream("train/0/stdout").labels == {
        "kind": "stdout",
        "container": "train",
        "start": 0,
        "path": "stdout.log",
    }
    assert double.stream(name).labels == {
        "kind": "stderr",
        "container": "train",
        "start": 0,
        "path": "torch/none_ab:1/attempt_2/1/stderr.log",
        "launch": "none_ab:1",
        "restart": 2,
        "localRank": 1,
    }
    assert double.stream("user/rank3").labels == {"kind": "user"}
    assert double.stream("train/0/samples").labels["kind"] == "metrics"
    assert words == {"outrider": 1, "unsentBytes": 0, "lostBytes": 0, "streams": {}, "reason": ""}
    end = double.events()[-1]
    assert (end["type"], end["unsentBytes"], end["lostBytes"]) == ("source.end", 0, 0)


def test_bytes_written_before_sigterm_arrive_inside_the_window(pod: Pod, double: Double) -> None:
    """The last words of a rank are sent though SIGTERM comes right behind them."""
    pod.start()
    double.wait_for(lambda: "pod-1" in double.sources)
    (pod.folder() / "stderr.log").write_bytes(os.urandom(3 << 20))
    words = pod.end()
    assert words["unsentBytes"] == 0
    assert double.data("train/0/stderr") == (pod.folder() / "stderr.log").read_bytes()


def test_truncation_and_replacement_open_generations(pod: Pod, double: Double) -> None:
    """A file that shrinks, and one that is replaced under its name, go on as the next generation."""
    file = pod.folder() / "stdout.log"
    file.write_bytes(b"a" * 1000)
    pod.start()
    double.wait_for(lambda: len(double.data("train/0/stdout")) == 1000)
    os.truncate(file, 0)
    file.write_bytes(b"b" * 10)

    def generations() -> list[bytes]:
        return [bytes(g.data) for g in double.stream("train/0/stdout").generations]

    double.wait_for(lambda: generations() == [b"a" * 1000, b"b" * 10])
    with file.open("ab") as old:
        file.rename(file.with_suffix(".1"))
        old.write(b"last words to the rotated file")
        old.flush()
        file.write_bytes(b"c" * 20)
        double.wait_for(lambda: len(generations()) == 3 and len(generations()[2]) == 20)
    assert generations()[1:] == [b"b" * 10 + b"last words to the rotated file", b"c" * 20]
    assert pod.end()["lostBytes"] == 0


def test_a_removed_folder_is_drained_through_its_descriptor(pod: Pod, double: Double) -> None:
    """torchrun removes an attempt's folder: what the rank wrote is sent all the same."""
    torch = pod.folder() / "torch" / "x" / "attempt_0" / "0"
    torch.mkdir(parents=True)
    with (torch / "stdout.log").open("wb", buffering=0) as rank:
        rank.write(b"first\n")
        pod.start()
        name = "train/0/torch/x/attempt_0/0/stdout"
        double.wait_for(lambda: double.data(name) == b"first\n")
        shutil.rmtree(torch.parent)
        rank.write(b"after the folder is gone\n")
        double.wait_for(lambda: double.data(name) == b"first\nafter the folder is gone\n")
    assert pod.end()["unsentBytes"] == 0


def test_links_lead_nowhere(pod: Pod, double: Double, tmp_path: Path) -> None:
    """A trainer that links its output, or a folder, to another file gets nothing of it."""
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "stdout.log").write_text("not yours")
    (pod.folder() / "stdout.log").symlink_to(secret / "stdout.log")
    (pod.folder("other").parent / "1").symlink_to(secret)
    os.mkfifo(pod.folder() / "stderr.log")
    (pod.folder() / "events.jsonl").write_bytes(b"{}\n")
    pod.start()
    double.wait_for(lambda: double.data("train/0/events") == b"{}\n")
    pod.end()
    assert set(double.sources["pod-1"].streams) == {"train/0/events", "sidecar/events"}


def test_freed_offsets_are_published_for_the_rider(pod: Pod, double: Double) -> None:
    """freed/<container>.<start> names each file with an offset below which all is acknowledged, readable by all."""
    (pod.folder() / "stdout.log").write_bytes(b"x" * 5000)
    (pod.folder() / "stderr.log").write_bytes(b"y" * 10)
    pod.start()
    freed = pod.volume / "sidecar" / "freed" / "train.0"
    until(lambda: freed.exists() and freed.read_text() == "0 stderr.log\n4936 stdout.log\n")
    assert freed.stat().st_mode & 0o777 == 0o644
    assert freed.parent.stat().st_mode & 0o777 == 0o755
    assert len(double.data("train/0/stdout")) == 5000


def test_the_declaration_says_who_speaks(pod: Pod, double: Double) -> None:
    """Pod, node and owner come from the environment."""
    pod.start(
        OUTRIDER_POD_NAME="p-0",
        OUTRIDER_NAMESPACE="team",
        OUTRIDER_NODE_NAME="n1",
        OUTRIDER_OWNER='{"kind": "Job", "uid": "u", "labels": {"a": "b"}}',
    )
    double.wait_for(lambda: "pod-1" in double.sources)
    said = double.sources["pod-1"].declaration
    assert said["pod"] == {"namespace": "team", "name": "p-0", "node": "n1"}
    assert said["owner"] == {"kind": "Job", "uid": "u", "labels": {"a": "b"}}
    assert said["agent"].startswith("outrider-sidecar/")
    pod.end()
