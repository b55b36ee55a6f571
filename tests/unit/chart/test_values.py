"""values.yaml and its schema: complete, described, strict, and clear about what is wrong."""

import json
from collections.abc import Iterator
from typing import Any

import helm_python
import jsonschema
import pytest
import yaml

from outrider_operator.core import injection_config
from tests.unit.chart.rendering import CHART, containers, named, notes, render, templates

SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
DEFAULTS: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
PEM = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n"


def properties(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """(path, schema) of every value, folders of values too."""
    for name, found in schema.get("properties", {}).items():
        yield f"{path}.{name}", found
        yield from properties(found, f"{path}.{name}")


def test_the_defaults_pass_a_schema_that_is_one() -> None:
    """Checked with another implementation than Helm's."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.Draft202012Validator(SCHEMA).validate(DEFAULTS)


@pytest.mark.parametrize(("path", "found"), list(properties(SCHEMA)), ids=lambda value: str(value)[:60])
def test_every_value_is_described_and_every_folder_is_closed(path: str, found: dict[str, Any]) -> None:
    """A person learns from the schema what a value does; a misspelt one is refused."""
    assert found["description"][-1] == ".", path
    if "properties" in found:
        assert found["additionalProperties"] is False, path


def test_the_schema_and_the_defaults_name_the_same_values() -> None:
    """Neither has a value that the other does not know."""

    def names(schema: dict[str, Any], defaults: Any, path: str = "") -> Iterator[str]:
        if "properties" not in schema:
            return
        known = set(schema["properties"]) - {"global"}
        yield from (f"{path}.{name}" for name in known ^ set(defaults))
        for name in known & set(defaults):
            yield from names(schema["properties"][name], defaults[name], f"{path}.{name}")

    assert list(names(SCHEMA, DEFAULTS)) == []


BAD = {
    "a misspelt value": ({"trakcer": {}}, "additional properties 'trakcer' not allowed"),
    "a number for a size": ({"tracker": {"storage": {"size": 20}}}, "'/tracker/storage/size': got number, want string"),
    "more replicas than can be": ({"controller": {"replicas": 3}}, "'/controller/replicas': maximum: got 3, want 2"),
    "a file mode of logging": ({"webhook": {"logLevel": "loud"}}, "'/webhook/logLevel': value must be one of"),
    "a tracker without TLS": (
        {"tracker": {"enabled": False, "external": {"url": "http://tracker"}}},
        "'/tracker/external/url'",
    ),
    "kube-system injected": ({"injection": {"excludedNamespaces": ["a"]}}, "'/injection/excludedNamespaces'"),
    "latest": ({"image": {"tag": "latest"}}, 'image.tag is "latest"'),
    "no tracker at all": ({"tracker": {"enabled": False}}, "tracker.external.url must say where the tracker is"),
    "two trackers": (
        {"tracker": {"external": {"url": "https://tracker"}}},
        "set tracker.enabled=false to use the tracker that runs elsewhere",
    ),
    "a class for an emptyDir": (
        {"tracker": {"storage": {"ephemeral": True, "className": "fast"}}},
        "an emptyDir has no StorageClass",
    ),
    "a node port nobody opens": (
        {"tracker": {"service": {"nodePorts": {"http": 30080}}}},
        "set the type to NodePort or LoadBalancer",
    ),
    "a label that selectors use": (
        {"webhook": {"podLabels": {"app.kubernetes.io/name": "x"}}},
        "webhook.podLabels sets app.kubernetes.io/name",
    ),
}


@pytest.mark.parametrize(("values", "sentence"), BAD.values(), ids=BAD.keys())
def test_bad_values_are_refused_with_a_sentence(values: dict[str, Any], sentence: str) -> None:
    """What is wrong, where, and where it helps, what to do."""
    with pytest.raises(helm_python.HelmError) as caught:
        render(values)
    assert sentence in str(caught.value)


def test_helm_finds_nothing_to_complain_about() -> None:
    """`helm lint --strict`."""
    report = helm_python.lint(CHART, strict=True, namespace="x", kube_version="v1.33.0")
    assert [message for message in report["messages"] if message["severity"] > 1] == []
    assert report["errors"] == []


def test_the_notes_name_the_next_three_commands_with_names_that_exist() -> None:
    """Ready, open, annotate; in the release's own namespace and names."""
    objects, text = render(name="track"), notes(name="track")
    assert "--namespace tracking wait --for=condition=Available" in text
    for kind, name in (
        ("Deployment", "track-outrider-controller"),
        ("Deployment", "track-outrider-webhook"),
        ("Service", "track-outrider-tracker"),
        ("Secret", "track-outrider-admin"),
    ):
        assert named(objects, kind, name)
        assert name in text
    assert 'outrider.dev/inject: "true"' in text
    assert "lost" not in text
    assert "every Run's data is lost" in notes({"tracker": {"storage": {"ephemeral": True}}})


def test_the_admin_key_has_the_form_that_clients_expect() -> None:
    """40 hexadecimal digits, another one for each install."""
    first, second = (named(render(), "Secret", "outrider-admin")["data"]["key"] for _ in range(2))
    assert first != second
    assert not [
        found
        for found in render({"tracker": {"adminKey": {"existingSecret": "mine"}}})
        if found["metadata"]["name"] == "outrider-admin"
    ]


def test_what_the_chart_says_about_injection_is_what_the_operator_reads() -> None:
    """The webhook and the controller get the same settings; none is unknown to them."""
    values = {
        "injection": {
            "linger": "2m",
            "spoolLimit": "512Mi",
            "metricsInterval": "5s",
            "capture": "wrap",
            "imagePullSecrets": ["pull"],
            "resources": {"burstable": {"limits": {"memory": "300Mi"}}},
        },
        "tracker": {"enabled": False, "external": {"url": "https://tracker.example.com:443", "ca": PEM}},
    }
    texts = {
        variable["value"]
        for template in templates(render(values)).values()
        for variable in containers(template)[0]["env"]
        if variable["name"] == injection_config.ENV_CONFIG
    }
    (text,) = texts
    found = injection_config.from_env({injection_config.ENV_CONFIG: text})
    assert found.tracker_url == "https://tracker.example.com:443"
    assert found.ca == PEM
    assert found.image == "outrider-sidecar:0.1.0"
    assert found.linger == 120
    assert found.spool_limit == 512 << 20
    assert found.metrics_interval == 5
    assert found.image_pull_secrets == ("pull",)
    assert found.burstable["limits"]["memory"] == "300Mi"


def test_the_charts_defaults_of_injection_are_the_operators() -> None:
    """Two places that say the same say it alike."""
    (container,) = containers(templates(render())["webhook"])
    text = next(variable["value"] for variable in container["env"] if variable["name"] == injection_config.ENV_CONFIG)
    found = injection_config.from_env({injection_config.ENV_CONFIG: text})
    assert found == injection_config.InjectionConfig(tracker_url=found.tracker_url, image=found.image)


def test_a_tracker_elsewhere_without_a_ca_is_believed_by_the_images_own_bundle() -> None:
    """Empty is not absent: absent would mean the CA of this install, which signs nothing elsewhere."""
    for blank in ("", " \n"):
        values = {"tracker": {"enabled": False, "external": {"url": "https://tracker.example.com", "ca": blank}}}
        (container,) = containers(templates(render(values))["webhook"])
        text = next(item["value"] for item in container["env"] if item["name"] == injection_config.ENV_CONFIG)
        assert injection_config.from_env({injection_config.ENV_CONFIG: text}).ca == ""
