"""Runs at a real API server: the schema's sentences, and who may make what."""

from __future__ import annotations

import contextlib
import copy
import json
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import httpx
import pytest

from outrider_operator.api.crd import run_crd
from outrider_operator.api.run import Attempt, Failure, Run, RunStatus
from outrider_operator.api.states import Confidence, RunState
from outrider_operator.core.policies import policies
from outrider_sidecar.contract import API_VERSION, SUBMITTER
from tests.cluster_fixtures import Namespace
from tests.integration.operator.webhook.conftest import until
from tools.cluster import Cluster

JOB: dict[str, Any] = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "train", "image": "i"}]}}},
}
REF = {"apiVersion": "batch/v1", "kind": "Job", "name": "resnet"}
ADMINISTRATOR = None


def make_run(name: str = "resnet", **spec: Any) -> dict[str, Any]:
    """A Run of a Job, or with another spec."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Run",
        "metadata": {"name": name},
        "spec": spec or {"workload": copy.deepcopy(JOB)},
    }


class Runs:
    """Runs of one namespace, over HTTP."""

    def __init__(self, api: httpx.Client, namespace: str) -> None:
        self.api = api
        self.path = f"/apis/{API_VERSION}/namespaces/{namespace}/runs"

    def create(self, run: Any, user: str | None = ADMINISTRATOR) -> httpx.Response:
        """Create one, perhaps as somebody else."""
        return self.api.post(self.path, json=run, headers={"Impersonate-User": user} if user else {})

    def patch(
        self, name: str, patch: Any, user: str | None = ADMINISTRATOR, *, kind: str = "merge-patch", sub: str = ""
    ) -> httpx.Response:
        """Patch one."""
        headers = {"Content-Type": f"application/{kind}+json", **({"Impersonate-User": user} if user else {})}
        return self.api.patch(f"{self.path}/{name}{sub}", content=json.dumps(patch), headers=headers)


@pytest.fixture(scope="session")
def known_runs(api_cluster: Cluster) -> None:
    """The kind Run is known to the API server. It stays: others may use it too."""
    crd = json.dumps(run_crd())
    api_cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=crd)
    api_cluster.kubectl("wait", "crd/runs.outrider.dev", "--for=condition=Established", "--timeout=60s")


@pytest.fixture
def runs(known_runs: None, namespace: Namespace, api: httpx.Client) -> Runs:
    """Runs of a namespace without policies."""
    return Runs(api, namespace.name)


@contextlib.contextmanager
def holding(namespace: Namespace, objects: list[dict[str, Any]], effective: Callable[[], bool]) -> Iterator[None]:
    """Apply policies under names of their own, to this namespace alone; others may have them for the whole cluster."""
    suffix = uuid.uuid4().hex[:8]
    for item in objects:
        item["metadata"]["name"] += f".{suffix}"
        if "policyName" in item["spec"]:
            item["spec"]["policyName"] += f".{suffix}"
        else:
            selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace.name}}
            item["spec"]["matchConstraints"]["namespaceSelector"] = selector
    namespace.apply(*objects)
    try:
        until("the policies hold", effective)
        yield
    finally:
        listed = {"apiVersion": "v1", "kind": "List", "items": objects}
        namespace.kubectl("delete", "--wait=false", "-f", "-", stdin=json.dumps(listed))


@pytest.fixture
def guarded(runs: Runs, namespace: Namespace, api: httpx.Client) -> Iterator[Runs]:
    """Runs of a namespace where our policies hold."""
    secret = make_run(workloadRef={"apiVersion": "v1", "kind": "Secret", "name": "x"})

    def effective() -> bool:
        answer = api.post(runs.path, json=secret, params={"dryRun": "All"})
        stamp = api.post(runs.path, json=make_run(), params={"dryRun": "All"})
        return answer.status_code == 403 and SUBMITTER in stamp.json()["metadata"].get("annotations", {})

    with holding(namespace, copy.deepcopy(policies()), effective):
        yield runs


def allow(guarded: Runs, namespace: Namespace, user: str, *rules: dict[str, Any]) -> None:
    """Give a user rights in the namespace; they hold when this returns."""
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": user}, "rules": rules}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": user},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": user},
        "subjects": [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}],
    }
    namespace.apply(role, binding)
    for rule in rules:
        (group,), (resource,), (name,) = rule["apiGroups"], rule["resources"], rule.get("resourceNames", [""])
        for verb in rule["verbs"]:
            asked = {"namespace": namespace.name, "group": group, "resource": resource, "name": name, "verb": verb}
            until(f"{user} may {verb} {resource}", partial(may, guarded.api, user, asked))


def may(api: httpx.Client, user: str, asked: dict[str, str]) -> bool:
    """What the API server's own authorizer says; it learns of a new Role a moment after that is stored."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "resourceAttributes": asked},
    }
    answer = api.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", json=review).raise_for_status()
    return bool(answer.json()["status"]["allowed"])


