"""The workload that a Run makes: (Run, injection settings) -> object. Pure; the same Run gives the same object."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from outrider_operator.core.injection import Injection, inject_pod_template
from outrider_operator.core.injection_config import InjectionConfig
from outrider_operator.core.json_patch import apply
from outrider_operator.core.naming import job_name
from outrider_operator.core.observed import RunView
from outrider_operator.core.workloads import Owner, find_kind, template_of, with_template
from outrider_sidecar import contract


@dataclass(frozen=True, slots=True)
class Made:
    """The workload to create, or None with the (reason, sentence) why it cannot be."""

    body: dict[str, Any] | None
    problems: tuple[tuple[str, str], ...] = ()
    skipped: str = ""
    """Why its pods run without the sidecar; empty where they have it."""


def workload_name(run: RunView) -> str:
    """Name of the workload that a Run makes."""
    meta = (run.spec.get("workload") or {}).get("metadata") or {}
    return job_name(run.name, run.uid, meta.get("name"))


def make(run: RunView, config: InjectionConfig | None) -> Made:
    """The workload of a Run with ``spec.workload``, owned by it, its pod template injected.

    Args:
        run: the Run.
        config: what is injected; None where this controller injects nothing.

    """
    given = run.spec.get("workload") or {}
    api_version, kind = str(given.get("apiVersion") or ""), str(given.get("kind") or "")
    if find_kind(api_version, kind) is None:
        sentence = f"spec.workload is a {api_version} {kind}: this controller can make batch/v1 Job only."
        return Made(None, (("UnknownKind", sentence),))
    workload: dict[str, Any] = copy.deepcopy(dict(given))
    template = template_of(workload)
    if template is None:
        return Made(None, (("InvalidWorkload", "spec.workload has no pod template at spec.template."),))
    meta = workload.get("metadata") or {}
    if meta.get("namespace") not in {None, "", run.namespace}:
        sentence = f"spec.workload is for namespace {meta['namespace']}: a Run makes objects in its own namespace only."
        return Made(None, (("InvalidWorkload", sentence),))
    name = workload_name(run)
    workload["metadata"] = {
        **meta,
        "name": name,
        "namespace": run.namespace,
        "labels": {**(meta.get("labels") or {}), contract.RUN_NAME: run.name},
        "ownerReferences": [
            {
                "apiVersion": contract.API_VERSION,
                "kind": "Run",
                "name": run.name,
                "uid": run.uid,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }
    wishes, problems = _wishes(run.spec)
    template = _with_metadata(template, run.name, wishes)
    if config is None:
        skipped = "this controller has no injection settings, so the Runs that it makes are not injected"
        return Made(with_template(workload, template), problems, skipped)
    result = inject_pod_template(template, Owner(api_version, kind, name, ""), config)
    if isinstance(result, Injection):
        return Made(with_template(workload, result.pod), problems)
    return Made(with_template(workload, apply(template, list(result.patch))), problems, result.reason)


def _with_metadata(template: Mapping[str, Any], run: str, wishes: Mapping[str, str]) -> dict[str, Any]:
    meta = template.get("metadata") or {}
    return {
        **template,
        "metadata": {
            **meta,
            "labels": {**(meta.get("labels") or {}), contract.RUN_NAME: run},
            "annotations": {**wishes, **(meta.get("annotations") or {})},
        },
    }


def _wishes(spec: Mapping[str, Any]) -> tuple[dict[str, str], tuple[tuple[str, str], ...]]:
    """spec.collect and spec.linger as the template's annotations, which is where injection reads them."""
    collect = spec.get("collect") or {}
    wishes: dict[str, str] = {}
    problems: list[tuple[str, str]] = []
    if capture := (collect.get("logs") or {}).get("capture"):
        wishes[contract.CAPTURE] = str(capture)
    if interval := (collect.get("metrics") or {}).get("interval"):
        wishes[contract.METRICS_INTERVAL] = str(interval)
    if spec.get("linger"):
        wishes[contract.LINGER] = str(spec["linger"])
    rules = []
    for rule in collect.get("files") or ():
        path = str(rule.get("path") or "")
        if "," in path or "=" in path:
            sentence = (
                f"spec.collect.files names {path!r}, which is left out: a path must not have a comma or equals sign."
            )
            problems.append(("InvalidFiles", sentence))
        else:
            rules.append(f"{path}={rule.get('policy', 'end')}")
    if rules:
        wishes[contract.FILES] = ", ".join(rules)
    return wishes, tuple(problems)
