"""Which workloads get a Run that nobody wrote, and what it says."""

from typing import Any

import pytest

from outrider_operator.core.adoption import asks, decide, namespace_project, spec_from
from outrider_operator.core.observed import JobView, PodView
from tests.unit.operator.core.build import JOB_UID, T0, condition, done_pod, job, pod, run

NAME = "job-11111111"
TTL = 3600.0
NOW = T0 + 100

ASKS = {
    "the annotation": (({"outrider.dev/inject": "true"}, {}, False), True),
    "the label": (({}, {"outrider.dev/inject": "true"}, False), True),
    "the namespace": (({}, {}, True), True),
    "nobody": (({}, {}, False), False),
    "false in the label wins": (({"outrider.dev/inject": "true"}, {"outrider.dev/inject": "false"}, True), False),
    "false in the annotation wins over the namespace": (({"outrider.dev/inject": "false"}, {}, True), False),
    "another word asks for nothing": (({"outrider.dev/inject": "TRUE"}, {}, False), False),
}


@pytest.mark.parametrize(("args", "want"), ASKS.values(), ids=ASKS.keys())
def test_who_asks(args: Any, want: bool) -> None:
    """ "false" always wins."""
    assert asks(*args) is want


def decision(workload: JobView | PodView, **more: Any) -> str:
    values: dict[str, Any] = {
        "runs": {}, "claimed": False, "dropped": False, "namespace_asks": False, "project": None, "ttl": TTL,
        "now": NOW,
    }  # fmt: skip
    found = decide(workload, **(values | more))
    if found.make is not None:
        return "make"
    return "forget" if found.forget else f"mark {found.mark}" if found.mark else "nothing"


MARK = (("outrider.dev/run", NAME),)
OLD = (condition("Complete", at=NOW - TTL),)
ASKED = (("outrider.dev/inject", "true"),)
TABLE: dict[str, tuple[JobView | PodView, dict[str, Any], str]] = {
    "a Job that asks": (job(), {}, "make"),
    "a Job that does not": (job(template_annotations=()), {}, "nothing"),
    "a Job in a namespace that asks": (job(template_annotations=()), {"namespace_asks": True}, "make"),
    "a Job that says false there": (
        job(template_annotations=(("outrider.dev/inject", "false"),)),
        {"namespace_asks": True},
        "nothing",
    ),
    "its Run is there": (job(), {"runs": {NAME: run()}}, f"mark {NAME}"),
    "its Run is there and it is marked": (job(annotations=MARK), {"runs": {NAME: run()}}, "nothing"),
    "marked, and its Run is gone": (job(annotations=MARK), {}, "forget"),
    "could not be marked, and its Run was seen to go": (job(), {"dropped": True}, "forget"),
    "marked with another Run's name": (job(annotations=(("outrider.dev/run", "x"),)), {}, "make"),
    "forgotten": (job(annotations=(("outrider.dev/forgotten", "true"),)), {}, "nothing"),
    "claimed by a written Run": (job(), {"claimed": True}, "nothing"),
    "made by a Run": (job(owner=("Run", "r", "uid")), {}, "nothing"),
    "made by a CronJob": (job(owner=("CronJob", "c", "uid")), {}, "make"),
    "ended within the TTL": (job(conditions=(condition("Complete", at=NOW - TTL + 1),)), {}, "make"),
    "ended longer ago": (job(conditions=OLD), {}, "nothing"),
    "its name is held by a written Run": (job(), {"runs": {NAME: run(labels={})}}, "nothing"),
    "its name is held by another workload's Run": (
        job(),
        {"runs": {NAME: run(spec={"workloadRef": {"uid": "other"}}, annotations={})}},
        "nothing",
    ),
    "gone": (job(gone=True), {}, "nothing"),
    "a bare pod by label": (pod(None, owner=None, labels=ASKED), {}, "make"),
    "a bare pod in a namespace that asks": (pod(None, owner=None), {"namespace_asks": True}, "nothing"),
    "a bare pod that ended long ago": (done_pod(None, owner=None, labels=ASKED), {"now": T0 + 10 + TTL}, "nothing"),
}


@pytest.mark.parametrize(("workload", "more", "want"), TABLE.values(), ids=TABLE.keys())
def test_what_is_done_for_a_workload(workload: JobView | PodView, more: dict[str, Any], want: str) -> None:
    """At most one step; each is found done when it is repeated."""
    assert decision(workload, **more) == want


def test_the_run_of_a_found_job() -> None:
    """Named by its UID, labelled as made by us, bound to that object, with no owner."""
    found = decide(
        job(template_annotations=(*ASKED, ("outrider.dev/group", "g"))),
        runs={}, claimed=False, dropped=False, namespace_asks=False, project="ours", ttl=TTL, now=NOW,
    )  # fmt: skip
    assert found.make is not None
    assert found.make.body == {
        "apiVersion": "outrider.dev/v1alpha1",
        "kind": "Run",
        "metadata": {
            "name": NAME,
            "namespace": "team",
            "labels": {"outrider.dev/auto": "true"},
            "annotations": {"outrider.dev/workload-uid": JOB_UID},
        },
        "spec": {
            "project": "ours",
            "group": "g",
            "workloadRef": {"apiVersion": "batch/v1", "kind": "Job", "name": "job", "uid": JOB_UID},
        },
    }


def test_every_annotation_has_its_field() -> None:
    """Tags are split and made unique, config is JSON, the template's project wins over the namespace's."""
    spec, problems = spec_from(
        {
            "outrider.dev/project": "resnet", "outrider.dev/name": "ResNet-50", "outrider.dev/group": "g",
            "outrider.dev/job-type": "train", "outrider.dev/tags": "a, b,a", "outrider.dev/notes": "n",
            "outrider.dev/config": '{"lr": 0.1}',
        },
        "default",
    )  # fmt: skip
    assert problems == []
    assert spec == {
        "project": "resnet", "displayName": "ResNet-50", "group": "g", "jobType": "train", "tags": ["a", "b"],
        "notes": "n",
        "config": {"lr": 0.1},
    }  # fmt: skip


BAD = {
    "a project with a slash": ("outrider.dev/project", "a/b"),
    "config that is no JSON": ("outrider.dev/config", "{lr"),
    "config that is no object": ("outrider.dev/config", "[1]"),
    "a name that is too long": ("outrider.dev/name", "x" * 200),
    "another Run to continue": ("outrider.dev/run-id", "r"),
}


@pytest.mark.parametrize(("key", "value"), BAD.values(), ids=BAD.keys())
def test_a_bad_value_is_left_out_and_named(key: str, value: str) -> None:
    """The rest of the spec stays; the sentence names annotation and value."""
    spec, problems = spec_from({key: value, "outrider.dev/group": "g"}, None)
    assert spec == {"group": "g"}
    ((reason, sentence),) = problems
    assert reason == "InvalidAnnotation"
    assert key in sentence
    assert value[:50] in sentence


@pytest.mark.parametrize("text", ["a/b", "-a", "x" * 129])
def test_a_namespaces_bad_project_is_left_out_and_named(text: str) -> None:
    """A status with it would be refused by the API server; the default takes its place."""
    project, ((reason, sentence),) = namespace_project(text)
    assert (project, reason) == ("uncategorized", "InvalidAnnotation")
    assert sentence.startswith("Annotation outrider.dev/project=")
    assert "of the namespace was left out" in sentence
    assert namespace_project("vision") == ("vision", [])
    assert namespace_project("") == namespace_project(None) == ("uncategorized", [])
