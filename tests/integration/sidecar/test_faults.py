"""The collector in bad weather: killed, lied to, left alone. Nothing is lost uncounted, nothing arrives twice."""

from __future__ import annotations

import os
import random
import threading
import time
from pathlib import Path

import pytest

from tests.integration.sidecar.conftest import Pod, until
from tests.integration.sidecar.double import Double, RefusedError, parse
from tests.tries import Tries


class Writer:
    """Appends random lines, and now and then random bytes, to some files until told to stop."""

    def __init__(self, files: dict[str, Path], seed: int, rest: float = 0.003) -> None:
        self._random = random.Random(seed)
        self._files = files
        self.written = dict.fromkeys(files, b"")  # the files themselves get holes
        self._rest = rest
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(self._rest):
            name = self._random.choice(list(self._files))
            file = self._files[name]
            file.parent.mkdir(parents=True, exist_ok=True)
            data = self._random.randbytes(self._random.choice((1, 30, 200, 5000, 60_000))) + b"\n"
            with file.open("ab") as out:
                out.write(data)
            self.written[name] += data

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


def files_of(pod: Pod) -> dict[str, Path]:
    folder = pod.volume / "containers" / "train" / "0"
    torch = folder / "torch" / "l" / "attempt_0"
    return {
        "train/0/stdout": folder / "stdout.log",
        "train/0/stderr": folder / "stderr.log",
        "train/0/events": folder / "events.jsonl",
        "train/0/torch/l/attempt_0/0/stdout": torch / "0" / "stdout.log",
        "train/0/torch/l/attempt_0/1/stdout": torch / "1" / "stdout.log",
        "user/rank0": pod.volume / "user" / "rank0.jsonl",
    }


def assert_all_there(writer: Writer, double: Double) -> None:
    for name, written in writer.written.items():
        assert double.data(name) == written, name
    events = [event for event in double.events() if event["type"] != "source.end"]
    assert [event["code"] for event in events if event["code"] == "StreamRewritten"] == []


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_killed_again_and_again_while_the_tracker_comes_and_goes(pod: Pod, double: Double, seed: int) -> None:
    """SIGKILL at random moments, the tracker restarted and answers lost in between: every file byte for byte, once."""
    chance = random.Random(seed)
    double.fault = lambda method, path: chance.choices(
        (None, "drop", "drop-after", RefusedError(500, "internal"), RefusedError(503, "busy")), (80, 6, 8, 3, 3)
    )[0]
    writer = Writer(files_of(pod), seed)
    try:
        for turn in range(6):
            pod.start()
            seen = double.requests
            double.wait_for(lambda seen=seen: double.requests > seen + 2)  # type: ignore[misc]
            time.sleep(chance.uniform(0, 0.6))  # the moment of death is the point: any will do
            pod.kill()
            if turn % 2:
                double.stop()
                double.start()
    finally:
        writer.stop()
    double.fault = lambda _method, _path: None
    pod.start(OUTRIDER_LINGER="20")
    words = pod.end()
    assert (words["unsentBytes"], words["lostBytes"]) == (0, 0)
    assert_all_there(writer, double)


@pytest.mark.parametrize("seed", [4, 5])
def test_killed_again_and_again_with_a_spool_that_overflows(pod: Pod, double: Double, seed: int) -> None:
    """What is received and what is lost is together what was written; both sides count the same loss."""
    chance = random.Random(seed)
    writer = Writer(files_of(pod), seed)
    try:
        for _ in range(5):
            double.fault = lambda _method, _path: None
            pod.start(OUTRIDER_SPOOL_LIMIT="200000")
            seen = len(double.appends)
            double.wait_for(lambda seen=seen: len(double.appends) > seen)  # type: ignore[misc]
            double.fault = lambda _method, path: "drop"
            before = sum(map(len, writer.written.values()))
            until(lambda before=before: sum(map(len, writer.written.values())) > before + 400_000)  # type: ignore[misc]
            double.fault = lambda _method, _path: chance.choice((None, None, "drop-after"))
            time.sleep(chance.uniform(0, 1.0))  # the moment of death is the point: any will do
            pod.kill()
    finally:
        writer.stop()
    double.fault = lambda _method, _path: None
    pod.start(OUTRIDER_LINGER="20")
    words = pod.end()
    assert words["unsentBytes"] == 0
    lost = 0
    for name, written in writer.written.items():
        (generation,) = double.stream(name).generations
        expected = bytearray(written)
        for start, end, _ in generation.lost:
            expected[start:end] = bytes(end - start)
        assert generation.data == expected, name
        lost += generation.lost_bytes()
    assert lost > 0
    own = ("sidecar/events", "sidecar/metrics")  # given up too, last of all
    lost += sum(lost for name, kept in double.summary().items() if name in own for _, lost in kept)
    assert words["lostBytes"] == lost


