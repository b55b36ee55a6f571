"""Fills a served tracker through its real doors, as controller and sidecars would: data of tests and pictures."""

from __future__ import annotations

import hashlib
import json
import math
import random
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import httpx

from outrider_sidecar import contract
from tests.integration.tracker.process import until

ENTITY: Final = "vision"
Json = dict[str, Any]


def rfc3339(seconds: float) -> str:
    """Unix seconds as the controller writes times."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def frame(header: Mapping[str, Any], payload: bytes = b"") -> bytes:
    """One frame of an append request."""
    packed = json.dumps(header).encode()
    return len(packed).to_bytes(4, "little") + packed + payload


@dataclass
class Source:
    """One pod, from the side of its sidecar."""

    client: httpx.Client
    uid: str
    pod: str
    node: str
    namespace: str = ENTITY
    epoch: int = 0
    incarnation: str = ""
    ends: dict[str, int] = field(default_factory=dict)
    labels: dict[str, Json] = field(default_factory=dict)

    def declare(self) -> None:
        """PUT /ingest/v1/sources/{source}."""
        body = {
            "protocol": contract.PROTOCOL,
            "agent": "outrider-sidecar/0.1.0",
            "instance": f"instance-of-{self.uid}",
            "pod": {"namespace": self.namespace, "name": self.pod, "node": self.node},
            "owner": {},
        }
        answer = self.client.put(f"/ingest/v1/sources/{self.uid}", json=body).raise_for_status().json()
        self.epoch, self.incarnation = answer["epoch"], answer["incarnation"]

    def append(self, frames: Sequence[bytes], unsent: int = 0) -> Json:
        """POST …/append; the answer."""
        headers = {
            "Content-Type": contract.FRAMES_TYPE,
            contract.HEADER_EPOCH: str(self.epoch),
            contract.HEADER_INCARNATION: self.incarnation,
            contract.HEADER_WALL: str(time.time_ns()),
            contract.HEADER_MONO: str(time.monotonic_ns()),
            contract.HEADER_UNSENT: str(unsent),
        }
        body = contract.FRAMES_MAGIC + b"".join(frames)
        response = self.client.post(f"/ingest/v1/sources/{self.uid}/append", content=body, headers=headers)
        answer: Json = response.raise_for_status().json()
        return answer

    def write(self, stream: str, data: bytes, labels: Json) -> None:
        """Appends bytes to a stream, declared at its first data."""
        frames = []
        if stream not in self.labels:
            self.labels[stream] = labels
            frames.append(frame({"t": contract.FRAME_STREAM, "s": stream, "labels": labels}))
        for begin in range(0, len(data), contract.MAX_FRAME_RAW):
            raw = data[begin : begin + contract.MAX_FRAME_RAW]
            payload, offset = zlib.compress(raw), self.ends.get(stream, 0)
            header = {"t": contract.FRAME_DATA, "s": stream, "g": 0, "o": offset, "n": len(raw), "z": "zlib"}
            frames.append(frame({**header, "c": len(payload), "crc": zlib.crc32(raw)}, payload))
            self.ends[stream] = offset + len(raw)
        self.append(frames)

    def lose(self, stream: str, size: int, reason: str) -> None:
        """Says that the next `size` bytes of a stream will never come."""
        begin = self.ends.get(stream, 0)
        header = {"t": contract.FRAME_LOST, "s": stream, "g": 0, "from": begin, "to": begin + size, "reason": reason}
        self.append([frame(header)])
        self.ends[stream] = begin + size

    def jsonl(self, stream: str, items: Iterable[Json], labels: Json) -> None:
        """Appends JSON lines."""
        self.write(stream, b"".join(json.dumps(item).encode() + b"\n" for item in items), labels)

    def save(self, path: str, data: bytes, policy: str = "end") -> str:
        """Uploads a file; its id."""
        body = {
            "path": path,
            "size": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            "mtime": time.time(),
            "policy": policy,
            "container": "train",
        }
        base = f"/ingest/v1/sources/{self.uid}/files"
        headers = {contract.HEADER_EPOCH: str(self.epoch), contract.HEADER_INCARNATION: self.incarnation}
        answer = self.client.post(base, json=body, headers=headers).raise_for_status().json()
        if answer["state"] == "upload":
            self.client.put(answer["url"], content=data).raise_for_status()
            bare = answer["url"].partition("?")[0]
            answer = self.client.post(f"{bare}/commit", headers=headers).raise_for_status().json()
        return str(answer["file"])


@dataclass
class Filler:
    """The controller and its sidecars, with an administrator's key."""

    client: httpx.Client
    now: float = field(default_factory=time.time)

    @classmethod
    def at(cls, url: str, key: str) -> Filler:
        """Writes to the tracker at `url`."""
        return cls(httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30))

    def decoded(self) -> None:
        """Waits until all that was sent means something."""

        def is_so() -> bool:
            return "\noutrider_tracker_stream_backlog 0.0\n" in self.client.get("/metrics").raise_for_status().text

        until(is_so, "all streams are decoded")

    def put_run(self, run: str, **change: Any) -> str:
        """Writes a Run's record, complete but for what `change` says; its page's path."""
        ago = change.pop("ago", 600.0)
        over = change.get("state") in {"Finished", "Failed", "Crashed", "Killed", "Preempted"}
        ended = rfc3339(self.now - ago + change.pop("lasted", 480.0)) if over else None
        record = {
            "namespace": ENTITY,
            "name": run,
            "project": "resnet",
            "displayName": "",
            "group": "",
            "jobType": "train",
            "tags": [],
            "notes": "",
            "config": {},
            "state": "Running",
            "reason": "",
            "createdAt": rfc3339(self.now - ago - 12),
            "startedAt": rfc3339(self.now - ago),
            "endedAt": ended,
            "attempt": 1,
            "attempts": [],
            "ranks": {"expected": 4, "running": 4, "succeeded": 0, "failed": 0, "lost": 0},
            "failure": None,
            "conditions": [],
            "workload": {"apiVersion": "batch/v1", "kind": "Job", "name": run, "uid": f"uid-{run}"},
            **change,
        }
        answer = self.client.put(f"/api/v1/control/runs/{run}", json=record).raise_for_status().json()
        return str(answer["url"])

    def source(self, uid: str, pod: str, node: str, run: str, node_rank: int = 0, attempt: int = 1) -> Source:
        """A declared pod, joined to a Run."""
        self.join(uid, pod, node, run, node_rank, attempt)
        source = Source(self.client, uid, pod, node)
        source.declare()
        return source

    def join(self, uid: str, pod: str, node: str, run: str, node_rank: int, attempt: int = 1, **change: Any) -> None:
        """PUT /api/v1/control/sources/{pod uid}."""
        body = {
            "run": run,
            "attempt": attempt,
            "nodeRank": node_rank,
            "incarnation": 0,
            "pod": pod,
            "node": node,
            "namespace": ENTITY,
            "phase": "Running",
            "deleted": False,
            "unsentBytes": None,
            **change,
        }
        self.client.put(f"/api/v1/control/sources/{uid}", json=body).raise_for_status()