RUNS_RULE = {"apiGroups": ["outrider.dev"], "resources": ["runs"], "verbs": ["*"]}


def jobs_rule(*verbs: str) -> dict[str, Any]:
    """Rights over Jobs."""
    return {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": list(verbs)}


def sentence(answer: httpx.Response, code: int = 422) -> str:
    """What the API server says to a refused request."""
    assert answer.status_code == code, answer.text
    return str(answer.json()["message"])


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"workload": JOB, "workloadRef": REF}, "exactly one of workload and workloadRef must be set"),
        ({"project": "p"}, "exactly one of workload and workloadRef must be set"),
        ({"workload": {"apiVersion": "batch/v1", "kind": "Job"}}, "spec.workload.spec: Required value"),
        ({"workloadRef": REF, "linger": "2h"}, "must be a duration between 0s and 1h, such as 30s, 10m or 1h30m"),
        ({"workloadRef": REF, "linger": "soon"}, "spec.linger in body should match"),
        (
            {"workloadRef": REF, "collect": {"metrics": {"interval": "0s"}}},
            "must be a duration between 1s and 1h",
        ),
        ({"workloadRef": REF, "collect": {"logs": {"capture": "shell"}}}, 'supported values: "auto", "wrap"'),
        ({"workloadRef": REF, "tags": ["a", "a"]}, "Duplicate value"),
        ({"workloadRef": REF, "project": "a/b"}, "spec.project in body should match"),
        (
            {"workloadRef": REF, "collect": {"files": [{"path": "a"}, {"path": "a", "policy": "live"}]}},
            "Duplicate value",
        ),
    ],
)
def test_a_run_that_cannot_be_is_refused_with_a_sentence(runs: Runs, spec: Any, expected: str) -> None:
    """By the API server itself, at creation."""
    assert expected in sentence(runs.create(make_run(**spec)))


@pytest.mark.parametrize("name", ["a.b", "A", "-a", "a" * 64])
def test_a_name_that_is_no_dns_label_is_refused(runs: Runs, name: str) -> None:
    """It becomes a label value and a host name."""
    assert "metadata.name" in sentence(runs.create(make_run(name)))


def test_the_workload_stays_as_it_was_created(runs: Runs) -> None:
    """Changed deep inside, removed, swapped: refused. The rest of the spec may change."""
    assert runs.create(make_run()).status_code == 201
    deep = {"spec": {"workload": {"spec": {"template": {"spec": {"hostname": "x"}}}}}}
    said = "workload cannot be changed after creation: delete this Run or make another one"
    assert said in sentence(runs.patch("resnet", deep))
    swapped = {"spec": {"workload": None, "workloadRef": REF}}
    said = "workload and workloadRef cannot be added, removed or swapped after creation"
    assert said in sentence(runs.patch("resnet", swapped))
    assert runs.patch("resnet", {"spec": {"tags": ["baseline"], "notes": "x"}}).status_code == 200
    assert runs.create(make_run("other", workloadRef=REF)).status_code == 201
    said = "workloadRef cannot be changed after creation"
    assert said in sentence(runs.patch("other", {"spec": {"workloadRef": {"name": "another"}}}))