def test_a_tracker_that_is_away_for_a_while_gets_everything_later(pod: Pod, double: Double) -> None:
    """RefusedError connections in the middle; files grow on and are followed."""
    writer = Writer(files_of(pod), 7)
    try:
        pod.start()
        double.wait_for(lambda: len(double.appends) > 3)
        double.stop()
        until(lambda: "trying again" in pod.log.read_text())
        before = files_of(pod)["train/0/stdout"].stat().st_size
        until(lambda: files_of(pod)["train/0/stdout"].stat().st_size > before + 100_000)
        double.start()
        seen = len(double.appends)
        double.wait_for(lambda: len(double.appends) > seen + 2)
    finally:
        writer.stop()
    assert pod.end()["unsentBytes"] == 0
    assert_all_there(writer, double)


@pytest.mark.parametrize("how", ["refused", "hangs", "no such host", "errors"])
def test_gone_for_good_ends_in_time_with_exact_loss(pod: Pod, double: Double, how: str) -> None:
    """With no tracker the process is gone within the 2 s that the kubelet leaves it, and says what was not sent."""
    files = files_of(pod)
    sizes = {name: 1000 * (i + 1) for i, name in enumerate(files)}
    if how == "refused":
        double.stop()
    elif how == "hangs":
        double.fault = lambda _method, _path: "hang"
    elif how == "errors":
        double.fault = lambda _method, _path: RefusedError(500, "internal")
    elif how == "no such host":
        pod.env["OUTRIDER_TRACKER_URL"] = "https://tracker.invalid:8443"
    for name, file in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(os.urandom(sizes[name]))
    tries = Tries(2.0)
    for _ in tries:
        pod.start(OUTRIDER_LINGER="0")
        until((pod.volume / "sidecar" / "cursors.json").exists)
        began = time.monotonic()
        words = pod.end()
        tries.took(time.monotonic() - began)
        own = (pod.volume / "sidecar" / "events.jsonl").stat().st_size
        assert words["unsentBytes"] == sum(sizes.values()) + own
        assert words["streams"] == sizes | {"sidecar/events": own}
        assert words["lostBytes"] == 0


def test_linger_waits_for_a_tracker_that_comes_back_and_no_longer(pod: Pod, double: Double) -> None:
    """With linger the end waits while bytes are unsent, and is over as soon as they are sent."""
    double.stop()
    pod.start(OUTRIDER_LINGER="25")
    (pod.folder() / "stdout.log").write_bytes(b"x" * 1000)
    until(lambda: "trying again" in pod.log.read_text())
    pod.terminate()
    until(lambda: pod.last_words.exists() and pod.last_words.stat().st_size > 0)
    assert b'"unsentBytes":1000' in pod.last_words.read_bytes()  # should it be killed now
    double.start()
    assert pod.ended(timeout=20)["unsentBytes"] == 0
    assert double.data("train/0/stdout") == b"x" * 1000


