"""Loops of libraries that people train with: how many runs, how they are called, their x axes and values."""

from __future__ import annotations

from typing import Any

import pytest

from tests.compat.sdk import Areas, Sdk
from tools.sdk_venvs import INTEGRATIONS


@pytest.fixture
def sdk(areas: Areas) -> Sdk:
    """The current SDK release, beside the libraries."""
    return areas.sdk(INTEGRATIONS)


def by_name(runs: dict[str, Any]) -> dict[str, Any]:
    """Runs by what they are called; each name is there once."""
    found = {run["name"]: run for run in runs.values()}
    assert len(found) == len(runs)
    return found


def test_optuna_loop(sdk: Sdk) -> None:
    said = sdk.run("optuna_loop", "optuna-loop")
    runs = by_name(sdk.run("dump", "optuna-loop"))
    assert sorted(runs) == [f"trial-{number}" for number in range(6)]
    for number, x in enumerate(said["params"]):
        run = runs[f"trial-{number}"]
        assert (run["group"], run["state"]) == ("study", "finished")
        assert run["config"] == {"x": pytest.approx(x)}
        assert [row["value"] for row in run["rows"]] == pytest.approx([(x - 2) ** 2 + 5 - step for step in range(5)])


def test_optuna_callback(sdk: Sdk) -> None:
    """Of the `optuna-integration` package."""
    said = sdk.run("optuna_callback", "optuna-callback")
    runs = sdk.run("dump", "optuna-callback")
    (single,) = [run for run in runs.values() if run["group"] == "single"]
    assert [row["loss"] for row in single["rows"]] == pytest.approx([value for value, _ in said["False"]])
    assert [row["_step"] for row in single["rows"]] == [0, 1, 2, 3]
    several = {run["name"]: run for run in runs.values() if run["group"] == "multirun"}
    assert sorted(several) == [f"trial/{number}/{name}" for number, name in enumerate(_suffixes(several))]
    assert sorted(run["summary"]["loss"] for run in several.values()) == pytest.approx(
        sorted(value for value, _ in said["True"])
    )
    assert all(run["state"] == "finished" for run in runs.values())


def _suffixes(runs: dict[str, Any]) -> list[str]:
    """What follows the number in the names that the callback gives."""
    return [name.split("/", 2)[2] for name in sorted(runs)]


def test_lightgbm(sdk: Sdk) -> None:
    said = sdk.run("boosting", "lightgbm")
    (run,) = sdk.run("dump", "lightgbm").values()
    values = [row["valid_l2"] for row in run["rows"] if "valid_l2" in row]
    assert len(values) == 12
    assert values == sorted(values, reverse=True)
    assert values[-1] == pytest.approx(said["best"])
    assert run["config"]["objective"] == "regression"


def test_scikit_learn_plots(sdk: Sdk) -> None:
    """What the SDK draws of a classifier; its own failures with a newer scikit-learn are none of ours."""
    said = sdk.run("sklearn_plots", "sklearn")
    (run,) = sdk.run("dump", "sklearn").values()
    assert run["summary"]["accuracy"] == pytest.approx(said["accuracy"])
    assert said["raised"]["confusion"] is None
    assert any(name.startswith("media/table/") for name in run["files"])


def test_notebook(sdk: Sdk) -> None:
    """A kernel that runs cells: one run over several cells, and a second init that ends the first run."""
    shown = sdk.run("notebook", "notebook")
    runs = sdk.run("dump", "notebook")
    assert sorted(runs) == ["cells", "first", "second"]
    cells = runs["cells"]
    assert [(row["_step"], row["epoch"], row["loss"]) for row in cells["rows"]] == [
        (0, 0, 1.0),
        (1, 1, 0.5),
        (2, 2, pytest.approx(1 / 3)),
        (3, 3, 0.25),
    ]
    assert cells["state"] == "finished"
    assert "printed in a cell" in shown["finished"][2]
    assert cells["url"] in shown["finished"][2]
    assert cells["config"] == {"cells": 4}
    assert runs["first"]["state"] == "finished"
    assert [row["x"] for row in runs["second"]["rows"]] == [2]