def test_a_full_status_is_stored_as_written_and_shown_in_columns(runs: Runs, namespace: Namespace) -> None:
    """Every field of the model survives the schema; nothing is pruned, nothing defaulted."""
    assert runs.create(make_run(project="vision", group="ablation", workload=JOB)).status_code == 201
    now = "2026-01-02T03:04:05Z"
    status = RunStatus.model_validate(
        {
            "state": "Running",
            "reason": "RanksRunning",
            "runId": "resnet-12345678",
            "url": "https://tracker.test/vision/resnet/runs/resnet-12345678",
            "project": "vision",
            "workload": "Job/resnet",
            "attempt": 2,
            "startTime": now,
            "endTime": now,
            "observedGeneration": 1,
            "ranks": {"summary": "3/4", "expected": 4, "running": 3, "succeeded": 0, "failed": 1, "lost": 0},
            "failure": {
                "summary": "rank 3 OOMKilled",
                "rank": 3,
                "pod": "resnet-1-x",
                "node": "n1",
                "container": "train",
                "attempt": 1,
                "reason": "OOMKilled",
                "exitCode": 137,
                "signal": 9,
                "time": now,
                "confidence": "high",
                "message": "The kernel killed it.",
                "evidence": ["oom_kill rose"],
                "victims": [{"rank": 1, "pod": "resnet-0-x", "reason": "NCCL timeout"}],
                "lastWords": ["step 19", "step 20"],
            },
            "attempts": [{"number": 1, "state": "Failed", "reason": "OOMKilled", "startTime": now, "endTime": now}],
            "collection": {"unsentBytes": 1, "lostBytes": 2, "lagSeconds": 3},
            "conditions": [
                {
                    "type": "RankFailed",
                    "status": "True",
                    "reason": "OOMKilled",
                    "message": "m",
                    "lastTransitionTime": now,
                    "observedGeneration": 1,
                }
            ],
        }
    )
    for part in (status, status.ranks, status.failure, status.attempts[0], status.conditions[0]):
        assert part is not None
        assert not [name for name in type(part).model_fields if getattr(part, name) is None]
    wire = status.to_wire()
    applied = {"apiVersion": API_VERSION, "kind": "Run", "metadata": {"name": "resnet"}, "status": wire}
    answer = runs.api.patch(
        f"{runs.path}/resnet/status",
        params={"fieldManager": "outrider", "force": "true"},
        content=json.dumps(applied),
        headers={"Content-Type": "application/apply-patch+yaml"},
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == wire
    assert Run.model_validate(answer.json()).status == status
    header, row = namespace.kubectl("get", "orun").splitlines()
    assert header.split() == ["NAME", "STATE", "RANKS", "ATTEMPT", "WORKLOAD", "AGE"]
    assert row.split()[:5] == ["resnet", "Running", "3/4", "2", "Job/resnet"]
    wide = namespace.kubectl("get", "orun", "-o", "wide")
    assert wide.splitlines()[0].split()[6:] == ["PROJECT", "GROUP", "FAILED", "URL"]
    assert "rank 3 OOMKilled" in wide
    for selector, expected in (("status.state=Running,spec.project=vision", 1), ("status.state=Failed", 0)):
        found = namespace.kubectl("get", "runs", f"--field-selector={selector}", "-o", "name")
        assert len(found.split()) == expected


def test_what_is_too_long_for_the_status_is_cut_and_then_fits(runs: Runs) -> None:
    """A refused status write would hide the state too, so nothing a trainer writes may be too long."""
    assert runs.create(make_run()).status_code == 201
    failure = Failure(
        summary="s" * 9999,
        reason="r" * 9999,
        message="ö" * 9999,
        pod="p" * 9999,
        confidence=Confidence.LOW,
        evidence=("e" * 999,) * 99,
        last_words=("\U0001f40e" * 999,) * 99,
    )
    attempts = tuple(Attempt(number=n, state=RunState.FAILED, reason="x" * 999) for n in range(1, 99))
    status = RunStatus(state=RunState.FAILED, failure=failure, attempts=attempts)
    assert [attempt.number for attempt in status.attempts] == list(range(89, 99))
    answer = runs.patch("resnet", {"status": status.to_wire()}, sub="/status")
    assert answer.status_code == 200, answer.text
    assert len(json.dumps(answer.json()["status"], ensure_ascii=False).encode()) < 16 << 10


def test_nobody_makes_by_a_run_what_they_could_not_make(guarded: Runs, namespace: Namespace) -> None:
    """The requester's own rights decide, and only kinds of the table count."""
    allow(guarded, namespace, "alice", RUNS_RULE, jobs_rule("create", "get"))
    allow(guarded, namespace, "bob", RUNS_RULE)
    assert guarded.create(make_run("a1"), "alice").status_code == 201
    said = sentence(guarded.create(make_run("b1"), "bob"), 403)
    place = f"user bob may not create jobs.batch in namespace {namespace.name}"
    assert f"{place}, so a Run may not do it for them" in said
    secret = {"apiVersion": "v1", "kind": "Secret", "spec": {}}
    for user in ("alice", "bob", ADMINISTRATOR):
        said = sentence(guarded.create(make_run("s1", workload=secret), user), 403)
        assert "workload kind v1 Secret is not one that Outrider knows; known are: batch/v1 Job" in said


def test_a_reference_needs_the_right_to_read_it(guarded: Runs, namespace: Namespace) -> None:
    """Else a Run would show a stranger's Job."""
    one = {**jobs_rule("get"), "resourceNames": ["resnet"]}
    allow(guarded, namespace, "carol", RUNS_RULE, one)
    assert guarded.create(make_run("c1", workloadRef=REF), "carol").status_code == 201
    said = sentence(guarded.create(make_run("c2", workloadRef={**REF, "name": "other"}), "carol"), 403)
    assert f"user carol may not get jobs.batch in namespace {namespace.name}" in said


def test_another_namespace_is_no_place_for_the_workload(guarded: Runs, namespace: Namespace) -> None:
    """A Run makes its workload beside itself."""
    elsewhere = {**JOB, "metadata": {"namespace": "kube-system"}}
    said = sentence(guarded.create(make_run(workload=elsewhere)))
    assert f"workload.metadata.namespace must be absent or {namespace.name}" in said
    here = {**JOB, "metadata": {"namespace": namespace.name, "generateName": "x-"}}
    assert guarded.create(make_run(workload=here)).status_code == 201


def test_the_submitter_is_stamped_and_cannot_be_forged(guarded: Runs, namespace: Namespace) -> None:
    """Whatever is written there, the creator's name stays."""
    allow(guarded, namespace, "alice", RUNS_RULE, jobs_rule("create", "get"))
    forged = make_run()
    forged["metadata"]["annotations"] = {SUBMITTER: "root"}
    created = guarded.create(forged, "alice")
    assert created.status_code == 201
    assert created.json()["metadata"]["annotations"][SUBMITTER] == "alice"
    for value in ("root", None):
        answer = guarded.patch("resnet", {"metadata": {"annotations": {SUBMITTER: value}}})
        assert answer.status_code == 200
        assert answer.json()["metadata"]["annotations"][SUBMITTER] == "alice"


def test_a_forged_submitter_is_refused_where_nothing_stamps_it(
    runs: Runs, namespace: Namespace, api: httpx.Client
) -> None:
    """Kubernetes before 1.36 has no MutatingAdmissionPolicy: the validating one refuses what that would replace.

    The annotation has another key here, so that nobody's stamp of the real one comes between.
    """
    key = "outrider.dev/submitter-of-this-test"
    validating = [item for item in policies() if item["kind"].startswith("Validating")]
    forged = make_run()
    forged["metadata"]["annotations"] = {key: "root"}

    def effective() -> bool:
        return api.post(runs.path, json=forged, params={"dryRun": "All"}).status_code == 403

    with holding(namespace, json.loads(json.dumps(validating).replace(SUBMITTER, key)), effective):
        said = f"annotation {key} says who created the Run and cannot be set or changed"
        assert said in sentence(runs.create(forged), 403)
        assert runs.create(make_run()).status_code == 201
        assert said in sentence(runs.patch("resnet", {"metadata": {"annotations": {key: "root"}}}), 403)


def test_the_garbage_collector_is_not_asked(guarded: Runs, namespace: Namespace) -> None:
    """It only removes a finalizer; if it were asked for rights over Jobs, a foreground deletion would hang."""
    assert guarded.create(make_run()).status_code == 201
    # Kubernetes' garbage collector looks for new kinds of owners only every half minute.
    namespace.kubectl("delete", "run", "resnet", "--cascade=foreground", "--timeout=90s", timeout=120)


def test_a_person_without_rights_over_jobs_may_annotate_but_not_change_the_spec(
    guarded: Runs, namespace: Namespace
) -> None:
    """The question is asked when the spec changes."""
    allow(guarded, namespace, "bob", RUNS_RULE)
    assert guarded.create(make_run()).status_code == 201
    assert guarded.patch("resnet", {"metadata": {"labels": {"a": "b"}}}, "bob").status_code == 200
    said = sentence(guarded.patch("resnet", {"spec": {"notes": "x"}}, "bob"), 403)
    assert "user bob may not create jobs.batch" in said
