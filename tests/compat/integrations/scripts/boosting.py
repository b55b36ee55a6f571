"""LightGBM with the callback that the SDK brings."""

import lightgbm
import numpy as np
import wandb
from reporting import project, report
from wandb.integration.lightgbm import wandb_callback

rng = np.random.default_rng(0)
samples = rng.random((200, 4))
labels = samples @ np.array([1.0, 2.0, 0.0, -1.0])
train = lightgbm.Dataset(samples[:150], labels[:150])
valid = lightgbm.Dataset(samples[150:], labels[150:], reference=train)
run = wandb.init(project=project(), id="boosting")
booster = lightgbm.train(
    {"objective": "regression", "metric": "l2", "verbose": -1, "num_threads": 1},
    train,
    num_boost_round=12,
    valid_sets=[valid],
    valid_names=["valid"],
    callbacks=[wandb_callback()],
)
run.finish()
report({"best": booster.best_score["valid"]["l2"]})
