"""Each of eight processes makes a run of its own, in one group."""

import multiprocessing

import wandb
from reporting import project, report

P = project()


def train(rank):
    """What a rank does."""
    run = wandb.init(project=P, group="ddp", job_type="rank", name=f"rank-{rank}", config={"rank": rank})
    run.define_metric("loss", step_metric="epoch")
    for epoch in range(3):
        run.log({"epoch": epoch, "loss": rank + 1 / (epoch + 1)})
    run.finish()


if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    ranks = [context.Process(target=train, args=(rank,)) for rank in range(8)]
    for one in ranks:
        one.start()
    for one in ranks:
        one.join()
    report({"codes": [one.exitcode for one in ranks]})
