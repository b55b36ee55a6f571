"""Renders the chart without a cluster, and looks at what came out."""

from pathlib import Path
from typing import Any

import helm_python
import yaml

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "charts" / "outrider"
NAMESPACE = "tracking"

Object = dict[str, Any]


def render(values: Object | None = None, name: str = "outrider", namespace: str = NAMESPACE) -> list[Object]:
    """All objects of the chart, as Helm would send them."""
    with helm_python.Chart.load(CHART) as chart:
        rendered = chart.render(values or {}, name=name, namespace=namespace, is_install=True)
    texts = (text for path, text in sorted(rendered.items()) if path.endswith(".yaml"))
    return [found for text in texts for found in yaml.safe_load_all(text) if found]


def notes(values: Object | None = None, name: str = "outrider", namespace: str = NAMESPACE) -> str:
    """What Helm prints after an install."""
    with helm_python.Chart.load(CHART) as chart:
        return chart.render(values or {}, name=name, namespace=namespace)["outrider/templates/NOTES.txt"]


def of_kind(objects: list[Object], *kinds: str) -> list[Object]:
    """The objects of some kinds."""
    return [found for found in objects if found["kind"] in kinds]


def named(objects: list[Object], kind: str, name: str) -> Object:
    """The one object of a kind and name."""
    (found,) = [found for found in of_kind(objects, kind) if found["metadata"]["name"] == name]
    return found


def templates(objects: list[Object]) -> dict[str, Object]:
    """Each part's pod template, by the part's name: controller, webhook, tracker."""
    return {
        found["metadata"]["labels"]["app.kubernetes.io/component"]: found["spec"]["template"]
        for found in of_kind(objects, "Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob")
    }


def containers(template: Object) -> list[Object]:
    """All containers of a pod template."""
    spec = template["spec"]
    return [*spec.get("initContainers", ()), *spec["containers"]]
