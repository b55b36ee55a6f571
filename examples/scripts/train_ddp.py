"""Data-parallel training on the 8 x 8 digits: CPU, gloo, a line for each step of each rank. Seconds, not minutes.

An ordinary program: tracking asks nothing of it. What it does beyond training is there to be looked at, and lets
tests provoke faults. Its environment:

EPOCHS        passes over the data (3)
STEPS         exactly this many steps, in as many passes as it takes
STEP_DELAY    seconds to wait after each step (0)
WORK_DIR      where rank 0 writes checkpoints/step-<n>.pt and out/report.json (the working directory)
RECORD_DIR    each rank keeps a copy of all it prints there, byte for byte
FAIL_RANK     this rank raises at step FAIL_STEP
OOM_RANK      this rank allocates at step OOM_STEP until it is killed
PEERS_WAIT    seconds that the other ranks wait at that step, before the next collective
OUTRIDER_DIR  set by Outrider: metrics go to user/rank<N>.jsonl below it
"""

from __future__ import annotations

import gzip
import json
import os
import sys
import time
from pathlib import Path

RANK, WORLD = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
RESTART = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")

if os.environ.get("RECORD_DIR"):
    from recording import record

    # What C++ prints passes Python by, so it would be missing from the record.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    record(Path(os.environ["RECORD_DIR"]), f"rank{RANK}.restart{RESTART}")

# After the record has begun, so that what they print is in it.
import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch.distributed as dist  # noqa: E402
from torch.nn.parallel import DistributedDataParallel  # noqa: E402

DIGITS = os.environ.get("DIGITS", "/usr/lib/python3/dist-packages/sklearn/datasets/data/digits.csv.gz")
CHECKPOINT_EVERY = 10
WORK = Path(os.environ.get("WORK_DIR", "."))
PEERS_WAIT = float(os.environ.get("PEERS_WAIT", "0"))


def number(name: str) -> int | None:
    """The integer in an environment variable, None where it is not set."""
    return int(os.environ[name]) if os.environ.get(name) else None


class Metrics:
    """Lines for Outrider, nothing where there is none."""

    def __init__(self) -> None:
        self._file = None
        if folder := os.environ.get("OUTRIDER_DIR"):
            try:
                self._file = open(f"{folder}/user/rank{RANK}.jsonl", "a", buffering=1)  # noqa: SIM115
            except OSError as error:  # training goes on without
                print(f"rank={RANK} no metrics for Outrider: {error}", file=sys.stderr, flush=True)

    def write(self, kind: str, data: dict, step: int | None = None) -> None:
        """One record of the given kind: log, config, summary, checkpoint."""
        if self._file is not None:
            record = {"type": kind, "rank": RANK, "step": step, "ts": time.time(), "data": data}
            self._file.write(json.dumps({key: value for key, value in record.items() if value is not None}) + "\n")


def load() -> tuple[torch.Tensor, torch.Tensor]:
    """Images (1797 x 64, 0 to 1) and their digits."""
    with gzip.open(DIGITS, "rt") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.float32)
    return torch.from_numpy(table[:, :-1] / 16), torch.from_numpy(table[:, -1]).long()


def batches(count: int, size: int = 64):  # type: ignore[no-untyped-def]
    """(epoch, indices) without end; every rank gets its own part of the same order."""
    epoch = 0
    while True:
        order = torch.randperm(count, generator=torch.Generator().manual_seed(epoch))[RANK::WORLD][: count // WORLD]
        for part in order.split(size):
            yield epoch, part
        epoch += 1


def provoke(step: int) -> None:
    """The faults that were asked for at this step."""
    faults = {number("FAIL_RANK"): number("FAIL_STEP"), number("OOM_RANK"): number("OOM_STEP")}
    if not any(rank is not None and at == step for rank, at in faults.items()):
        return
    if faults.get(RANK) != step:
        time.sleep(PEERS_WAIT)
    elif number("FAIL_RANK") == RANK:
        raise ValueError(f"rank {RANK} was asked to fail at step {step}")
    else:
        held = []
        while True:
            held.append(bytearray(os.urandom(1 << 20) * 32))
            print(f"rank={RANK} step={step} holding_mib={32 * len(held)}", flush=True)


def checkpoint(model: torch.nn.Module, step: int, metrics: Metrics) -> None:
    """Rank 0's parameters, complete or not there."""
    folder = WORK / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step-{step}.pt"
    torch.save(model.state_dict(), path.with_suffix(".tmp"))
    path.with_suffix(".tmp").rename(path)
    metrics.write("checkpoint", {"path": f"checkpoints/{path.name}"}, step)


def main() -> None:
    """Train, and say so."""
    torch.set_num_threads(1)
    metrics = Metrics()
    dist.init_process_group("gloo")
    print(f"rank={RANK} world={WORLD} local_rank={os.environ['LOCAL_RANK']} restart={RESTART} joined", flush=True)
    images, digits = load()
    count = len(images) * 4 // 5
    torch.manual_seed(1)
    network = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
    model = DistributedDataParallel(network)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
    loss_of = torch.nn.CrossEntropyLoss()
    steps, epochs = number("STEPS"), number("EPOCHS") or 3
    if RANK == 0:
        metrics.write("config", {"lr": 0.2, "momentum": 0.9, "batch": 64, "world": WORLD})
    step, delay = 0, float(os.environ.get("STEP_DELAY", "0"))
    for epoch, part in batches(count):
        if step == steps or (steps is None and epoch == epochs):
            break
        step += 1
        provoke(step)
        began = time.perf_counter()
        optimizer.zero_grad()
        loss = loss_of(model(images[part]), digits[part])
        loss.backward()
        optimizer.step()
        took = time.perf_counter() - began
        print(f"rank={RANK} step={step} epoch={epoch} loss={loss.item():.4f} ms={took * 1e3:.1f}", flush=True)
        metrics.write("log", {"loss": loss.item(), "epoch": epoch, "step_seconds": took}, step)
        if RANK == 0 and step % CHECKPOINT_EVERY == 0:
            checkpoint(network, step, metrics)
        time.sleep(delay)
    with torch.no_grad():
        right = (network(images[count:]).argmax(1) == digits[count:]).float().mean().item()
    print(f"rank={RANK} steps={step} accuracy={right:.3f} done", flush=True)
    if RANK == 0:
        (WORK / "out").mkdir(parents=True, exist_ok=True)
        (WORK / "out/report.json").write_text(json.dumps({"steps": step, "accuracy": right, "world": WORLD}) + "\n")
        metrics.write("summary", {"accuracy": right, "steps": step})
    dist.destroy_process_group()


if __name__ == "__main__":
    sys.exit(main())