STREAM: Final = "train/0/torch/none_a1b2c3/attempt_0"
PATH: Final = "torch/none_a1b2c3/attempt_0"
HOSTILE_LINE: Final = "<script>window.outriderHacked = true</script><img src=x onerror='window.outriderHacked = true'>"
HOSTILE_FILE: Final = "out/<img src=x onerror=window.outriderHacked=true>.html"
HOSTILE_PAGE: Final = b"<!doctype html><script>window.outriderHacked = true; document.title = 'hacked'</script>"
LAST_WORDS: Final = [
    "[rank3]: Traceback (most recent call last):",
    '[rank3]:   File "/app/train.py", line 212, in <module>',
    "[rank3]:     main()",
    '[rank3]:   File "/app/train.py", line 187, in main',
    "[rank3]:     batch = next(loader)",
    "[rank3]: RuntimeError: DataLoader worker (pid 233) is killed by signal: Killed.",
]


def text_labels(local: int, kind: str) -> Json:
    """Labels of a rank's stdout or stderr file of torchrun."""
    return {
        "kind": kind,
        "container": "train",
        "start": 0,
        "path": f"{PATH}/{local}/{kind}.log",
        "launch": "none_a1b2c3",
        "restart": 0,
        "localRank": local,
    }


def rank_stream(local: int, kind: str) -> str:
    """Name of a rank's stdout or stderr stream."""
    return f"{STREAM}/{local}/{kind}"


