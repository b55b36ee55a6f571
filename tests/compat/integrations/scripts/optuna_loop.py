"""A study whose objective makes a run for each trial, as Optuna's users write it."""

import optuna
import wandb
from reporting import project, report

optuna.logging.set_verbosity(optuna.logging.WARNING)


def objective(trial):
    """(x - 2)^2, in five steps."""
    x = trial.suggest_float("x", -5, 5)
    run = wandb.init(project=project(), group="study", name=f"trial-{trial.number}", config=trial.params, reinit=True)
    for step in range(5):
        run.log({"value": (x - 2) ** 2 + 5 - step})
    run.finish()
    return (x - 2) ** 2


study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
study.optimize(objective, n_trials=6)
report({"params": [trial.params["x"] for trial in study.trials]})
