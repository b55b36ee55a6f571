"""The table of workload kinds that Outrider knows, and what their pods say of themselves.

Everything that depends on the kind of a workload is generated from this table: which Runs the API server lets a
person make, which rights the controller has, which pods a namespace's opt-in reaches, where a pod template is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class WorkloadKind:
    """One kind of workload."""

    api_version: str
    kind: str
    resource: str
    """Plural name in URLs and RBAC rules."""
    template: tuple[str, ...]
    """Path of the pod template in the object."""
    framework_labels: tuple[str, ...]
    """Labels of a pod that say which workload it is of; the webhook hands them on as it saw them."""
    verbs: tuple[str, ...] = ("get", "list", "watch", "create", "patch")
    """What the controller may do with objects of this kind; the garbage collector deletes."""

    @property
    def group(self) -> str:
        """API group; empty for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def key(self) -> str:
        """How the kind is written in messages and policies, such as ``batch/v1 Job``."""
        return f"{self.api_version} {self.kind}"


KINDS: Final = (
    WorkloadKind(
        api_version="batch/v1",
        kind="Job",
        resource="jobs",
        template=("spec", "template"),
        framework_labels=(
            "batch.kubernetes.io/job-name",
            "batch.kubernetes.io/controller-uid",
            "batch.kubernetes.io/job-completion-index",
        ),
    ),
)
_BY_KEY: Final = {(kind.api_version, kind.kind): kind for kind in KINDS}


@dataclass(frozen=True, slots=True)
class Owner:
    """The controlling owner of an object."""

    api_version: str
    kind: str
    name: str
    uid: str


def find_kind(api_version: str, kind: str) -> WorkloadKind | None:
    """The table's entry, or None for a kind that Outrider does not know."""
    return _BY_KEY.get((api_version, kind))


def owner_of(obj: Object) -> Owner | None:
    """The object's controlling owner (``controller: true``), or None."""
    for reference in (obj.get("metadata") or {}).get("ownerReferences") or ():
        if reference.get("controller"):
            return Owner(reference["apiVersion"], reference["kind"], reference["name"], reference.get("uid", ""))
    return None


def framework_labels(pod: Object) -> dict[str, str]:
    """Those labels of a pod by which frameworks say which workload it is of."""
    labels = (pod.get("metadata") or {}).get("labels") or {}
    known = (label for kind in KINDS for label in kind.framework_labels)
    return {label: labels[label] for label in known if label in labels}


def template_of(workload: Object) -> Object | None:
    """The workload's pod template, or None where the kind is unknown or the object has none."""
    kind = find_kind(workload.get("apiVersion", ""), workload.get("kind", ""))
    if kind is None:
        return None
    found: Any = workload
    for step in kind.template:
        found = found.get(step) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else None


def with_template(workload: Object, template: Object) -> dict[str, Any]:
    """A copy of the workload with another pod template. Raises KeyError for an unknown kind."""
    kind = _BY_KEY[workload["apiVersion"], workload["kind"]]

    def put(node: Object, path: tuple[str, ...]) -> dict[str, Any]:
        if not path:
            return dict(template)
        return {**node, path[0]: put(node.get(path[0]) or {}, path[1:])}

    return put(workload, kind.template)


def rules() -> Iterator[dict[str, Any]]:
    """The controller's rights over workloads, as rows of the chart's table of kinds."""
    for kind in KINDS:
        yield {"group": kind.group, "resource": kind.resource, "verbs": list(kind.verbs)}
