"""The Job that a Run makes."""

from typing import Any

from outrider_operator.core.injection_config import InjectionConfig
from outrider_operator.core.making import make
from outrider_operator.core.observed import RunView
from tests.unit.operator.core.build import run

CONFIG = InjectionConfig(tracker_url="https://tracker:8443", image="sidecar:1")


def written(workload: dict[str, Any] | None = None, **spec: Any) -> RunView:
    template = {
        "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "i", "command": ["train"]}]}
    }
    given = workload or {"apiVersion": "batch/v1", "kind": "Job", "spec": {"completions": 2, "template": template}}
    return run(name="resnet", labels={}, annotations={}, spec={"workload": given, **spec})


def test_the_template_is_injected_so_that_quotas_count_it() -> None:
    """The sidecar is in the Job's template; the Run owns the Job."""
    made = make(written(), CONFIG)
    assert made.body is not None
    assert (made.problems, made.skipped) == ((), "")
    template = made.body["spec"]["template"]
    assert [c["name"] for c in template["spec"]["initContainers"]] == ["outrider"]
    assert template["metadata"]["labels"]["outrider.dev/tracked"] == "true"
    assert template["metadata"]["labels"]["outrider.dev/run"] == "resnet"
    meta = made.body["metadata"]
    assert meta["name"] == "resnet"
    assert meta["ownerReferences"][0]["controller"] is True


def test_the_same_run_makes_the_same_job() -> None:
    """Whatever process makes it; and what the Run holds is not changed."""
    given = written()
    before = repr(given)
    assert make(given, CONFIG) == make(given, CONFIG)
    assert repr(given) == before


def test_what_the_run_collects_reaches_the_sidecar() -> None:
    """spec.collect and spec.linger become annotations of the template; the template's own win."""
    collect = {
        "logs": {"capture": "wrap"},
        "metrics": {"interval": "30s"},
        "files": [{"path": "out/*", "policy": "live"}],
    }
    made = make(written(collect=collect, linger="10s"), CONFIG)
    assert made.body is not None
    annotations = made.body["spec"]["template"]["metadata"]["annotations"]
    assert annotations["outrider.dev/files"] == "out/*=live"
    assert annotations["outrider.dev/metrics-interval"] == "30s"
    assert annotations["outrider.dev/linger"] == "10s"
    assert annotations["outrider.dev/capture"] == "wrap"


def test_a_template_that_says_false_is_made_without_the_sidecar() -> None:
    """And why is said."""
    template = {
        "metadata": {"annotations": {"outrider.dev/inject": "false"}},
        "spec": {"containers": [{"name": "a", "image": "i"}]},
    }
    made = make(written({"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": template}}), CONFIG)
    assert made.body is not None
    assert "initContainers" not in made.body["spec"]["template"]["spec"]
    assert "false" in made.skipped


def test_kinds_outside_the_table_are_not_made() -> None:
    """A Run must not make what nobody allowed."""
    made = make(written({"apiVersion": "v1", "kind": "Secret", "spec": {}}), CONFIG)
    assert made.body is None
    assert made.problems[0][0] == "UnknownKind"


def test_another_namespace_is_refused() -> None:
    """The Run's author may not have rights there."""
    workload = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"namespace": "other"},
        "spec": {"template": {"spec": {}}},
    }
    made = make(written(workload), CONFIG)
    assert made.body is None
    assert "other" in made.problems[0][1]
