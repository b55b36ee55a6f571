"""resume, rewind, fork."""

from __future__ import annotations

from typing import Any

import pytest

from tests.compat.conftest import Area
from tests.compat.sdk import Sdk


def _make(sdk: Sdk) -> dict[str, Any]:
    project = f"resume-{sdk.release}"
    said = sdk.run("resume", project)
    return {"said": said, "runs": sdk.run("dump", project)}


@pytest.fixture
def made(area: Area) -> dict[str, Any]:
    """What the script said, and the project's runs."""
    found: dict[str, Any] = area("resume", _make)
    return found


def series(made: dict[str, Any], run: str, key: str) -> list[tuple[int, Any]]:
    """Step and value of each row that has the key."""
    return [(row["_step"], row[key]) for row in made["runs"][run]["rows"] if key in row]


def test_allow_makes_a_run(made: dict[str, Any]) -> None:
    seen = made["said"]["allow_new"]
    assert (seen["resumed"], seen["starting_step"]) == (False, 0)


def test_allow_resumes(made: dict[str, Any]) -> None:
    seen = made["said"]["allow_again"]
    assert (seen["resumed"], seen["starting_step"]) == (True, 3)
    assert made["said"]["allow_step_after"] == 5
    # one more row each by resume="must" and by the environment
    assert series(made, "allowed", "loss") == [(0, 0.5), (1, 0.4), (2, 0.3), (3, 0.2), (4, 0.1), (5, 0.05), (6, 3)]


def test_resumed_run_keeps_what_it_had(made: dict[str, Any]) -> None:
    said, run = made["said"], made["runs"]["allowed"]
    assert said["allow_summary"] == 0.3
    assert said["allow_config"] == {"lr": 1, "kept": "yes"}
    assert said["allow_tags"] == ["one"]
    assert run["config"] == {"lr": 1, "kept": "yes"}
    assert (run["tags"], run["notes"], run["summary"]["best"]) == (["one"], "first notes", 0.3)


def test_must_resumes(made: dict[str, Any]) -> None:
    seen = made["said"]["must_again"]
    assert (seen["resumed"], seen["starting_step"]) == (True, 5)


def test_must_needs_a_run(made: dict[str, Any]) -> None:
    assert made["said"]["must_missing"] in {"UsageError", "CommError"}
    assert "never-made" not in made["runs"]


def test_never_makes_a_run(made: dict[str, Any]) -> None:
    assert made["said"]["never_new"]["resumed"] is False


def test_never_refuses_an_existing_run(made: dict[str, Any]) -> None:
    assert made["said"]["never_existing"] in {"UsageError", "CommError"}
    assert series(made, "never", "loss") == [(0, 1)]


def test_auto_resumes_after_a_crash(made: dict[str, Any]) -> None:
    first, second = made["said"]["auto_first"], made["said"]["auto_second"]
    assert first[1:] == ["False", "0"]
    assert second == [first[0], "True", "2"]
    assert series(made, first[0], "loss") == [(0, 1), (1, 2), (2, 3)]
    assert made["runs"][first[0]]["state"] == "finished"


def test_resume_by_environment(made: dict[str, Any]) -> None:
    assert made["said"]["environment"] == ["allowed", "True", "6"]


def test_id_used_again_appends(made: dict[str, Any]) -> None:
    """Without resume the SDK begins at step 0 again; the rows before it are kept."""
    assert [row["loss"] for row in made["runs"]["reused"]["rows"]] in ([1, 2, 3], [1, 3, 2], [3, 2], [1, 2])
    assert len(made["runs"]["reused"]["rows"]) == 3


def summary(made: dict[str, Any], run: str) -> dict[str, Any]:
    """What the run's summary says of rows; the clock's keys are each client's own."""
    found: dict[str, Any] = made["runs"][run]["summary"]
    return {key: value for key, value in found.items() if key not in {"_wandb", "_runtime", "_timestamp"}}


def test_fork(made: dict[str, Any]) -> None:
    assert made["said"]["fork"]["starting_step"] == 5
    assert series(made, "child", "value") == [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (5, 100), (6, 101), (7, 102)]


def test_fork_of_a_fork(made: dict[str, Any]) -> None:
    assert series(made, "grandchild", "value") == [
        (0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (5, 100), (6, 101), (7, 1000),
    ]  # fmt: skip


def test_fork_begins_with_the_summary_of_its_parents_rows(made: dict[str, Any]) -> None:
    """As the client makes it of the same rows; what a person set at some time is not known to hold at that step."""
    assert summary(made, "five-rows")["all"] == {"min": 0, "max": 100, "mean": 21.4, "last": 4}
    assert summary(made, "forked-at-five") == summary(made, "five-rows")


def test_fork_adds_to_the_summary_that_it_inherited(made: dict[str, Any]) -> None:
    """The parent's `kept` is true up to the step of the fork."""
    assert summary(made, "child") == {"value": 102, "kept": True, "_step": 7}
    assert summary(made, "grandchild") == {"value": 1000, "kept": True, "_step": 7}
    assert summary(made, "parent")["kept"] is False


def test_config_of_a_fork_is_its_own(made: dict[str, Any]) -> None:
    """The client asks for nothing of the parent's: what its own process sees is what is kept."""
    assert made["said"]["fork_config"] == made["runs"]["child"]["config"] == {"child": 1}


def test_parent_of_a_fork_is_as_it_was(made: dict[str, Any]) -> None:
    assert series(made, "parent", "value") == [(step, step) for step in range(10)]
    assert made["runs"]["parent"]["summary"]["mine"] == "parent"


def test_rewind(made: dict[str, Any]) -> None:
    assert made["said"]["rewind"]["starting_step"] == 7
    assert series(made, "rewound", "value") == [*((step, step) for step in range(7)), (7, 60), (8, 70)]


def test_rewind_takes_the_summary_back(made: dict[str, Any]) -> None:
    assert summary(made, "rewound-to-five") == {**summary(made, "five-rows"), "plain": 50, "_step": 5}


def test_rewind_keeps_the_config(made: dict[str, Any]) -> None:
    assert made["said"]["rewind_config"] == made["runs"]["rewound"]["config"] == {"lr": 2, "kept": "yes"}


def test_rewind_of_what_is_not_there(made: dict[str, Any]) -> None:
    assert made["said"]["rewind_missing"] in {"CommError", "UsageError"}
