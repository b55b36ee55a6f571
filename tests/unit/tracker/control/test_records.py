"""Records of Runs: what the controller's door accepts can be read again, as a list and in full."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from outrider_tracker.api.models import Run, RunSummary
from outrider_tracker.control import records
from outrider_tracker.core import jsontext
from outrider_tracker.core.errors import RefusedError
from tests.integration.tracker.process import run_record

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=4)
PARTS: dict[str, list[str]] = {
    "workload": ["apiVersion", "kind", "name", "uid"],
    "failure": ["rank", "exitCode", "signal", "lastWords", "message"],
    "ranks": ["expected", "running", "lost"],
    "attempts": ["number", "state", "endedAt"],
    "conditions": ["type", "status", "message"],
}


@st.composite
def odd_records(draw: st.DrawFn) -> dict[str, Any]:
    """A controller's record in which one field, or one of a part's, is anything."""
    record = run_record(failure={"rank": 1}, attempts=[{"number": 1}], conditions=[{"type": "a", "status": "True"}])
    key = draw(st.sampled_from(sorted(record)))
    if key in PARTS and draw(st.booleans()):
        part = record[key]
        inner = part[0] if isinstance(part, list) else part
        inner[draw(st.sampled_from(PARTS[key]) | st.text())] = draw(VALUES)
    else:
        record[key] = draw(VALUES)
    return record


def nested(depth: int) -> dict[str, Any]:
    """Objects in objects."""
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


def answer(record: dict[str, Any], model: type[RunSummary]) -> None:
    """What the read API makes of a stored record."""
    collection = {"unsentBytes": 0, "lostBytes": 0, "lagSeconds": None}
    own = {"id": "r", "entity": "e", "project": "p", "url": "/e/p/runs/r", "kind": "run", "collection": collection}
    stored = json.loads(jsontext.write(record))
    shown = model.model_validate({**stored, **own}).model_dump(mode="json")
    assert json.loads(jsontext.encode(shown))["id"] == "r"


@given(odd_records())
@example(run_record(workload={"name": []}))
@example(run_record(config=nested(64)))
@example(run_record(config={"lr": float("inf")}))
@example(run_record(later=nested(64), workload=nested(64)))
def test_what_is_accepted_can_be_read(record: dict[str, Any]) -> None:
    """One record that cannot be would take a whole list with it."""
    try:
        accepted = records.complete(jsontext.read_object(jsontext.write(record).encode()))
    except (RefusedError, ValueError):
        return
    answer(accepted, RunSummary)
    answer(accepted, Run)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("workload", {"name": []}, "workload.name: Input should be a valid string"),
        ("failure", {"exitCode": "x"}, "failure.exitCode: Input should be a valid integer"),
        ("attempts", [{"number": 1}, {"number": 2, "state": 5}], "attempts[].state: Input should be a valid string"),
        ("conditions", [{"type": "a", "status": "b", "reason": {}}], "conditions[].reason: Input should be a valid"),
        ("conditions", [{"type": "a"}], "status must be a text that is not empty"),
        ("workload", [], "workload must be an object"),
        ("tags", ["a", 1], "tags must be a list of texts"),
        ("config", nested(70), "config must be nested at most 64 levels deep"),
    ],
)
def test_the_field_that_is_wrong_is_named(field: str, value: Any, said: str) -> None:
    """400, with a sentence."""
    with pytest.raises(RefusedError) as refused:
        records.complete(run_record(**{field: value}))
    assert str(refused.value).startswith(said)


def test_a_record_of_a_newer_controller_keeps_its_fields() -> None:
    """Also in its parts."""
    record = records.complete(run_record(later={"a": 1}, workload={"kind": "Job", "later": [1]}))
    assert record["later"] == {"a": 1}
    assert record["workload"] == {"kind": "Job", "later": [1]}