def test_over_the_spool_limit_the_least_is_given_up_and_counted(pod: Pod, double: Double) -> None:
    """Received plus lost is written, for each stream; events are all there."""
    double.stop()
    folder = pod.folder()
    samples, stdout, events = folder / "samples.jsonl", folder / "stdout.log", folder / "events.jsonl"
    pod.start(OUTRIDER_SPOOL_LIMIT="100000")
    samples.write_bytes(os.urandom(50_000))
    stdout.write_bytes(os.urandom(80_000))
    events.write_bytes(os.urandom(40_000))
    freed = pod.volume / "sidecar" / "freed" / "train.0"
    until(lambda: freed.exists() and "49936 samples.jsonl" in freed.read_text())  # all of it may be punched
    double.start()
    double.wait_for(lambda: {"train/0/stdout", "train/0/events"} <= double.summary().keys())
    words = pod.end()
    lost = 0
    for name, file in (("train/0/samples", samples), ("train/0/stdout", stdout), ("train/0/events", events)):
        (generation,) = double.stream(name).generations
        assert len(generation.data) == file.stat().st_size
        assert len(generation.without_lost()) + generation.lost_bytes() == file.stat().st_size
        assert file.read_bytes().endswith(generation.without_lost())
        lost += generation.lost_bytes()
    assert double.stream("train/0/events").generations[0].lost == []
    assert double.stream("train/0/samples").generations[0].lost_bytes() == 50_000
    assert 20_000 <= double.stream("train/0/stdout").generations[0].lost_bytes() <= 27_000
    assert (words["unsentBytes"], words["lostBytes"]) == (0, lost)
    assert [e["code"] for e in double.events() if e["type"] == "warning"] == ["SpoolFull"]


def test_a_store_that_was_restored_gets_what_it_lacks(pod: Pod, double: Double) -> None:
    """Another incarnation that knows less: the bytes are sent again from the files; freed ones are counted as lost."""
    file = pod.folder() / "stdout.log"
    file.write_bytes(b"1" * 10_000)
    (pod.folder() / "stderr.log").write_bytes(b"e" * 100)
    pod.start()
    double.wait_for(lambda: len(double.data("train/0/stdout")) == 10_000)
    until(lambda: "9936 stdout.log" in (pod.volume / "sidecar/freed/train.0").read_text())
    with file.open("r+b") as out:
        punch(out.fileno(), 8192)
    with double.changed:
        double.incarnation = "store-2"
        del double.sources["pod-1"].streams["train/0/stderr"]
        del double.stream("train/0/stdout").generations[0].data[100:]
    with file.open("ab") as out:
        out.write(b"2" * 500)
    double.wait_for(lambda: len(double.stream("train/0/stdout").generations[0].data) == 10_500)
    double.wait_for(lambda: double.data("train/0/stderr") == b"e" * 100)
    (generation,) = double.stream("train/0/stdout").generations
    assert generation.lost == [(100, 8192, "freed")]
    assert generation.without_lost() == b"1" * 100 + b"1" * 1808 + b"2" * 500
    assert pod.end()["lostBytes"] == 8092
    assert "StoreChanged" in [e.get("code") for e in double.events()]


def test_a_tracker_with_other_bytes_gets_the_file_as_next_generation(pod: Pod, double: Double) -> None:
    """409 mismatch: what is there is kept, ours is sent from its start beside it."""
    file = pod.folder() / "stdout.log"
    file.write_bytes(b"1" * 100)
    pod.start()
    double.wait_for(lambda: len(double.data("train/0/stdout")) == 100)
    with double.changed:
        double.stream("train/0/stdout").generations[0].data += b"of another"
    with file.open("ab") as out:
        out.write(b"2" * 50)
    double.wait_for(lambda: len(double.stream("train/0/stdout").generations) == 2)
    pod.end()
    assert [bytes(g.data) for g in double.stream("train/0/stdout").generations] == [
        b"1" * 100 + b"of another",
        b"1" * 100 + b"2" * 50,
    ]


def test_without_cursors_the_tracker_says_where_to_go_on(pod: Pod, double: Double) -> None:
    """cursors.json broken by someone: nothing twice, nothing lost, and it is said."""
    file = pod.folder() / "stdout.log"
    file.write_bytes(os.urandom(300_000))
    pod.start()
    double.wait_for(lambda: len(double.data("train/0/stdout")) == 300_000)
    pod.kill()
    (pod.volume / "sidecar" / "cursors.json").write_text("{broken")
    with file.open("ab") as out:
        out.write(b"more")
    pod.start()
    double.wait_for(lambda: len(double.data("train/0/stdout")) == 300_004)
    assert pod.end() | {"reason": ""} == {"outrider": 1, "unsentBytes": 0, "lostBytes": 0, "streams": {}, "reason": ""}
    assert double.data("train/0/stdout") == file.read_bytes()
    assert "CursorsBroken" in [e.get("code") for e in double.events()]


