"""The table of workload kinds and what pods say of themselves."""

from typing import Any

import yaml

from outrider_operator.core import workloads
from outrider_operator.core.policies import policies
from outrider_operator.core.workloads import Owner

JOB = {"apiVersion": "batch/v1", "kind": "Job", "name": "resnet", "uid": "u", "controller": True}


def pod(owner: Any = JOB, **metadata: Any) -> Any:
    return {"metadata": {"ownerReferences": [owner] if owner else [], **metadata}}


def test_the_controlling_owner_counts() -> None:
    """Other owners keep an object alive, but do not make it."""
    other = {**JOB, "controller": False}
    assert workloads.owner_of({"metadata": {"ownerReferences": [other, JOB]}}) == Owner(
        "batch/v1", "Job", "resnet", "u"
    )
    assert workloads.owner_of(pod(other)) is None
    assert workloads.owner_of({}) is None


def test_a_template_is_found_and_replaced_without_changing_the_workload() -> None:
    """At the path that the table says."""
    job = {"apiVersion": "batch/v1", "kind": "Job", "spec": {"completions": 2, "template": {"spec": {"a": 1}}}}
    assert workloads.template_of(job) == {"spec": {"a": 1}}
    replaced = workloads.with_template(job, {"spec": {"a": 2}})
    assert replaced == {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "spec": {"completions": 2, "template": {"spec": {"a": 2}}},
    }
    assert workloads.template_of(job) == {"spec": {"a": 1}}
    assert workloads.template_of({"apiVersion": "v1", "kind": "Secret"}) is None
    assert workloads.template_of({"apiVersion": "batch/v1", "kind": "Job"}) is None


def test_only_framework_labels_are_handed_on() -> None:
    """A user's own labels are nobody's business."""
    labels = {"batch.kubernetes.io/job-name": "a", "team": "secret"}
    assert workloads.framework_labels(pod(labels=labels)) == {"batch.kubernetes.io/job-name": "a"}


def test_rights_and_policies_name_every_kind_of_the_table_and_never_all() -> None:
    """One table, no asterisk."""
    rows = list(workloads.rules())
    assert [(row["group"], row["resource"]) for row in rows] == [("batch", "jobs")]
    assert "*" not in yaml.safe_dump(rows)
    (table,) = [item for item in policies()[0]["spec"]["variables"] if item["name"] == "table"]
    assert table["expression"] == "{'batch/v1 Job': 'jobs'}"
