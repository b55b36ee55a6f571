"""The chart on a real API server: what install, upgrade, uninstall and reinstall do to what is there."""

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import helm_python
import pytest

from tests.integration.chart.conftest import Release
from tests.unit.chart.rendering import render, templates
from tools.cluster import ClusterError
from tools.demo.progress import until

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
# Each test has the objects that belong to the whole cluster to itself.

RESTRICTED = {
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "seccompProfile": {"type": "RuntimeDefault"},
}
TRAINER = {
    "restartPolicy": "Never",
    "securityContext": RESTRICTED,
    "containers": [
        {
            "name": "train",
            "image": "train:1",
            "command": ["train"],
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
    ],
}
JOB_SPEC = {"template": {"spec": TRAINER}}
RUN = {
    "apiVersion": "outrider.dev/v1alpha1",
    "kind": "Run",
    "metadata": {"name": "resnet"},
    "spec": {"workload": {"apiVersion": "batch/v1", "kind": "Job", "spec": JOB_SPEC}},
}


def data(release: Release, secret: str) -> dict[str, str]:
    """A Secret's data, decoded."""
    found = release.get("secret", secret).get("data", {})
    return {key: base64.b64decode(value).decode() for key, value in found.items()}


def wait_for_runs(release: Release) -> None:
    """Return when the API server takes Runs and knows their fields, which is a moment after they are established."""

    def look() -> tuple[bool | None, str]:
        try:
            release.kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=json.dumps(RUN))
        except ClusterError as error:
            return None, str(error)
        return True, ""

    until("the resource Run", look, 30)


def test_a_namespace_that_enforces_restricted_takes_every_pod(release: Release) -> None:
    """The API server's own judgement, with the accounts that the chart makes; a careless pod is refused."""
    release.install()
    for part, template in templates(render(namespace=release.namespace)).items():
        spec = template["spec"]
        claimed = [{"name": "data", "emptyDir": {}}] if part == "tracker" else []
        volumes = [*spec["volumes"], *claimed]
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": part}, "spec": {**spec, "volumes": volumes}}
        answer = json.loads(
            release.kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", stdin=json.dumps(pod))
        )
        assert answer["spec"]["serviceAccountName"] == f"outrider-{part}"
    careless = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "c"},
        "spec": {"containers": [{"name": "c", "image": "c"}]},
    }
    with pytest.raises(ClusterError, match="violates PodSecurity"):
        release.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(careless))


def test_an_upgrade_keeps_key_certificates_and_the_webhooks_ca(release: Release) -> None:
    """What the controller wrote and what a person copied stays; what the values say changes."""
    release.install()
    key = data(release, "outrider-admin")["key"]
    assert len(key) == 40
    assert set(key) <= set("0123456789abcdef")
    written = {"stringData": {"ca.crt": "the authority"}}
    release.kubectl("patch", "secret", "outrider-certificates", "--patch", json.dumps(written))
    release.kubectl("patch", "secret", "outrider-ca", "--patch", json.dumps({"stringData": {"ca.key": "the key"}}))
    bundle = base64.b64encode(release.cluster.authority.read_bytes()).decode()
    patch = [{"op": "add", "path": f"/webhooks/{index}/clientConfig/caBundle", "value": bundle} for index in (0, 1)]
    release.kubectl("patch", "mutatingwebhookconfiguration", "outrider", "--type=json", "--patch", json.dumps(patch))
    release.upgrade({"webhook": {"replicas": 3}})
    assert release.get("deployment", "outrider-webhook")["spec"]["replicas"] == 3
    assert data(release, "outrider-admin")["key"] == key
    assert data(release, "outrider-certificates") == {"ca.crt": "the authority"}
    assert data(release, "outrider-ca") == {"ca.key": "the key"}
    entries = release.get("mutatingwebhookconfiguration", "outrider")["webhooks"]
    assert [entry["clientConfig"].get("caBundle") for entry in entries] == [bundle, bundle]


def test_uninstall_and_reinstall_leave_runs_their_jobs_and_the_keys(release: Release) -> None:
    """A Run that owns a running Job lives through both, and so does what its sidecars trust."""
    release.install()
    wait_for_runs(release)
    release.apply(RUN)
    run = release.get("run", "resnet")
    owner = {
        "apiVersion": RUN["apiVersion"],
        "kind": "Run",
        "name": "resnet",
        "uid": run["metadata"]["uid"],
        "controller": True,
    }
    job: dict[str, Any] = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "resnet", "ownerReferences": [owner]},
        "spec": JOB_SPEC,
    }
    release.apply(job)
    uid = release.get("job", "resnet")["metadata"]["uid"]
    key = data(release, "outrider-admin")["key"]
    for secret, written in (("certificates", {"ca.crt": "the authority"}), ("ca", {"ca.key": "the key"})):
        release.kubectl("patch", "secret", f"outrider-{secret}", "--patch", json.dumps({"stringData": written}))

    release.uninstall()
    gone = release.kubectl("get", "deployments,statefulsets,services,roles,networkpolicies", "-o", "name")
    assert gone == ""
    assert release.get("run", "resnet")["metadata"]["uid"] == run["metadata"]["uid"]

    release.install()
    assert release.get("run", "resnet")["metadata"]["uid"] == run["metadata"]["uid"]
    found = release.get("job", "resnet")
    assert found["metadata"]["uid"] == uid
    assert "deletionTimestamp" not in found["metadata"]
    assert data(release, "outrider-admin")["key"] == key
    assert data(release, "outrider-certificates") == {"ca.crt": "the authority"}
    assert data(release, "outrider-ca") == {"ca.key": "the key"}


