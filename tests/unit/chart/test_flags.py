"""The command lines that the chart writes are those that the programs read."""

from pathlib import Path
from typing import Any

import pytest

from outrider_operator.controller import settings
from outrider_operator.core import certificate_entries, certificates
from outrider_operator.kube.credentials import ConfigurationError
from outrider_operator.webhook import command as webhook
from outrider_tracker import __main__ as tracker
from outrider_tracker.auth.entities import EntityMap
from outrider_tracker.core import quotas
from tests.unit.chart.rendering import NAMESPACE, containers, render, templates

VALUES: list[dict[str, Any]] = [
    {},
    {
        "runs": {"ttlAutoMade": "30m", "ttlWritten": "1h", "finishedLimit": 7},
        "tracker": {
            "publicUrl": "https://runs.example.com",
            "issuer": "https://issuer.example.com",
            "trustedProxies": ["10.0.0.0/8", "fd00::/8"],
            "quotas": ["requests=500,bytes=20M", "vision:storage=3T"],
            "entities": [{"namespace": "ml", "entity": "research"}],
        },
        "controller": {"logLevel": "debug"},
        "webhook": {"logLevel": "warning"},
    },
]


def arguments(values: dict[str, Any], part: str) -> list[str]:
    """A part's command line, less the subcommand."""
    (container,) = containers(templates(render(values))[part])
    first, *rest = container["args"]
    assert first == {"tracker": "serve"}.get(part, part)
    return [str(word) for word in rest]


@pytest.mark.parametrize("values", VALUES, ids=["defaults", "all set"])
def test_the_controller_reads_its_flags(values: dict[str, Any]) -> None:
    """And they name the objects that the chart makes."""
    found = settings.read(arguments(values, "controller"), {"POD_NAMESPACE": NAMESPACE})
    assert found.lease == "outrider-controller"
    assert found.certificates == "outrider-certificates"
    assert found.ca_secret == "outrider-ca"
    assert found.webhook_configuration == "outrider"
    assert found.webhook_names == certificates.service_names("outrider-webhook", NAMESPACE)
    assert found.tracker_names == certificates.service_names("outrider-tracker", NAMESPACE)
    assert found.tracker_url == f"https://outrider-tracker.{NAMESPACE}.svc:8443"
    if values:
        assert found.retention.auto_ttl == 1800
        assert found.retention.written_ttl == 3600
        assert found.retention.finished_limit == 7
        assert found.public_url == "https://runs.example.com"
        assert found.log_level == "debug"


def test_the_trackers_name_is_in_the_certificate_that_is_made_for_it() -> None:
    """Or no sidecar would speak to it."""
    found = settings.read(arguments({}, "controller"), {"POD_NAMESPACE": NAMESPACE})
    host = found.tracker_url.removeprefix("https://").partition(":")[0]
    assert host in found.tracker_names


def test_a_tracker_elsewhere_gets_no_certificate_and_its_own_authority() -> None:
    """The controller trusts what the values say."""
    pem = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n"
    values = {"tracker": {"enabled": False, "external": {"url": "https://tracker.example.com", "ca": pem}}}
    (container,) = containers(templates(render(values))["controller"])
    env = {item["name"]: item["value"] for item in container["env"] if "value" in item} | {"POD_NAMESPACE": NAMESPACE}
    found = settings.read([str(word) for word in container["args"][1:]], env)
    assert found.tracker_url == "https://tracker.example.com"
    assert found.tracker_names == ()
    assert found.tracker_ca == pem


@pytest.mark.parametrize("values", VALUES, ids=["defaults", "all set"])
def test_the_webhook_reads_its_flags(values: dict[str, Any]) -> None:
    """It watches the Secret that the controller fills."""
    found = webhook._arguments(arguments(values, "webhook"))
    assert found.certificates == "outrider-certificates"
    assert found.listen == (None, 9443)
    assert found.health == (None, 8081)
    assert found.log_level == ("warning" if values else "info")


@pytest.mark.parametrize("values", VALUES, ids=["defaults", "all set"])
def test_the_tracker_reads_its_flags(values: dict[str, Any]) -> None:
    """Its files are where the pod mounts them."""
    found = tracker._parser().parse_args(["serve", *arguments(values, "tracker")])
    (container,) = containers(templates(render(values))["tracker"])
    mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
    for path in (found.data, found.tls_cert, found.tls_key, found.admin_key_file):
        assert any(str(path).startswith(mount) for mount in mounts), path
    assert (found.listen.port, found.tls_listen.port) == (8080, 8443)
    assert found.controller_subject == f"system:serviceaccount:{NAMESPACE}:outrider-controller"
    assert found.issuer == ("https://issuer.example.com" if values else None)
    assert found.public_url == ("https://runs.example.com" if values else "")
    assert [str(network) for network in found.trusted_proxy] == (["10.0.0.0/8", "fd00::/8"] if values else [])
    assert found.quota == (["requests=500,bytes=20M", "vision:storage=3T"] if values else [])
    assert quotas.parse(found.quota)


def test_the_tracker_reads_its_entity_map(tmp_path: Path) -> None:
    """From the ConfigMap that its pod mounts where the flag says."""
    manifests = render(VALUES[1])
    (container,) = containers(templates(manifests)["tracker"])
    found = tracker._parser().parse_args(container["args"])
    (volume,) = [v for v in templates(manifests)["tracker"]["spec"]["volumes"] if v["name"] == "entities"]
    (mount,) = [m for m in container["volumeMounts"] if m["name"] == "entities"]
    assert found.entity_map.parent == Path(mount["mountPath"])
    (made,) = [
        m for m in manifests if m["kind"] == "ConfigMap" and m["metadata"]["name"] == volume["configMap"]["name"]
    ]
    file = tmp_path / found.entity_map.name
    file.write_text(made["data"][found.entity_map.name])
    assert EntityMap.load(file).entity("any issuer", "ml") == "research"


def test_the_secrets_keys_are_those_that_the_controller_writes() -> None:
    """The tracker's pod waits for these two."""
    (volume,) = [v for v in templates(render())["tracker"]["spec"]["volumes"] if v["name"] == "certificates"]
    assert {item["key"] for item in volume["secret"]["items"]} == {
        certificate_entries.TRACKER_CERT,
        certificate_entries.TRACKER_KEY,
    }


@pytest.mark.parametrize("given", ["", "outrider-certificates"])
def test_the_cas_key_must_have_a_secret_of_its_own(given: str) -> None:
    """A controller without one would put the key where the webhook reads."""
    words = [word for word in arguments({}, "controller") if not word.startswith("--ca-secret=")]
    with pytest.raises(ConfigurationError, match="--ca-secret must name a Secret of its own"):
        settings.read([*words, f"--ca-secret={given}"], {"POD_NAMESPACE": NAMESPACE})
