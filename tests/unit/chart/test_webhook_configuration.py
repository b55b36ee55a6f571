"""The two entries through which pods come to the webhook."""

from tests.unit.chart.rendering import NAMESPACE, named, of_kind, render

CONFIGURATION = named(render(), "MutatingWebhookConfiguration", "outrider")
ENTRIES = {entry["name"]: entry for entry in CONFIGURATION["webhooks"]}


def test_a_broken_webhook_never_holds_back_a_pod() -> None:
    """Ignore, two seconds, and asked again after others have changed the pod."""
    for entry in ENTRIES.values():
        assert entry["failurePolicy"] == "Ignore"
        assert entry["timeoutSeconds"] == 2
        assert entry["reinvocationPolicy"] == "IfNeeded"
        assert entry["sideEffects"] == "None"
        assert entry["rules"] == [
            {
                "operations": ["CREATE"],
                "apiGroups": [""],
                "apiVersions": ["v1"],
                "resources": ["pods"],
                "scope": "Namespaced",
            }
        ]


def test_a_pod_meets_one_entry_at_most() -> None:
    """Their namespace selectors exclude each other, and "false" on a namespace wins over its pods."""
    selectors = {
        name: {expression["key"]: expression for expression in entry["namespaceSelector"]["matchExpressions"]}
        for name, entry in ENTRIES.items()
    }
    key = "outrider.dev/inject"
    opted = {"key": key, "operator": "In", "values": ["true"]}
    others = {"key": key, "operator": "NotIn", "values": ["true", "false"]}
    assert selectors["namespace.inject.outrider.dev"][key] == opted
    assert selectors["pod.inject.outrider.dev"][key] == others


def test_system_namespaces_and_our_own_are_left_out() -> None:
    """Even where the values forget our own."""
    values = {"injection": {"excludedNamespaces": ["kube-system", "build"]}}
    for entry in named(render(values), "MutatingWebhookConfiguration", "outrider")["webhooks"]:
        name, _ = entry["namespaceSelector"]["matchExpressions"]
        assert name["operator"] == "NotIn"
        assert name["values"] == ["kube-system", "build", NAMESPACE]


def test_the_services_lead_to_the_pods_ports() -> None:
    """443 to the webhook; 8443 with TLS and 8080 without to the tracker."""
    objects = render()
    for name, wanted in (("webhook", {443: 9443}), ("tracker", {8443: 8443, 8080: 8080})):
        service = named(objects, "Service", f"outrider-{name}")["spec"]
        (workload,) = [
            found
            for found in of_kind(objects, "Deployment", "StatefulSet")
            if found["metadata"]["name"] == f"outrider-{name}"
        ]
        pod = workload["spec"]["template"]
        assert service["selector"].items() <= pod["metadata"]["labels"].items()
        assert workload["spec"]["selector"]["matchLabels"] == service["selector"]
        ports = {port["name"]: port["containerPort"] for port in pod["spec"]["containers"][0]["ports"]}
        assert {port["port"]: ports[port["targetPort"]] for port in service["ports"]} == wanted
    assert ENTRIES["pod.inject.outrider.dev"]["clientConfig"]["service"]["name"] == "outrider-webhook"


def test_a_disruption_budget_only_where_it_leaves_a_pod_to_evict() -> None:
    """With one replica it would block every drain."""
    assert of_kind(render(), "PodDisruptionBudget")
    assert not of_kind(render({"webhook": {"replicas": 1}}), "PodDisruptionBudget")
