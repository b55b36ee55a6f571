"""Cross-validation: a run for each fold, all in one process and one group."""

import wandb
from reporting import project, report
from sklearn.datasets import load_iris
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import KFold

samples, labels = load_iris(return_X_y=True)
scores = []
for fold, (train, test) in enumerate(KFold(5, shuffle=True, random_state=0).split(samples)):
    run = wandb.init(project=project(), group="iris", job_type="fold", name=f"fold-{fold}", config={"fold": fold})
    run.define_metric("*", step_metric="epoch")
    model = SGDClassifier(random_state=0)
    for epoch in range(4):
        model.partial_fit(samples[train], labels[train], classes=[0, 1, 2])
        run.log({"epoch": epoch, "accuracy": model.score(samples[test], labels[test])})
    scores.append(run.summary["accuracy"])
    wandb.finish()
report({"scores": scores})