MAY = [  # part, what, in which namespace, whether
    ("controller", "list pods", "default", True),
    ("controller", "create jobs.batch", "default", True),
    ("controller", "delete jobs.batch", "default", False),
    ("controller", "patch runs.outrider.dev --subresource=status", "default", True),
    ("controller", "get secret/any", "default", False),
    ("controller", "list secrets", "default", False),
    ("controller", "create pods --subresource=exec", "default", False),
    ("controller", "create pods", "default", False),
    ("controller", "patch pods", "default", True),
    ("controller", "delete pods", "default", False),
    ("controller", "update runs.outrider.dev --subresource=finalizers", "default", True),
    ("controller", "update runs.outrider.dev", "default", False),
    ("controller", "get secret/outrider-certificates", "own", True),
    ("controller", "update secret/outrider-certificates", "own", True),
    ("controller", "get secret/outrider-ca", "own", True),
    ("controller", "update secret/outrider-ca", "own", True),
    ("controller", "get secret/outrider-admin", "own", False),
    ("controller", "create secrets", "own", False),
    ("controller", "update leases.coordination.k8s.io/outrider-controller", "own", True),
    ("controller", "patch mutatingwebhookconfiguration/outrider", "default", True),
    ("controller", "patch mutatingwebhookconfiguration/other", "default", False),
    ("webhook", "watch secret/outrider-certificates", "own", True),
    ("webhook", "get secret/outrider-ca", "own", False),
    ("webhook", "list secrets", "own", False),
    ("webhook", "get secret/outrider-admin", "own", False),
    ("webhook", "list pods", "own", False),
    ("tracker", "get secret/outrider-certificates", "own", False),
    ("tracker", "get secret/outrider-ca", "own", False),
    ("tracker", "list pods", "own", False),
    ("tracker", "list runs.outrider.dev", "own", False),
]


def test_each_part_may_do_what_it_needs_and_no_more(release: Release) -> None:
    """As the API server's authorizer sees it, once it has heard of the roles."""
    release.install()
    wait_for_runs(release)

    def look() -> tuple[list[tuple[str, str, str, bool]] | None, str]:
        answers = []
        for part, what, where, _ in MAY:
            account = f"system:serviceaccount:{release.namespace}:outrider-{part}"
            namespace = release.namespace if where == "own" else where
            answers.append((part, what, where, can(release, [*what.split(), "-n", namespace, "--as", account])))
        missing = [right for right in MAY if right[3] and right not in answers]
        return (None, f"not granted: {missing}") if missing else (answers, "")

    assert until("the parts' rights", look, 60) == MAY


def can(release: Release, words: list[str]) -> bool:
    """What `kubectl auth can-i` says; it ends with 1 for "no"."""
    command = release.cluster.kubectl_command("auth", "can-i", *words)
    answer = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert answer.stdout.strip() in {"yes", "no"}, answer.stderr
    return answer.stdout.strip() == "yes"


def test_bad_values_leave_a_release_as_it_is(release: Release) -> None:
    """Refused before anything is sent, with a sentence."""
    release.install()
    before = release.get("deployment", "outrider-webhook")["metadata"]["generation"]
    with pytest.raises(helm_python.HelmError, match="additional properties 'replicsa' not allowed"):
        release.upgrade({"webhook": {"replicsa": 4}})
    assert release.get("deployment", "outrider-webhook")["metadata"]["generation"] == before


def test_a_run_may_not_make_what_its_author_could_not(release: Release) -> None:
    """The chart's policies: the API server asks whether the author may create Jobs, and stamps the author."""
    release.install()
    wait_for_runs(release)
    writer = {"apiGroups": ["outrider.dev"], "resources": ["runs"], "verbs": ["create", "get"]}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "w"}, "rules": [writer]}
    release.apply(role)
    release.kubectl("create", "rolebinding", "w", "--role=w", "--user=bob")
    text = json.dumps(RUN)

    def refused() -> str:
        """The API server's words against a Run of bob's; empty where it takes it."""
        try:
            release.kubectl("create", "--dry-run=server", "--as=bob", "-f", "-", stdin=text)
        except ClusterError as error:
            return str(error)
        return ""

    def judged() -> tuple[bool | None, str]:
        """The policies are in force a little after the install, and bob's role a little after it was made."""
        words = refused()
        there = "user bob may not create jobs.batch in namespace" in words
        return (True, "") if there else (None, words or "bob may still make Runs")

    until("the policies judge what bob makes", judged, 30)
    jobs = {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create"]}
    release.apply(role | {"rules": [writer, jobs]})
    until("bob's new right counts", lambda: (None if refused() else True, refused()), 30)

    def stamp() -> tuple[str | None, str]:
        """Who made it, by the policy that stamps: it comes into force apart from the one that refuses."""
        answer = release.kubectl("create", "--dry-run=server", "-o", "json", "--as=bob", "-f", "-", stdin=text)
        return json.loads(answer)["metadata"].get("annotations", {}).get("outrider.dev/submitter"), "no stamp"

    assert until("the submitter's stamp", stamp, 30) == "bob"


@pytest.mark.parametrize("folder", ["torchrun-ddp", "rank-failure", "oom"])
def test_the_api_server_takes_each_restricted_example(release: Release, folder: str) -> None:
    """In a namespace that enforces restricted, without a warning."""
    file = EXAMPLES / folder / "restricted" / "job.yaml"
    command = release.cluster.kubectl_command("-n", release.namespace, "create", "--dry-run=server", "-f", str(file))
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_api_server_takes_the_example_run(release: Release) -> None:
    """The Run resource knows every field of it."""
    release.install()
    wait_for_runs(release)
    file = EXAMPLES / "torchrun-ddp" / "run.yaml"
    answer = release.kubectl("create", "--dry-run=server", "--validate=strict", "-o", "name", "-f", str(file))
    assert answer.split() == ["service/digits-run", "run.outrider.dev/digits-run"]
