"""The SDK's own plots of a scikit-learn classifier."""

import wandb
from reporting import project, raised, report
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

samples, labels = load_iris(return_X_y=True)
train_x, test_x, train_y, test_y = train_test_split(samples, labels, random_state=0)
model = LogisticRegression(max_iter=500).fit(train_x, train_y)
predicted = model.predict(test_x)
run = wandb.init(project=project(), id="plots")
out = {
    "confusion": raised(wandb.sklearn.plot_confusion_matrix, test_y, predicted, ["a", "b", "c"]),
    "proportions": raised(wandb.sklearn.plot_class_proportions, train_y, test_y, ["a", "b", "c"]),
    "roc": raised(wandb.sklearn.plot_roc, test_y, model.predict_proba(test_x), ["a", "b", "c"]),
    "curve": raised(wandb.sklearn.plot_precision_recall, test_y, model.predict_proba(test_x), ["a", "b", "c"]),
}
run.log({"accuracy": model.score(test_x, test_y)})
run.finish()
report({"raised": out, "accuracy": model.score(test_x, test_y)})
