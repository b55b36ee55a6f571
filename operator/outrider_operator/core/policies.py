"""Admission policies over Runs, generated from the table of workload kinds.

A Run must not make what its author could not make: the API server itself is asked whether the requester may, when a
Run is created or its spec changes, and only then (else the garbage collector, which removes finalizers, is asked too).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from outrider_operator.core.workloads import KINDS, WorkloadKind
from outrider_sidecar.contract import GROUP, SUBMITTER

NAME: Final = f"runs.{GROUP}"
SUBMITTER_NAME: Final = f"submitter.runs.{GROUP}"
_API: Final = "admissionregistration.k8s.io/v1"
_SUBMITTER_OF: Final = "{}.metadata.?annotations['" + SUBMITTER + "'].orValue('')"


def policies(kinds: Iterable[WorkloadKind] = KINDS) -> list[dict[str, Any]]:
    """The policies and their bindings, in the order in which to apply them."""
    return [_validating(kinds), _binding("Validating", NAME), _mutating(), _binding("Mutating", SUBMITTER_NAME)]


def _validating(kinds: Iterable[WorkloadKind]) -> dict[str, Any]:
    table = ", ".join(f"'{kind.key}': '{kind.resource}'" for kind in kinds)
    may = "authorizer.group(variables.group).resource(variables.resource).namespace(request.namespace)"
    resource_name = "variables.resource + (variables.group == '' ? '' : '.' + variables.group)"
    place = f"{resource_name} + ' in namespace ' + request.namespace"
    return {
        "apiVersion": _API,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": NAME},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": _runs(),
            "variables": [
                {"name": "table", "expression": f"{{{table}}}"},
                {"name": "workload", "expression": "has(object.spec.workload) ? object.spec.workload : null"},
                {"name": "ref", "expression": "has(object.spec.workloadRef) ? object.spec.workloadRef : null"},
                {"name": "apiVersion", "expression": _of_either("apiVersion")},
                {"name": "kind", "expression": _of_either("kind")},
                {
                    "name": "group",
                    "expression": "variables.apiVersion.contains('/') ? variables.apiVersion.split('/')[0] : ''",
                },
                {"name": "key", "expression": "variables.apiVersion + ' ' + variables.kind"},
                {
                    "name": "resource",
                    "expression": "variables.key in variables.table ? variables.table[variables.key] : ''",
                },
                {"name": "asks", "expression": "request.operation == 'CREATE' || object.spec != oldObject.spec"},
                {"name": "submitter", "expression": _SUBMITTER_OF.format("object")},
            ],
            "validations": [
                {
                    "reason": "Forbidden",
                    "expression": "!variables.asks || variables.resource != ''",
                    "messageExpression": "'workload kind ' + variables.key + ' is not one that Outrider knows; known "
                    f"are: {', '.join(kind.key for kind in kinds)}'",
                },
                {
                    "reason": "Forbidden",
                    "expression": "!variables.asks || variables.workload == null || variables.resource == '' || "
                    f"{may}.check('create').allowed()",
                    "messageExpression": f"'user ' + request.userInfo.username + ' may not create ' + {place} + "
                    "', so a Run may not do it for them'",
                },
                {
                    "reason": "Forbidden",
                    "expression": "!variables.asks || variables.ref == null || variables.resource == '' || "
                    f"{may}.name(variables.ref.name).check('get').allowed()",
                    "messageExpression": f"'user ' + request.userInfo.username + ' may not get ' + {place} + "
                    "', so a Run may not show it to them'",
                },
                {
                    "reason": "Invalid",
                    "expression": "!variables.asks || variables.workload == null || "
                    "!has(variables.workload.metadata) || !has(variables.workload.metadata.namespace) || "
                    "variables.workload.metadata.namespace == request.namespace",
                    "messageExpression": "'workload.metadata.namespace must be absent or ' + request.namespace + "
                    "', the namespace of the Run'",
                },
                {
                    "reason": "Forbidden",
                    "expression": "request.operation == 'CREATE' ? variables.submitter in ['', "
                    f"request.userInfo.username] : variables.submitter == {_SUBMITTER_OF.format('oldObject')}",
                    "messageExpression": f"'annotation {SUBMITTER} says who created the Run and cannot be set or "
                    "changed'",
                },
            ],
        },
    }


def _of_either(field: str) -> str:
    return (
        f"variables.workload != null ? variables.workload.{field} : variables.ref != null ? variables.ref.{field} : ''"
    )


def _mutating() -> dict[str, Any]:
    """Stamps who created a Run; whatever else is written there is replaced without a word."""
    path = "/metadata/annotations/" + SUBMITTER.replace("/", "~1")
    old = f'oldObject.metadata.annotations["{SUBMITTER}"]'
    expression = (
        'request.operation == "CREATE" || has(oldObject.metadata.annotations) && '
        f'"{SUBMITTER}" in oldObject.metadata.annotations ? '
        "(has(object.metadata.annotations) ? [] : "
        '[JSONPatch{op: "add", path: "/metadata/annotations", value: {}}]) + '
        f'[JSONPatch{{op: "add", path: "{path}", '
        f'value: request.operation == "CREATE" ? request.userInfo.username : {old}}}] : []'
    )
    return {
        "apiVersion": _API,
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": SUBMITTER_NAME},
        "spec": {
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "matchConstraints": _runs(),
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}],
        },
    }


def _runs() -> dict[str, Any]:
    rule = {"apiGroups": [GROUP], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"], "resources": ["runs"]}
    return {"resourceRules": [rule]}


def _binding(which: str, policy: str) -> dict[str, Any]:
    spec: dict[str, Any] = {"policyName": policy}
    if which == "Validating":
        spec["validationActions"] = ["Deny"]
    return {"apiVersion": _API, "kind": f"{which}AdmissionPolicyBinding", "metadata": {"name": policy}, "spec": spec}