def start_events(begin: float, ranks: Sequence[int], world: int) -> list[Json]:
    """What the rider tells when a container and its ranks start."""
    argv = ["torchrun", "--nnodes=2", f"--nproc-per-node={len(ranks)}", "train.py", "--lr", "0.1", "--amp"]
    events: list[Json] = [
        {"ts": begin, "type": "container.start", "container": "train", "start": 0, "pid": 17, "argv": argv}
        | {"cwd": "/app", "uid": 1000, "gid": 1000, "hostname": "resnet-ddp-0"},
        {"ts": begin, "type": "container.info", "container": "train", "start": 0, "os": "Debian GNU/Linux 12"}
        | {"kernel": "6.1.0-28-amd64", "arch": "x86_64", "cpu": {"model": "AMD EPYC 9454", "count": 48}}
        | {"memoryBytes": 405 << 30, "cgroup": {"version": 2, "memoryLimitBytes": 16 << 30, "cpuLimit": 8}}
        | {
            "python": {
                "path": "/usr/bin/python3",
                "version": "3.12.8",
                "packages": {"torch": "2.9.1", "numpy": "2.3.1"},
            }
        }
        | {"git": {"commit": "9fceb02d0ae598e95dc970b74767f19372d61af8", "dirty": True}}
        | {"gpus": [{"model": "NVIDIA H100 80GB HBM3"}] * len(ranks)},
    ]
    for local, rank in enumerate(ranks):
        events.append(
            {"ts": begin + 2, "type": "rank.start", "container": "train", "start": 0, "pid": 100 + rank, "rank": rank}
            | {"localRank": local, "worldSize": world, "localWorldSize": len(ranks), "groupRank": rank // len(ranks)}
            | {"restart": 0, "launcherRunId": "none", "argv": ["python", "-u", "train.py"]}
            | {"stdout": f"{PATH}/{local}/stdout.log", "stderr": f"{PATH}/{local}/stderr.log"}
        )
    return events


def exit_event(when: float, local: int, rank: int, **end: int) -> Json:
    """A rank's end: `code` or `signal`, and `oomKills`."""
    return {"ts": when, "type": "rank.exit", "container": "train", "start": 0, "pid": 100 + rank} | {
        "rank": rank,
        "localRank": local,
        "restart": 0,
        "oomKills": 0,
        **end,
    }


EVENTS: Final = {"kind": "events", "container": "train", "start": 0, "path": "events.jsonl"}
SAMPLES: Final = {"kind": "metrics", "container": "train", "start": 0, "path": "samples.jsonl"}


def training_log(rank: int, lines: int, begin: float) -> bytes:
    """Coloured lines as a trainer prints them."""
    chance = random.Random(rank)
    made = []
    for step in range(lines):
        at = datetime.fromtimestamp(begin + step * 0.4, UTC).strftime("%H:%M:%S")
        loss = 2.3 * math.exp(-step / 400) + 0.25 + chance.random() * 0.05
        level = "\x1b[33mWARN\x1b[0m" if step % 97 == 13 else "\x1b[32mINFO\x1b[0m"
        note = "slow batch: 812 ms in the loader" if step % 97 == 13 else f"step={step * 10} loss={loss:.4f} lr=0.1000"
        made.append(
            f"\x1b[2m{at}\x1b[0m {level} \x1b[1mtrainer\x1b[0m {note} imgs_per_s={5300 + chance.random() * 90:.0f}"
        )
    return ("\n".join(made) + "\n").encode()


def metric_lines(rank: int, begin: float, end: float) -> list[Json]:
    """System metrics of a rank each 5 s; rank 3 leaks."""
    chance = random.Random(rank + 50)
    made = []
    for index in range(int((end - begin) / 5)):
        ts = begin + index * 5
        rss = 3900 + 40 * rank + 60 * math.sin(index / 9) + (95 * index if rank == 3 else 0)
        values = {
            "cpu": 86 + 9 * math.sin(index / 5 + rank) + chance.random() * 3,
            "proc.memory.rssMB": rss,
            "proc.io.readMB": index * (21 + rank) + chance.random() * 4,
        }
        made.append({"ts": ts, "scope": "rank", "rank": rank, "localRank": rank % 2, "container": "train", "m": values})
    return made


def user_lines(rank: int, begin: float, end: float) -> list[Json]:
    """What training code logs: loss, accuracy and learning rate by step."""
    chance = random.Random(rank + 90)
    made = []
    steps = int((end - begin) / 1.5)
    for index in range(steps):
        data = {
            "loss": 2.3 * math.exp(-index / 110) + 0.25 + chance.random() * 0.12,
            "accuracy": 0.78 * (1 - math.exp(-index / 130)) + chance.random() * 0.02,
            "lr": 0.1 if index < steps * 0.6 else 0.01,
        }
        made.append({"type": "log", "rank": rank, "step": index * 10, "ts": begin + index * 1.5, "data": data})
    return made


def failed_run(filler: Filler, run: str = "resnet-ddp-7f3a9c21") -> tuple[str, list[Source]]:
    """A Run of 2 pods x 2 ranks whose rank 3 was killed for memory; its page's path and its pods."""
    begin, end = filler.now - 600, filler.now - 118
    failure = {
        "rank": 3,
        "pod": "resnet-ddp-1-x7k2p",
        "node": "gpu-node-07",
        "attempt": 1,
        "reason": "OOMKilled",
        "exitCode": 137,
        "confidence": "high",
        "message": "The container train reached its memory limit of 16 GiB and the kernel killed rank 3. "
        "Raise resources.limits.memory or lower the loader's workers.",
        "lastWords": LAST_WORDS,
    }
    path = filler.put_run(
        run,
        displayName="ResNet-50 DDP",
        state="Failed",
        group="ablation",
        tags=["baseline", "amp"],
        notes="First run after the loader was rewritten.\nCompare with last week's: <b>same seed</b>.",
        config={
            "lr": 0.1,
            "batch_size": 256,
            "epochs": 90,
            "amp": True,
            "seed": 1234,
            "model": {"name": "resnet50", "layers": [3, 4, 6, 3], "norm": "bn"},
            "optimizer": {"name": "sgd", "momentum": 0.9, "weight_decay": 5e-5},
            "data": {"path": "/data/imagenet", "workers": 8},
        },
        ranks={"expected": 4, "running": 0, "succeeded": 0, "failed": 1, "lost": 0},
        failure=failure,
        attempts=[
            {
                "number": 1,
                "startedAt": rfc3339(begin),
                "endedAt": rfc3339(end),
                "state": "Failed",
                "reason": "OOMKilled",
            }
        ],
        conditions=[
            {"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": rfc3339(when)}
            for kind, reason, message, when in (
                ("Accepted", "Valid", "", begin - 12),
                ("Injected", "AllPods", "2 of 2 pods", begin - 8),
                ("Collecting", "Fresh", "2 of 2 sidecars", begin + 1),
                ("RankFailed", "OOMKilled", "rank 3", end),
            )
        ],
        workload={"apiVersion": "batch/v1", "kind": "Job", "name": "resnet-ddp", "uid": "7f3a9c21"},
    )
    sources = []
    for node_rank in (0, 1):
        pod, node = f"resnet-ddp-{node_rank}-x7k{node_rank + 1}p", f"gpu-node-0{node_rank + 6}"
        source = filler.source(f"0d3f{node_rank}a7e-52c1-4b7e-9d60-1c2b3a4d5e6f", pod, node, run, node_rank)
        ranks = [2 * node_rank, 2 * node_rank + 1]
        source.jsonl("train/0/events", start_events(begin, ranks, 4), EVENTS)
        for local, rank in enumerate(ranks):
            source.write(rank_stream(local, "stdout"), training_log(rank, 1150, begin), text_labels(local, "stdout"))
            words = "".join(f"\x1b[31m{line}\x1b[0m\n" for line in LAST_WORDS) if rank == 3 else ""
            text = f"[W socket.cpp:428] rank {rank}: using IPv4\n{HOSTILE_LINE}\n{words}"
            source.write(rank_stream(local, "stderr"), text.encode(), text_labels(local, "stderr"))
            source.jsonl("train/0/samples", metric_lines(rank, begin, end), SAMPLES)
            source.jsonl(f"user/rank{rank}", user_lines(rank, begin, end), {"kind": "user"})
        ends = [exit_event(end, 1, 3, signal=9, oomKills=1)] if node_rank else []
        ends += [exit_event(end + 1, rank % 2, rank, signal=15) for rank in ranks if rank != 3]
        source.jsonl("train/0/events", ends, EVENTS)
        sources.append(source)
    first, second = sources
    second.lose(rank_stream(0, "stdout"), 48_213, "the volume's spool limit was reached")
    second.write(rank_stream(0, "stdout"), training_log(2, 6, end - 3), text_labels(0, "stdout"))
    first.save("checkpoints/epoch_003.pt", b"weights" * 120_000, "live")
    first.save("checkpoints/last.pt", b"weights" * 110_000, "live")
    first.save("checkpoints/last.pt", b"weights" * 120_000, "live")
    first.save("out/report.json", b'{"accuracy": 0.71}')
    first.save(HOSTILE_FILE, HOSTILE_PAGE)
    filler.decoded()
    return path, sources


def running_run(filler: Filler, run: str = "vit-large-5e1b7d40") -> tuple[str, Source]:
    """A Run of one pod with one rank that still runs."""
    path = filler.put_run(
        run,
        project="vit",
        ago=260.0,
        ranks={"expected": 1, "running": 1, "succeeded": 0, "failed": 0, "lost": 0},
        workload={"apiVersion": "jobset.x-k8s.io/v1alpha2", "kind": "JobSet", "name": "vit-large", "uid": "5e1b7d40"},
    )
    source = filler.source("5e1b7d40-0000-4000-8000-000000000001", "vit-large-0", "gpu-node-02", run)
    source.jsonl("train/0/events", start_events(filler.now - 260, [0], 1), EVENTS)
    source.write(rank_stream(0, "stdout"), training_log(0, 40, filler.now - 260), text_labels(0, "stdout"))
    filler.decoded()
    return path, source


def other_runs(filler: Filler) -> None:
    """Runs of every state, for the table."""
    states = ["Finished", "Running", "Queued", "Finished", "Killed", "Starting", "Preempted", "Crashed", "Finished"]
    names = ["llm-pretrain", "diffusion-xl", "bert-finetune", "asr-conformer", "rl-ppo", "gan-baseline", "moe-router"]
    for index in range(24):
        state, name, world = states[index % 9], names[index % 7], (8, 64, 4, 16, 256)[index % 5]
        over = state in {"Finished", "Killed", "Preempted", "Crashed"}
        failed = state == "Crashed"
        filler.put_run(
            f"{name}-{zlib.crc32(f'{name}{index}'.encode()):08x}",
            project=name.partition("-")[0],
            state=state,
            ago=1500.0 + 5400 * index,
            lasted=900.0 + 700 * (index % 6),
            attempt=None if state == "Queued" else 1 + index % 2,
            ranks={
                "expected": world,
                "running": 0 if over or state == "Queued" else world,
                "succeeded": world if state == "Finished" else 0,
                "failed": int(failed),
                "lost": 0,
            },
            failure={"rank": index, "reason": "NodeLost", "attempt": 1, "lastWords": []} if failed else None,
            workload={"kind": ("Job", "JobSet", "TrainJob", "PyTorchJob")[index % 4], "name": name, "uid": str(index)},
            **({"startedAt": None} if state == "Queued" else {}),
        )
