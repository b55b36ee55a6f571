"""The generator: what has a structural form, what has none; and that what is committed is current."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from outrider_operator.api.base import Between, Model, clip, parse_duration
from outrider_operator.api.crd import run_crd
from outrider_operator.api.reference import run_reference
from outrider_operator.api.run import Run, RunStatus
from outrider_operator.api.schema import SchemaError, structural
from outrider_operator.api.states import RunState
from outrider_operator.manifests import crds_yaml, policies_yaml, rbac_yaml

ROOT = Path(__file__).parents[4]


class Colour(StrEnum):
    RED = "red"


class Inner(Model):
    """A piece."""

    size: Annotated[int, Field(gt=0, lt=9)]
    """How large
    it is."""


class Outer(Model):
    """A whole."""

    inner: Inner
    """The piece in it."""
    maybe: Inner | None = None
    colour: Colour = Colour.RED
    """Its colour."""
    fixed: Literal["x"] = "x"
    names: dict[str, str] = Field(default_factory=dict)
    anything: dict[str, Any] | None = None
    pause: Annotated[str, Between("1s", "1m")] = "5s"


class Recursive(Model):
    again: "Recursive | None" = None


class Either(Model):
    value: int | str


class OneOf(Model):
    pair: tuple[int, str]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("crds/runs.yaml", crds_yaml),
        ("crds/policies.yaml", policies_yaml),
        ("crds/kinds.yaml", rbac_yaml),
        ("docs/reference/run.md", run_reference),
    ],
)
def test_the_committed_files_are_current(file: str, text: Any) -> None:
    """If not: `outrider-operator crds [--policies | --rbac | --reference] > …`."""
    assert (ROOT / file).read_text() == text()


def test_a_model_becomes_a_structural_schema() -> None:
    """References written out, null dropped, defaults told in words, two keywords for an exclusive bound."""
    inner = {
        "type": "object",
        "required": ["size"],
        "properties": {
            "size": {
                "type": "integer",
                "description": "How large it is.",
                "minimum": 0,
                "exclusiveMinimum": True,
                "maximum": 9,
                "exclusiveMaximum": True,
            }
        },
    }
    found = structural(Outer)
    assert found.pop("description") == "A whole."
    assert found == {
        "type": "object",
        "required": ["inner"],
        "properties": {
            "inner": {**inner, "description": "The piece in it."},
            "maybe": {**inner, "description": "A piece."},
            "colour": {"type": "string", "enum": ["red"], "description": "Its colour. Default: red."},
            "fixed": {"type": "string", "enum": ["x"]},
            "names": {"type": "object", "additionalProperties": {"type": "string"}},
            "anything": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            "pause": {
                "type": "string",
                "minLength": 2,
                "maxLength": 20,
                "pattern": "^([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,6}s)?$",
                "x-kubernetes-validations": [
                    {
                        "rule": "duration(self) >= duration('1s') && duration(self) <= duration('1m')",
                        "message": "must be a duration between 1s and 1m, such as 30s, 10m or 1h30m",
                    }
                ],
            },
        },
    }


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (Recursive, "contains itself; a structural schema cannot"),
        (Either, "Either.value: a union of types has no structural form"),
        (OneOf, "OneOf.pair: prefixItems has no structural form"),
    ],
)
def test_what_has_no_structural_form_is_refused_when_generating(model: Any, sentence: str) -> None:
    """Not when the API server is asked."""
    with pytest.raises(SchemaError, match=sentence):
        structural(model)


def walk(node: dict[str, Any], where: str = "") -> Any:
    """All nodes of a schema with their places."""
    yield where, node
    for name, child in node.get("properties", {}).items():
        yield from walk(child, f"{where}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            yield from walk(node[key], f"{where}.{key}")


def test_everything_in_the_run_is_bounded() -> None:
    """Strings, lists, maps: what has no bound makes CEL rules too dear and objects too large."""
    bounds = {"string": {"maxLength", "enum", "format"}, "array": {"maxItems"}, "integer": None}
    for where, node in walk(structural(Run)):
        if where.startswith((".metadata", ".apiVersion", ".kind")) or node["type"] == "integer":
            continue
        wanted = bounds.get(node["type"])
        if "additionalProperties" in node:
            wanted = {"maxProperties"}
        assert wanted is None or wanted & node.keys(), f"{where} has no bound"


def test_everything_in_the_run_is_described() -> None:
    """`kubectl explain run.spec` is the first documentation that people see."""
    for where, node in walk(structural(Run)):
        if not where.endswith((".items", ".additionalProperties")):
            assert node.get("description"), f"{where} has no description"


def test_a_stored_object_of_a_newer_version_is_read() -> None:
    """Unknown fields are dropped, not refused, or a rollback would lose sight of every Run."""
    stored = {
        "apiVersion": "outrider.dev/v1alpha1",
        "kind": "Run",
        "metadata": {"name": "a", "managedFields": []},
        "spec": {"workloadRef": {"apiVersion": "batch/v1", "kind": "Job", "name": "a", "new": 1}, "launch": {}},
        "status": {"state": "Finished", "summary": {"loss": 1}},
    }
    run = Run.model_validate(stored)
    assert run.status.state is RunState.FINISHED
    assert run.spec.workload_ref is not None
    assert run.spec.collect.metrics.interval == "10s"


def test_a_workload_keeps_every_field_it_was_given() -> None:
    """Also those that no model knows."""
    workload = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"labels": {"a": "b"}, "finalizers": ["x"]},
        "spec": {"completions": 2, "template": {"spec": {"containers": [{"name": "t"}]}}},
        "data": {"k": "v"},
    }
    run = Run.model_validate({"metadata": {"name": "a"}, "spec": {"workload": workload}})
    assert run.spec.workload is not None
    assert run.spec.workload.to_wire() == workload


def test_absent_fields_stay_absent_on_the_wire() -> None:
    """Server-side apply owns what is written, so nothing is written without need."""
    assert RunStatus(state=RunState.PENDING).to_wire().keys() == {"state", "attempts", "conditions"}


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10m", 600), ("1h30m", 5400), ("0s", 0), ("2h0m5s", 7205)])
def test_durations(text: str, seconds: int) -> None:
    """In whole seconds."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "10", "1d", "-5s", "5s1m", " 5s", "1.5s", "1234567s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """With an example of one."""
    with pytest.raises(ValueError, match="is not a duration such as 30s, 10m or 1h30m"):
        parse_duration(text)


def test_clipping_counts_bytes_and_never_cuts_a_character() -> None:
    """256 of four bytes each are 1024 bytes, of which 256 may stay."""
    assert clip("abc", 3) == "abc"
    assert clip("abcd", 4) == "abcd"
    assert clip("abcde", 4) == "a…"
    found = clip("\U0001f40e" * 256, 256)
    assert len(found.encode()) <= 256
    assert found.endswith("\U0001f40e…")
    assert clip("a\ud800b", 10) == "a?b"


def test_every_column_of_kubectl_reads_a_field_that_there_is() -> None:
    """The project is the one that the controller resolved, not only what the spec says."""
    (version,) = run_crd()["spec"]["versions"]
    paths = {column["name"]: column["jsonPath"] for column in version["additionalPrinterColumns"]}
    fields = {where for where, _ in walk(version["schema"]["openAPIV3Schema"])} | {".metadata.creationTimestamp"}
    assert set(paths.values()) <= fields
    assert paths["Project"] == ".status.project"
