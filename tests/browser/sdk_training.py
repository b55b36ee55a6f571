"""A training that logs all kinds of things through the W&B client; run in an environment that has it, not in ours.

python sdk_training.py log      makes the runs of the tests, with a hostile text everywhere, and ends
python sdk_training.py picture  the same runs without it
python sdk_training.py live     a run that prints each line it reads, until its input ends
python sdk_training.py pod ID NAME      the run of a pod, with a bit of everything
"""

import math
import os
import random
import sys
from pathlib import Path

import numpy as np
import wandb
from PIL import Image

ENTITY, PROJECT = "vision", "digits"
EVIL = "<img src=x onerror='window.outriderHacked=true'>"
PAGE = """<h1>Report</h1><p id="said">made without a script</p><script>
document.getElementById("said").textContent = "a script ran";
try { window.top.outriderHacked = true } catch (error) { }
</script>"""
SVG = """<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40" onload="window.top.outriderHacked=true">
<script>window.top.outriderHacked = true</script><circle cx="20" cy="20" r="18" fill="teal"/></svg>"""


def start(identity: str, **more: object) -> "wandb.Run":
    """A run of the project."""
    settings = wandb.Settings(console="wrap", x_stats_sampling_interval=1.0, x_file_stream_transmit_interval=1.0)
    return wandb.init(entity=ENTITY, project=PROJECT, id=identity, settings=settings, reinit=True, **more)


def picture(seed: int) -> Image.Image:
    """A blurred digit's worth of colours."""
    across = np.linspace(0, 3, 96)
    red = 127 * (1 + np.sin(across[:, None] * (1 + seed) + across[None, :]))
    green = 127 * (1 + np.cos(across[None, :] * (2 + seed % 3)))
    blue = np.full((96, 96), 40 * (seed % 6))
    return Image.fromarray(np.stack([red, green * np.ones((96, 1)), blue], axis=2).astype(np.uint8))


def train(run: "wandb.Run", steps: int, rate: float) -> None:
    """Curves with an epoch, as trainings have them."""
    chance = random.Random(run.id)
    run.define_metric("epoch", hidden=True)
    run.define_metric("val/*", step_metric="epoch")
    run.define_metric("train/loss", summary="min")
    for step in range(steps):
        loss = 2.3 * math.exp(-step * rate) + 0.2 + chance.random() * 0.15
        row = {"train/loss": loss, "train/lr": rate * (1 - step / steps), "epoch": step // 20}
        row["grad_norm"] = 1 + chance.random()
        if step % 20 == 19:
            row["val/accuracy"] = 0.97 * (1 - math.exp(-(step + 1) * rate)) - chance.random() * 0.02
        run.log(row)


def whole(odd: str) -> None:
    """One run with everything; `odd` is a text that stands in all of it."""
    config = {"lr": 0.03, "optimizer": {"name": "adamw", "betas": [0.9, 0.99]}, "batch_size": 256, odd: odd}
    notes = f"Baseline with the new loader.\n{odd}"
    tags = ["baseline", odd]
    run = start("whole", name="proud-otter", config=config, tags=tags, notes=notes, group="ablation", job_type="train")
    train(run, 400, 0.012)
    for step in range(3):
        shown = [wandb.Image(picture(step * 3 + each), caption=f"digit {each}, {step}") for each in range(3)]
        run.log({"samples": shown})
    rows = [[row, row % 10, odd if row == 3 else f"text {row}"] for row in range(60)]
    curve = wandb.Table(columns=["recall", "precision"], data=[[x / 20, 1 - (x / 20) ** 3] for x in range(21)])
    Path("evil.svg").write_text(SVG)
    run.log(
        {
            "weights": wandb.Histogram(np.random.default_rng(0).normal(size=4000)),
            "predictions": wandb.Table(columns=["id", "guess", odd], data=rows),
            "report": wandb.Html(PAGE, inject=False),
            "recall": wandb.plot.line(curve, "recall", "precision", title="Precision over recall"),
        }
    )
    run.save("evil.svg", policy="now")
    run.alert(title="Loss is flat", text=f"for 100 steps, {odd}", level=wandb.AlertLevel.WARN)
    print("\x1b[32mepoch 19\x1b[0m loss=0.213")
    print(odd)
    print("Warning: the loader is slow", file=sys.stderr)
    run.finish()


def others() -> None:
    """Runs to compare with."""
    several = [
        ("a-fast", "swift-crane", 0.03, 0),
        ("b-slow", "calm-birch", 0.004, 0),
        ("c-broken", "misty-fjord", 0.02, 1),
    ]
    for name, title, rate, code in several:
        run = start(name, name=title, config={"lr": rate}, tags=["sweep"], group="ablation")
        train(run, 300 if code == 0 else 90, rate)
        run.finish(exit_code=code)


def pods(identity: str, name: str) -> None:
    """A short one."""
    run = start(identity, name=name, config={"lr": 0.02, "seed": 7}, tags=["from-code"], notes="Said by the code.")
    train(run, 60, 0.02)
    run.log({"samples": wandb.Image(picture(1), caption="digit 1")})
    run.alert(title="Loss is flat", text="for 100 steps")
    print("printed by the code")
    run.finish()


def live() -> None:
    """Prints what it is told."""
    run = start("live", name="live-one")
    run.log({"loss": 1.0})
    print("ready", flush=True)
    for line in sys.stdin:
        text = line.rstrip("\n")
        if text == "bar":
            for part in range(0, 101, 50):
                sys.stdout.write(f"\rprogress {part}%")
                sys.stdout.flush()
            print()
        else:
            print(text, flush=True)
    run.finish()


if __name__ == "__main__":
    os.environ.setdefault("WANDB_SILENT", "true")
    if sys.argv[1] == "live":
        live()
    elif sys.argv[1] == "pod":
        pods(*sys.argv[2:])
    else:
        whole("amp" if sys.argv[1] == "picture" else EVIL)
        others()