def test_a_file_replaced_while_the_collector_was_dead_is_another_generation(pod: Pod, double: Double) -> None:
    """The cursor knows which file it meant; what was not sent of the old one is counted."""
    file = pod.folder() / "stdout.log"
    file.write_bytes(b"old" * 100)
    pod.start()
    double.wait_for(lambda: len(double.data("train/0/stdout")) == 300)
    until(lambda: '"acked":300' in (pod.volume / "sidecar" / "cursors.json").read_text())
    pod.kill()
    with file.open("ab"):
        file.unlink()
        file.write_bytes(b"new" * 200)
    pod.start()
    double.wait_for(lambda: len(double.stream("train/0/stdout").generations) == 2)
    assert pod.end()["unsentBytes"] == 0
    assert bytes(double.stream("train/0/stdout").generations[1].data) == b"new" * 200


def test_a_full_store_still_gets_the_kinds_that_it_accepts(pod: Pod, double: Double) -> None:
    """507 with `accepts`: events go through, logs wait on the volume and follow later."""
    full = True
    plain = double.append

    def append(source: str, headers: object, body: bytes) -> dict[str, object]:
        if full and any(header["s"] == "train/0/stdout" for header, _ in parse(body)):
            raise RefusedError(507, "storage_full", accepts=["events"])
        return plain(source, headers, body)

    folder = pod.folder()
    (folder / "stdout.log").write_bytes(b"log")
    (folder / "events.jsonl").write_bytes(b"{}\n")
    double.append = append  # type: ignore[method-assign]
    pod.start()
    double.wait_for(lambda: double.data("train/0/events") == b"{}\n")
    assert double.data("train/0/stdout") == b""
    full = False
    double.wait_for(lambda: double.data("train/0/stdout") == b"log")
    assert "StoreFull" in [e.get("code") for e in double.events()]
    assert pod.end()["unsentBytes"] == 0


def test_a_refused_token_is_told_and_a_new_one_is_used_at_once(pod: Pod, double: Double) -> None:
    """401: the file is read anew for each request."""
    pod.token.write_text("expired")
    (pod.folder() / "stdout.log").write_bytes(b"log")
    pod.start()
    until(lambda: "TokenRefused" in pod.log.read_text())
    pod.token.write_text("secret")
    double.wait_for(lambda: double.data("train/0/stdout") == b"log")
    assert pod.end()["unsentBytes"] == 0


def test_a_second_collector_waits_and_says_so(pod: Pod, double: Double) -> None:
    """409 fenced: the newer writer is left alone."""
    pod.start()
    double.wait_for(lambda: len(double.appends) > 0)
    with double.changed:
        double.sources["pod-1"].epoch += 1
    (pod.folder() / "stdout.log").write_bytes(b"log")
    until(lambda: "Fenced" in pod.log.read_text())
    seen = double.requests
    assert pod.end()["unsentBytes"] == 0  # at the end there is no time to wait
    assert double.requests > seen
    assert double.data("train/0/stdout") == b"log"


@pytest.mark.parametrize("status", [400, 413])
def test_a_stream_that_is_refused_does_not_hold_up_the_others(pod: Pod, double: Double, status: int) -> None:
    """The poison is found by making requests smaller; its bytes are given up, counted and told."""
    folder = pod.folder()
    (folder / "stdout.log").write_bytes(os.urandom(100_000))
    (folder / "stderr.log").write_bytes(b"poison")
    plain = double.append

    def append(source: str, headers: object, body: bytes) -> dict[str, object]:
        if b"stderr" in body and b'"t":"data"' in body.partition(b"stderr")[2].partition(b"stdout")[0]:
            raise RefusedError(status, "frame")
        return plain(source, headers, body)

    double.append = append  # type: ignore[method-assign]
    pod.start()
    double.wait_for(lambda: len(double.data("train/0/stdout")) == 100_000, timeout=40)
    double.wait_for(lambda: double.summary().get("train/0/stderr") == [(6, 6)], timeout=40)
    words = pod.end()
    assert (words["unsentBytes"], words["lostBytes"]) == (0, 6)


def punch(fd: int, end: int) -> None:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    assert libc.fallocate(fd, 3, 0, end) == 0
