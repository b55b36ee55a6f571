"""Optuna's own callback for W&B: one run for the study, then one for each trial."""

import optuna
from optuna_integration.wandb import WeightsAndBiasesCallback
from reporting import project, report

optuna.logging.set_verbosity(optuna.logging.WARNING)


def objective(trial):
    """Something to minimise."""
    return (trial.suggest_float("x", -5, 5) - 2) ** 2 + trial.suggest_int("n", 1, 3)


values = {}
for multirun in (False, True):
    callback = WeightsAndBiasesCallback(
        metric_name="loss",
        wandb_kwargs={"project": project(), "group": "multirun" if multirun else "single"},
        as_multirun=multirun,
    )
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=2))
    study.optimize(objective, n_trials=4, callbacks=[callback])
    if not multirun:
        import wandb

        wandb.finish()
    values[str(multirun)] = [[trial.value, trial.params["x"]] for trial in study.trials]
report(values)
