"""run.log and define_metric."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from tests.compat.conftest import Area
from tests.compat.sdk import Sdk


def _make(sdk: Sdk) -> dict[str, Any]:
    project = f"log-{sdk.release}"
    said = sdk.run("log", project)
    return {"said": said, "runs": sdk.run("dump", project)}


@pytest.fixture
def logged(area: Area) -> dict[str, Any]:
    """What the script said, and the project's runs as `wandb.Api` reads them."""
    made: dict[str, Any] = area("log", _make)
    return made


def rows(logged: dict[str, Any], run: str) -> list[dict[str, Any]]:
    """The rows of a run without the client's own keys, except the step."""
    return [
        {key: value for key, value in row.items() if key not in {"_timestamp", "_runtime"}}
        for row in logged["runs"][run]["rows"]
    ]


def test_implicit_steps(logged: dict[str, Any]) -> None:
    assert logged["said"]["starting_step"] == 0
    assert logged["said"]["implicit_steps"] == [1, 2, 3]
    assert rows(logged, "implicit") == [
        {"loss": 0.5, "_step": 0},
        {"loss": 0.25, "_step": 1},
        {"loss": 0.125, "_step": 2},
    ]


def test_step(logged: dict[str, Any]) -> None:
    """Calls with one step make one row; a step that has passed is dropped."""
    assert rows(logged, "explicit") == [
        {"a": 1, "b": 2, "_step": 5},
        {"a": 5, "b": 4, "_step": 7},
        {"a": 6, "_step": 8},
    ]


def test_commit(logged: dict[str, Any]) -> None:
    """A row is made by the first call that commits; what was left over is written by finish."""
    assert rows(logged, "partial") == [
        {"a": 1, "b": 2, "c": 3, "_step": 0},
        {"a": 4, "_step": 1},
        {"a": 5, "tail": 1, "_step": 2},
    ]


def test_commit_is_false_with_step(logged: dict[str, Any]) -> None:
    assert rows(logged, "explicit")[0] == {"a": 1, "b": 2, "_step": 5}


def test_nested_and_sections(logged: dict[str, Any]) -> None:
    first, second = rows(logged, "nested")
    assert flat(first) == {"train.loss": 0.5, "train.deep.er": 1, "a/b/c": 7, "_step": 0}
    assert flat(second) == {"train.loss": 0.25, "a/b/c": 8, "dotted.name": 3, "_step": 1}


