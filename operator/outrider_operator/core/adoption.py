"""Which workloads get a Run without one being written, and what that Run says.

A workload asks by its pod template (annotation or label ``outrider.dev/inject``), or its namespace does for all;
"false" wins. The Run is named with the workload's UID, so the same name applied again is another Run. Once it is made,
the workload carries its name: a workload with that mark whose Run is gone has been forgotten, by a person or by the
Run's TTL, and gets none again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from outrider_operator.api.run import DEFAULT_PROJECT, RunSpec
from outrider_operator.core.naming import auto_run_name
from outrider_operator.core.observed import JobView, PodView, RunView
from outrider_sidecar import contract

FIELDS: Final = {
    contract.PROJECT: "project",
    contract.DISPLAY_NAME: "displayName",
    contract.GROUP_NAME: "group",
    contract.JOB_TYPE: "jobType",
    contract.TAGS: "tags",
    contract.NOTES: "notes",
    contract.CONFIG: "config",
}


@dataclass(frozen=True, slots=True)
class Wish:
    """A Run to make: its name and its object."""

    name: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Adoption:
    """What to do for a workload: at most one of making a Run, marking it with its Run, marking it forgotten."""

    make: Wish | None = None
    mark: str = ""
    forget: bool = False
    why: str = ""


def asks(annotations: Mapping[str, str], labels: Mapping[str, str], namespace_asks: bool) -> bool:
    """Whether a pod template, or a pod, is to be injected."""
    said = {annotations.get(contract.INJECT), labels.get(contract.INJECT)} - {None}
    if "false" in said:
        return False
    return "true" in said or namespace_asks


def namespace_project(text: str | None) -> tuple[str, list[tuple[str, str]]]:
    """The project of a namespace's Runs that name none, and a sentence where its annotation cannot be followed."""
    if not text:
        return DEFAULT_PROJECT, []
    why = _problem("project", text)
    return (DEFAULT_PROJECT, [_said(contract.PROJECT, text, why, "namespace")]) if why else (text, [])


def spec_from(annotations: Mapping[str, str], project: str | None) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """The descriptive part of a spec from annotations, and a sentence for each value that cannot be followed.

    Args:
        annotations: of the pod template.
        project: the namespace's default; None for none.

    """
    spec: dict[str, Any] = {}
    problems: list[tuple[str, str]] = []
    if project and not _problem("project", project):
        spec["project"] = project
    for key, field in FIELDS.items():
        text = annotations.get(key)
        if text is None:
            continue
        value: Any = text
        if field == "tags":
            value = list(dict.fromkeys(tag.strip() for tag in text.split(",") if tag.strip()))
        elif field == "config":
            try:
                value = json.loads(text)
            except ValueError as error:
                problems.append(_said(key, text, f"it must be a JSON object ({error})"))
                continue
        why = _problem(field, value)
        if why:
            problems.append(_said(key, text, why))
        elif value not in ("", []):
            spec[field] = value
    if contract.RUN_ID in annotations:
        why = "continuing another Run is not possible in this version; the workload has a Run of its own"
        problems.append(_said(contract.RUN_ID, annotations[contract.RUN_ID], why))
    return spec, problems


def _problem(field: str, value: object) -> str:
    """Why the API server would refuse a value; empty where it would not."""
    try:
        RunSpec.model_validate({field: value})
    except ValidationError as error:
        return "; ".join(str(e["msg"]) for e in error.errors()[:2])
    if field == "config" and not isinstance(value, dict):
        return "it must be a JSON object"
    return ""


def _said(key: str, text: str, why: str, of: str = "pod template") -> tuple[str, str]:
    shown = text if len(text) <= 60 else text[:57] + "…"
    return "InvalidAnnotation", f"Annotation {key}={shown!r} of the {of} was left out: {why}."


def _ref(workload: JobView | PodView) -> dict[str, str]:
    api, kind = ("batch/v1", "Job") if isinstance(workload, JobView) else ("v1", "Pod")
    return {"apiVersion": api, "kind": kind, "name": workload.name, "uid": workload.uid}


def template_of(workload: JobView | PodView) -> tuple[dict[str, str], dict[str, str]]:
    """Our annotations and labels of what the workload's pods are made from."""
    if isinstance(workload, JobView):
        return dict(workload.template_annotations), dict(workload.template_labels)
    return dict(workload.annotations), dict(workload.labels)


def wish(workload: JobView | PodView, project: str | None) -> Wish:
    """The Run of a workload that was found."""
    annotations, _ = template_of(workload)
    spec, _ = spec_from(annotations, project)
    name = auto_run_name(workload.name, workload.uid)
    body = {
        "apiVersion": contract.API_VERSION,
        "kind": "Run",
        "metadata": {
            "name": name,
            "namespace": workload.namespace,
            "labels": {contract.AUTO: "true"},
            "annotations": {contract.WORKLOAD_UID: workload.uid},
        },
        "spec": {**spec, "workloadRef": _ref(workload)},
    }
    return Wish(name, body)


def decide(
    workload: JobView | PodView,
    *,
    runs: Mapping[str, RunView],
    claimed: bool,
    dropped: bool,
    namespace_asks: bool,
    project: str | None,
    ttl: float,
    now: float,
) -> Adoption:
    """What to do for a workload.

    Args:
        workload: as observed.
        runs: the Runs of its namespace by name.
        claimed: whether a Run that a person wrote names this workload.
        dropped: whether this process has seen its Run deleted, which counts where a workload could not be marked.
        namespace_asks: whether its namespace opted in.
        project: the namespace's default project.
        ttl: seconds that a finished auto-made Run is kept: a workload that ended longer ago gets none.
        now: Unix seconds.

    """
    annotations = dict(workload.annotations)
    name = auto_run_name(workload.name, workload.uid)
    mine = runs.get(name)
    held = mine is not None and mine.auto and mine.workload_uid == workload.uid
    if held:
        marked = annotations.get(contract.RUN_NAME) == name
        gone = workload.gone
        return Adoption(mark="" if marked or gone else name)
    if workload.gone or claimed:
        return Adoption(why="claimed by a Run that was written" if claimed else "gone")
    if contract.FORGOTTEN in annotations:
        return Adoption(why="forgotten")
    if annotations.get(contract.RUN_NAME) == name or dropped:
        return Adoption(forget=True, why="its Run was deleted")
    if isinstance(workload, JobView) and workload.owner is not None and workload.owner[0] == "Run":
        return Adoption(why="made by a Run")
    template_annotations, template_labels = template_of(workload)
    if not asks(template_annotations, template_labels, namespace_asks and isinstance(workload, JobView)):
        return Adoption(why="not asked for")
    ended = workload.finished_at if isinstance(workload, JobView) else workload.end_time
    if ended is not None and now - ended >= ttl:
        return Adoption(why="ended longer ago than Runs are kept")
    if mine is not None:
        return Adoption(why=f"the name {name} is held by a Run that is not its own")
    return Adoption(make=wish(workload, project))
