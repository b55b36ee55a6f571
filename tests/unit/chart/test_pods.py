"""What runs: secure, pinned, probed, with resources, whatever the values."""

import itertools
import json
from typing import Any

import helm_python
import pytest

from tests.unit.chart.rendering import containers, of_kind, render, templates
from tests.unit.chart.restricted import violations

DIGEST = "sha256:" + "ab" * 32
ANYWHERE = {"nodeSelector": {"pool": "cpu"}, "tolerations": [{"operator": "Exists"}], "priorityClassName": "high"}
CHOICES: list[list[dict[str, Any]]] = [
    [{}, {"image": {"registry": "registry.example.com:5000/ml", "tag": "1.2.3", "pullSecrets": ["pull"]}}],
    [{}, {"tracker": {"enabled": False, "external": {"url": "https://tracker.example.com"}}}],
    [{}, {"controller": {"replicas": 2, **ANYWHERE}, "webhook": {"replicas": 1, **ANYWHERE}}],
    [{}, {"networkPolicy": {"enabled": False}, "crds": {"install": False}}],
]


def merged(parts: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    """Values of several choices together; no two of them set the same key."""
    return {key: value for part in parts for key, value in part.items()}


COMBINATIONS = [merged(parts) for parts in itertools.product(*CHOICES)] + [
    {"tracker": {"storage": {"ephemeral": True, "size": "1Gi"}, "service": {"type": "NodePort"}}},
    {"tracker": {"storage": {"className": "fast"}, "adminKey": {"existingSecret": "mine", "existingSecretKey": "k"}}},
    {"image": {"operator": {"name": "op", "digest": DIGEST}}, "injection": {"imagePullSecrets": ["p"]}},
    {"tracker": {"podAnnotations": {"a": "1"}, "podLabels": {"team": "ml"}, **ANYWHERE}},
]


@pytest.mark.parametrize("values", COMBINATIONS, ids=json.dumps)
def test_every_pod_passes_pod_security_restricted(values: dict[str, Any]) -> None:
    """No value that the schema takes makes a pod that a namespace enforcing `restricted` refuses."""
    for part, template in templates(render(values)).items():
        assert violations(template["spec"]) == [], part


def test_the_checker_itself_finds_what_is_forbidden() -> None:
    """A careless pod has every fault that the document names."""
    careless = {
        "hostNetwork": True,
        "volumes": [{"name": "host", "hostPath": {"path": "/"}}],
        "containers": [{"name": "c", "securityContext": {"privileged": True, "capabilities": {"add": ["SYS_ADMIN"]}}}],
    }
    assert violations(careless) == [
        "hostNetwork is set",
        "volume host is a hostPath",
        "container c: is privileged",
        "container c: allowPrivilegeEscalation is not false",
        "container c: runAsNonRoot is not true",
        "container c: has no seccomp profile",
        "container c: does not drop all capabilities",
        "container c: adds SYS_ADMIN",
    ]


def test_every_container_reads_only_its_image() -> None:
    """What is written goes to volumes."""
    for part, template in templates(render()).items():
        for container in containers(template):
            assert container["securityContext"]["readOnlyRootFilesystem"] is True, part


def test_images_are_pinned_to_the_charts_version_by_default() -> None:
    """Nothing is pulled by a name that means other bytes tomorrow."""
    images = {part: containers(template)[0]["image"] for part, template in templates(render()).items()}
    assert images == {
        "controller": "outrider-operator:0.1.0",
        "webhook": "outrider-operator:0.1.0",
        "tracker": "outrider-tracker:0.1.0",
    }


def test_registry_tag_and_digest_make_the_full_name() -> None:
    """As `make images REGISTRY=` pushes them."""
    values: dict[str, Any] = {
        "image": {
            "registry": "registry.example.com:5000/ml/",
            "tag": "1.2.3",
            "tracker": {"name": "outrider-tracker", "digest": DIGEST},
        }
    }
    with pytest.raises(helm_python.HelmValuesError, match="/image/registry"):
        render(values)  # a slash at the end is refused rather than doubled
    values["image"]["registry"] = "registry.example.com:5000/ml"
    found = templates(render(values))
    assert containers(found["webhook"])[0]["image"] == "registry.example.com:5000/ml/outrider-operator:1.2.3"
    assert containers(found["tracker"])[0]["image"] == f"registry.example.com:5000/ml/outrider-tracker:1.2.3@{DIGEST}"


def test_probes_and_resources_are_set_on_every_container() -> None:
    """A part that hangs is restarted, and none can take a node's memory."""
    for part, template in templates(render()).items():
        for container in containers(template):
            ports = {port["name"] for port in container["ports"]}
            for probe in ("livenessProbe", "readinessProbe"):
                assert container[probe]["httpGet"]["port"] in ports, (part, probe)
            assert set(container["resources"]["requests"]) == {"cpu", "memory"}, part
            assert "memory" in container["resources"]["limits"], part


def test_every_mount_has_its_volume() -> None:
    """And every volume, or claim, is mounted somewhere."""
    for values in COMBINATIONS:
        for found in of_kind(render(values), "Deployment", "StatefulSet"):
            template = found["spec"]["template"]
            claims = {claim["metadata"]["name"] for claim in found["spec"].get("volumeClaimTemplates", ())}
            mounted = {mount["name"] for container in containers(template) for mount in container["volumeMounts"]}
            assert mounted == {volume["name"] for volume in template["spec"]["volumes"]} | claims


def test_the_trackers_storage_is_a_claim_unless_a_demo_asks_otherwise() -> None:
    """Ephemeral storage is marked on the object, and said in the notes."""
    (lasting,) = [found for found in render() if found["kind"] == "StatefulSet"]
    assert lasting["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"] == "20Gi"
    assert lasting["spec"]["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    assert lasting["spec"]["replicas"] == 1
    (fleeting,) = [
        found for found in render({"tracker": {"storage": {"ephemeral": True}}}) if found["kind"] == "StatefulSet"
    ]
    assert "volumeClaimTemplates" not in fleeting["spec"]
    assert fleeting["metadata"]["annotations"] == {
        "outrider.dev/ephemeral-storage": "every Run's data is lost with this pod"
    }
