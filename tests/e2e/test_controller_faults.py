"""The controller dies, the chart goes and comes back, people delete things: no state is lost and no Run is doubled."""

from __future__ import annotations

from tests.e2e import faults, light
from tests.e2e.kube import Obj, wait_for
from tests.e2e.product import Product, names_of, state
from tools.demo import ready, release

WAITS = "echo begun; while [ ! -e /go ]; do sleep 0.2; done; echo ended"


def start(product: Product, ns: str, name: str, script: str) -> Obj:
    """A tracked Job of one busybox pod."""
    return {**product.kube.create(light.job(name, script, light.ASKING), ns), "kind": "Job"}


def let_go(product: Product, ns: str, job: str) -> None:
    """Ends what waits in WAITS."""
    for pod in product.pods_of(ns, job):
        product.cluster.kubectl("exec", "-n", ns, pod["metadata"]["name"], "-c", "train", "--", "touch", "/go")


def runs(product: Product, ns: str) -> list[str]:
    """Names of the namespace's Runs."""
    return sorted(run["metadata"]["name"] for run in product.kube.list("Run", ns))


def test_controller_killed_in_the_middle(product: Product, ns: str) -> None:
    """SIGKILL while a Run is Running; what happens meanwhile is not missed; there is one Run."""
    job = start(product, ns, "one", WAITS)
    product.wait_run(job, "Running", lambda run: state(run) == "Running")
    (pod,) = product.part("controller")
    faults.kill(pod, "controller", "outrider-operator")
    let_go(product, ns, "one")
    second = start(product, ns, "two", "echo short")
    for made in (job, second):
        assert state(product.wait_ended(made)) == "Finished"
    assert runs(product, ns) == sorted(f"{name}-{uid[:8]}" for name, uid in names_and_uids(job, second))


def names_and_uids(*jobs: Obj) -> list[tuple[str, str]]:
    """Name and UID of each."""
    return [(job["metadata"]["name"], job["metadata"]["uid"]) for job in jobs]


def test_the_same_job_again_is_a_second_run(product: Product, ns: str) -> None:
    """Delete and re-apply: another UID, another Run; the first stays with its end."""
    first = start(product, ns, "again", "echo one")
    assert state(product.wait_ended(first)) == "Finished"
    product.kube.delete("Job", *names_of(first), policy="Foreground")
    wait_for("the Job to be gone", lambda: product.kube.get("Job", *names_of(first)) is None)
    second = start(product, ns, "again", "echo two")
    assert state(product.wait_ended(second)) == "Finished"
    assert runs(product, ns) == sorted(f"{name}-{uid[:8]}" for name, uid in names_and_uids(first, second))


def test_no_run_again_after_it_was_deleted(product: Product, ns: str) -> None:
    """A finished Job whose Run a person deletes gets none again, also not from a new controller."""
    job = start(product, ns, "forgotten", "echo done")
    run = product.wait_ended(job)
    product.kube.delete("Run", ns, run["metadata"]["name"])
    wait_for("the Run to be gone", lambda: not product.kube.list("Run", ns))
    (pod,) = product.part("controller")
    faults.kill(pod, "controller", "outrider-operator")
    # A later Job is seen by the new controller only after it has looked at what was there before.
    later = start(product, ns, "later", "echo done")
    product.wait_ended(later)
    assert runs(product, ns) == [f"later-{later['metadata']['uid'][:8]}"]


def test_uninstall_and_reinstall(product: Product, ns: str) -> None:
    """A Run made a Job; the chart goes and comes back: both survive, and the Run ends true."""
    import helm_python

    template = light.job("x", WAITS)["spec"]["template"]
    workload = {"apiVersion": "batch/v1", "kind": "Job", "spec": {"backoffLimit": 0, "template": template}}
    run = {
        "apiVersion": "outrider.dev/v1alpha1",
        "kind": "Run",
        "metadata": {"name": "survivor"},
        "spec": {"workload": workload},
    }
    made = product.kube.create(run, ns)

    def now() -> Obj:
        found = product.kube.get("Run", ns, "survivor")
        assert found
        return found

    wait_for("the Run to be Running", lambda: state(now()) == "Running", 60)
    job_before = product.kube.list("Job", ns)[0]
    with helm_python.Config(kubeconfig_path=product.cluster.kubeconfig, namespace=release.NAMESPACE) as config:
        given = config.get_values(release.NAME)
        config.uninstall(release.NAME)
    product.wait_gone("controller")
    assert now()["metadata"]["uid"] == made["metadata"]["uid"]
    let_go(product, ns, job_before["metadata"]["name"])
    release.install(product.cluster.kubeconfig, given)
    ready.wait_for_parts(product.cluster, 180)
    wait_for("the Run to be Finished", lambda: state(now()) == "Finished", 60)
    assert now()["metadata"]["uid"] == made["metadata"]["uid"]
    (job_after,) = product.kube.list("Job", ns)
    assert job_after["metadata"]["uid"] == job_before["metadata"]["uid"]
    ready.wait_for_injection(product.cluster, ns, 60)  # the next scenario's pods are to have the sidecar
