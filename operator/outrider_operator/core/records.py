"""A Run and its pods as the tracker takes them (docs/protocol.md section 6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from outrider_operator.core import naming
from outrider_operator.core.attempts import Attempts
from outrider_operator.core.collection import last_words
from outrider_operator.core.observation import Observation
from outrider_operator.core.times import rfc3339


def run_record(seen: Observation, status: Mapping[str, Any]) -> dict[str, Any]:
    """The Run as the tracker takes it (docs/protocol.md section 6)."""
    run, spec = seen.run, seen.run.spec
    workload = seen.workload
    uid = workload.uid if workload is not None else run.workload_uid
    return {
        "namespace": run.namespace,
        "name": run.name,
        "project": status["project"],
        "displayName": spec.get("displayName") or run.name,
        "group": spec.get("group"),
        "jobType": spec.get("jobType"),
        "tags": list(spec.get("tags") or ()),
        "notes": spec.get("notes"),
        "config": dict(spec.get("config") or {}),
        "state": status["state"],
        "reason": status.get("reason"),
        "createdAt": rfc3339(run.created),
        "startedAt": status.get("startTime"),
        "endedAt": status.get("endTime"),
        "attempt": status.get("attempt", 1),
        "attempts": [
            {
                "number": a["number"],
                "startedAt": a.get("startTime"),
                "endedAt": a.get("endTime"),
                "state": a["state"],
                "reason": a.get("reason"),
            }
            for a in status.get("attempts") or ()
        ],
        "ranks": {k: v for k, v in (status.get("ranks") or {}).items() if k != "summary"},
        "failure": status.get("failure"),
        "conditions": list(status.get("conditions") or ()),
        "workload": {
            "apiVersion": "v1" if seen.workload_kind == "Pod" else "batch/v1",
            "kind": seen.workload_kind,
            "name": seen.workload_name,
            "uid": uid,
        },
    }


def joins(seen: Observation, attempts: Attempts) -> dict[str, dict[str, Any]]:
    """By pod UID: the source as the tracker takes it."""
    run_id = naming.run_id(seen.run.name, seen.run.uid, auto=seen.run.auto)
    made: dict[str, dict[str, Any]] = {}
    for pod in seen.pods:
        place = attempts.places[pod.uid]
        words = last_words(pod)
        join: dict[str, Any] = {
            "run": run_id,
            "attempt": place.attempt,
            "nodeRank": pod.index,
            "incarnation": place.incarnation,
            "pod": pod.name,
            "node": pod.node,
            "namespace": pod.namespace,
            "phase": pod.phase,
            "deleted": pod.gone,
            "unsentBytes": words.unsent_bytes if words is not None else None,
        }
        reason = pod.disruption or pod.reason
        if pod.gone and words is None and not pod.succeeded and reason:
            join["lostReason"] = reason
        made[pod.uid] = join
    return made