def flat(row: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings by their dotted names, which is what older clients already answer."""
    out: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, dict):
            out.update(flat(value, f"{prefix}{key}."))
        else:
            out[prefix + key] = value
    return out


def test_values_of_every_kind(logged: dict[str, Any]) -> None:
    (row,) = rows(logged, "values")
    wanted = {
        "int": 2**53 + 1, "negative": -7, "whole": 2.0, "tiny": 1e-300,
        "text": "Grüße ✓", "yes": True, "no": False, "nothing": None, "list": [1, 2, 3],
    }  # fmt: skip
    assert {key: row.get(key) for key in wanted} == wanted
    assert [str(row[key]).lower() for key in ("nan", "inf", "minus")] in (
        [["nan", "inf", "-inf"], ["nan", "infinity", "-infinity"]]
    )


def test_bad_data_is_refused(logged: dict[str, Any]) -> None:
    """By the SDK; the run goes on."""
    assert all(name in {"ValueError", "TypeError"} for name in logged["said"]["bad"].values())
    assert [row["good"] for row in rows(logged, "errors") if "good" in row] == [1]


def test_sync(logged: dict[str, Any], release: str) -> None:
    assert logged["said"]["sync"] == ("used" if release == "0.19.11" else "absent: log(sync)")
    if release == "0.19.11":
        assert [row["a"] for row in rows(logged, "sync")] == [1, 2]


def test_many_rows(logged: dict[str, Any]) -> None:
    assert [row["step_squared"] for row in rows(logged, "many")] == [step * step for step in range(250)]
    assert logged["runs"]["many"]["last_step"] == 249


def test_sampled_history(logged: dict[str, Any]) -> None:
    assert len(logged["runs"]["many"]["sampled"]) == 250


def test_many_keys(logged: dict[str, Any]) -> None:
    (row,) = rows(logged, "wide")
    assert len(row) == 301
    assert row["key/123"] == 123


def test_timestamp_and_runtime(logged: dict[str, Any]) -> None:
    found = logged["runs"]["many"]["rows"]
    assert all(one["_timestamp"] <= two["_timestamp"] for one, two in pairwise(found))
    assert all(0 <= row["_runtime"] < 120 for row in found)


def metrics(logged: dict[str, Any]) -> dict[str, Any]:
    """The summary of the run whose metrics were defined."""
    summary: dict[str, Any] = logged["runs"]["metrics"]["summary"]
    return summary


def definitions(logged: dict[str, Any]) -> dict[str, Any]:
    """The metric definitions that came with the config, by name: the numbers are the fields of the client's record."""
    found = logged["runs"]["metrics"]["internal"]["m"]
    for one in found:
        if "5" in one:
            one["step"] = found[int(one["5"]) - 1]["1"]
    return {one.get("1", one.get("2")): one for one in found}


def test_any_metric_as_x_axis(logged: dict[str, Any]) -> None:
    found = definitions(logged)
    steps = [found[name]["step"] for name in ("first", "synced")]
    assert steps == ["epoch", "epoch"]


def test_define_metric_glob(logged: dict[str, Any]) -> None:
    found = definitions(logged)
    assert found["val/acc" if "val/acc" in found else "val/*"]["step"] == "epoch"


def test_define_metric_summary_max(logged: dict[str, Any]) -> None:
    assert metrics(logged)["acc"] == {"max": 5}


def test_define_metric_summary_several(logged: dict[str, Any]) -> None:
    assert metrics(logged)["err"] == {"min": 1, "max": 5, "mean": pytest.approx(8 / 3), "last": 2}


def test_define_metric_summary_none(logged: dict[str, Any]) -> None:
    assert "quiet" not in metrics(logged)


def test_define_metric_summary_last(logged: dict[str, Any]) -> None:
    assert metrics(logged)["first"] in ({"last": 2}, 2)


def test_define_metric_summary_best_and_goal(logged: dict[str, Any], release: str) -> None:
    """The SDK leaves "best" to those who read: it sends the goal (1 minimize, 2 maximize), and the last value."""
    if tuple(map(int, release.split("."))) >= (0, 29):
        assert logged["said"]["goal"] == "absent: define_metric(goal)"
        return
    found = definitions(logged)
    assert (found["best_up"]["8"], found["best_down"]["8"]) == (2, 1)
    assert (metrics(logged)["best_up"], metrics(logged)["best_down"]) == (2, 2)


def test_define_metric_summary_copy(logged: dict[str, Any]) -> None:
    assert metrics(logged)["copied"] == 2


def test_define_metric_overwrite(logged: dict[str, Any]) -> None:
    assert metrics(logged)["merged"] == {"min": 1, "max": 5}
    assert metrics(logged)["replaced"] == {"max": 5}


def test_define_metric_hidden(logged: dict[str, Any]) -> None:
    """Option 2 of a definition is "hidden"."""
    assert 2 in definitions(logged)["epoch"]["6"]


def test_define_metric_step_sync(logged: dict[str, Any]) -> None:
    """Rows that log the metric alone carry the last value of its x axis."""
    synced = [row for row in rows(logged, "metrics") if "synced" in row]
    assert [row.get("epoch") for row in synced] == [0, 1, 2]


def test_default_summary_is_the_last_value(logged: dict[str, Any]) -> None:
    assert logged["runs"]["implicit"]["summary"]["loss"] == 0.125
