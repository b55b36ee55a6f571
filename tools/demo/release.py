"""Installs the chart, or upgrades what is installed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import helm_python

from tools.demo.errors import DemoError

CHART = Path(__file__).resolve().parents[2] / "charts" / "outrider"
NAME = "outrider"
NAMESPACE = "outrider"
UI_PORT = 30080


def values(contents: Mapping[str, str], host: str) -> dict[str, Any]:
    """The demo's values.

    contents: for each image what it was built from, so that a rebuilt one restarts its pods.
    host: a node's address as this machine reaches it; the UI answers there.
    """
    annotation = "outrider.dev/image-content"

    def pods(image: str) -> dict[str, Any]:
        return {"podAnnotations": {annotation: contents[image]}} if image in contents else {}

    return {
        "image": {"pullPolicy": "Never"},
        "controller": pods("outrider-operator"),
        "webhook": pods("outrider-operator"),
        "tracker": {
            **pods("outrider-tracker"),
            "publicUrl": f"http://{host}:{UI_PORT}",
            "service": {"type": "NodePort", "nodePorts": {"http": UI_PORT}},
            "storage": {"ephemeral": True, "size": "2Gi"},
        },
    }


def install(kubeconfig: Path, given: Mapping[str, Any]) -> str:
    """Bring the release to the chart and these values; gives one line about it. DemoError with Helm's own words."""
    try:
        with helm_python.Config(kubeconfig_path=kubeconfig, namespace=NAMESPACE) as config:
            found = next((release for release in config.list(all_states=True) if release["name"] == NAME), None)
            there = found is not None
            if found is not None and str(found["status"]).startswith("pending"):
                # An earlier run was interrupted: Helm would refuse for ever with "another operation is in progress".
                config.uninstall(NAME)
                there = False
            act = config.upgrade if there else config.install
            done = act(CHART, NAME, dict(given), timeout=60)
    except helm_python.HelmError as error:
        raise DemoError(f"Helm could not install {CHART.name}: {error}") from error
    return f"release {NAME}, revision {done['revision']}, {done['status']}"
