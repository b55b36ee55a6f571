"""Who may do what: RBAC, network policies, Secrets."""

from typing import Any

import pytest

from tests.unit.chart.rendering import NAMESPACE, named, of_kind, render, templates

ALL = render()
FORBIDDEN_VERBS = {"*", "escalate", "bind", "impersonate"}


def rules(kind: str) -> list[tuple[str, dict[str, Any]]]:
    """(role name, rule) of all roles of a kind."""
    return [(role["metadata"]["name"], rule) for role in of_kind(ALL, kind) for rule in role["rules"]]


EVERY_RULE = rules("ClusterRole") + rules("Role")


@pytest.mark.parametrize(("role", "rule"), EVERY_RULE, ids=str)
def test_no_rule_has_a_wildcard_or_a_way_to_more_rights(role: str, rule: dict[str, Any]) -> None:
    """Each right is named."""
    assert "*" not in rule["apiGroups"] + rule["resources"], role
    assert not FORBIDDEN_VERBS & set(rule["verbs"]), role


@pytest.mark.parametrize(("role", "rule"), rules("ClusterRole"), ids=str)
def test_no_cluster_role_reaches_secrets_or_into_pods(role: str, rule: dict[str, Any]) -> None:
    """Nobody of ours reads Secrets of other namespaces or runs commands in pods."""
    assert not {"secrets", "pods/exec", "pods/attach", "pods/portforward", "nodes/proxy"} & set(rule["resources"]), role


def test_secrets_are_reached_by_name_only_and_none_can_be_created() -> None:
    """In our own namespace: the certificates', and beside it the CA's, which is the controller's alone."""
    found = {role: rule for role, rule in rules("Role") if "secrets" in rule["resources"]}
    assert set(found) == {"outrider-controller", "outrider-webhook"}
    assert found["outrider-controller"]["resourceNames"] == ["outrider-certificates", "outrider-ca"]
    assert found["outrider-controller"]["verbs"] == ["get", "update"]
    assert found["outrider-webhook"]["resourceNames"] == ["outrider-certificates"]
    assert set(found["outrider-webhook"]["verbs"]) == {"get", "list", "watch"}


def test_no_pod_mounts_the_secret_of_the_cas_key() -> None:
    """The controller reads it from the API server; nobody else has a way to it."""
    for part, template in templates(ALL).items():
        named_ = [volume["secret"]["secretName"] for volume in template["spec"]["volumes"] if "secret" in volume]
        assert "outrider-ca" not in named_, part


def test_the_webhook_may_do_nothing_else_and_the_tracker_nothing_at_all() -> None:
    """The tracker reads the API server's signing keys, which every service account may."""
    bound = [
        (binding["kind"], binding["roleRef"]["name"], subject["name"])
        for binding in of_kind(ALL, "RoleBinding", "ClusterRoleBinding")
        for subject in binding["subjects"]
    ]
    assert sorted(bound) == [
        ("ClusterRoleBinding", "outrider-controller", "outrider-controller"),
        ("RoleBinding", "outrider-controller", "outrider-controller"),
        ("RoleBinding", "outrider-webhook", "outrider-webhook"),
    ]
    assert len([rule for role, rule in rules("Role") if role == "outrider-webhook"]) == 1


def test_the_controller_patches_its_own_webhook_configuration_only() -> None:
    """And cannot make another one."""
    (rule,) = [rule for _, rule in rules("ClusterRole") if "mutatingwebhookconfigurations" in rule["resources"]]
    assert rule["resourceNames"] == ["outrider"]
    assert "create" not in rule["verbs"]
    assert named(ALL, "MutatingWebhookConfiguration", "outrider")


def test_the_controller_marks_pods_and_can_name_a_run_as_their_jobs_owner() -> None:
    """An owner that blocks its own deletion needs its finalizers, where the API server enforces that; nothing else."""
    verbs = {
        tuple(rule["resources"]): rule["verbs"] for role, rule in rules("ClusterRole") if role.endswith("-controller")
    }
    assert verbs["pods",] == ["get", "list", "watch", "patch"]
    assert verbs["runs/finalizers",] == ["update"]
    assert verbs["runs/status",] == ["patch"]
    assert verbs["runs",] == ["get", "list", "watch", "create", "patch", "delete"]


def test_people_get_runs_through_the_roles_that_every_cluster_has() -> None:
    """Who may edit a namespace writes Runs there, who may view it reads them; nobody writes status."""
    edit, view = named(ALL, "ClusterRole", "outrider-edit"), named(ALL, "ClusterRole", "outrider-view")
    assert edit["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-edit"] == "true"
    assert view["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-view"] == "true"
    assert set(view["rules"][0]["verbs"]) == {"get", "list", "watch"}
    assert [rule["resources"] for rule in edit["rules"] + view["rules"]] == [["runs"], ["runs"]]


def test_network_policies_close_the_controller_and_open_what_must_be_open() -> None:
    """The API server and sidecars come from addresses that no selector names."""
    policies = {found["metadata"]["name"]: found["spec"] for found in of_kind(ALL, "NetworkPolicy")}
    assert policies["outrider-controller"]["ingress"] == []
    assert policies["outrider-webhook"]["ingress"] == [{"ports": [{"port": "https", "protocol": "TCP"}]}]
    assert {port["port"] for port in policies["outrider-tracker"]["ingress"][0]["ports"]} == {"https", "http"}
    assert not of_kind(render({"networkPolicy": {"enabled": False}}), "NetworkPolicy")


def test_who_may_read_metrics_is_let_in_to_the_health_port_alone() -> None:
    """A monitoring namespace, say."""
    peers = [{"namespaceSelector": {"matchLabels": {"team": "monitoring"}}}]
    found = of_kind(render({"networkPolicy": {"metricsFrom": peers}}), "NetworkPolicy")
    rules_of = {policy["metadata"]["name"]: policy["spec"]["ingress"] for policy in found}
    metrics = {"from": peers, "ports": [{"port": "health", "protocol": "TCP"}]}
    assert rules_of["outrider-controller"] == [metrics]
    assert metrics in rules_of["outrider-webhook"]
    assert metrics not in rules_of["outrider-tracker"]


def test_what_sidecars_and_browsers_know_is_kept_on_uninstall() -> None:
    """The CA that running sidecars trust, the admin's key, and the CRD with every Run."""
    for kind, name in (
        ("Secret", "outrider-certificates"),
        ("Secret", "outrider-ca"),
        ("Secret", "outrider-admin"),
        ("CustomResourceDefinition", "runs.outrider.dev"),
    ):
        assert named(ALL, kind, name)["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_everything_namespaced_is_in_the_releases_namespace() -> None:
    """A template that forgets it would follow kubectl's current namespace."""
    cluster_wide = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "MutatingWebhookConfiguration"}
    cluster_wide |= {f"{what}AdmissionPolicy{end}" for what in ("Validating", "Mutating") for end in ("", "Binding")}
    for found in ALL:
        if found["kind"] not in cluster_wide:
            assert found["metadata"]["namespace"] == NAMESPACE, found["kind"]
