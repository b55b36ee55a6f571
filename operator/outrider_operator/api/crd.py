"""The CustomResourceDefinition of Run: the model's schema and what a schema cannot say."""

from __future__ import annotations

from typing import Any, Final

from outrider_operator.api.run import NAME_PATTERN, Run
from outrider_operator.api.schema import structural
from outrider_sidecar.contract import GROUP

VERSION: Final = "v1alpha1"
PLURAL: Final = "runs"
_COLUMNS: Final = (
    # name, type, path, priority (1: only with -o wide)
    ("State", "string", ".status.state", 0),
    ("Ranks", "string", ".status.ranks.summary", 0),
    ("Attempt", "integer", ".status.attempt", 0),
    ("Workload", "string", ".status.workload", 0),
    ("Age", "date", ".metadata.creationTimestamp", 0),
    ("Project", "string", ".status.project", 1),
    ("Group", "string", ".spec.group", 1),
    ("Failed", "string", ".status.failure.summary", 1),
    ("URL", "string", ".status.url", 1),
)


def run_crd() -> dict[str, Any]:
    """The CustomResourceDefinition of Run, as applied to the API server."""
    schema = structural(Run)
    # The API server owns the shape of metadata; it takes a bound on the name and nothing else here. The name becomes
    # a label value and a host name.
    schema["properties"]["metadata"] = {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 63, "pattern": NAME_PATTERN}},
    }
    for name in ("apiVersion", "kind"):
        schema["properties"][name] = {"type": "string"}
    schema["required"] = ["spec"]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": "Run",
                "listKind": "RunList",
                "plural": PLURAL,
                "singular": "run",
                "shortNames": ["orun"],
                "categories": ["all", "outrider"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [
                        {"name": name, "type": kind, "jsonPath": path, **({"priority": level} if level else {})}
                        for name, kind, path, level in _COLUMNS
                    ],
                    "selectableFields": [{"jsonPath": ".spec.project"}, {"jsonPath": ".status.state"}],
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }
