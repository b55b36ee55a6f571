"""SDK runs as the read API answers them: pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from outrider_tracker.core import jsontext, sdk_config
from outrider_tracker.core.media import MediaItem
from outrider_tracker.core.run_states import state_of
from outrider_tracker.core.sdk_facts import facts
from outrider_tracker.store.projects import Project
from outrider_tracker.store.read_sdk import RunFile
from outrider_tracker.store.records import Run, SeriesInfo, camel
from outrider_tracker.store.runs import run_url
from outrider_tracker.store.sdk_runs import SdkRun

MAX_CHARTS: Final = 200
Json = dict[str, Any]


def link(run: Run | SdkRun) -> Json:
    """Where a run stands."""
    if isinstance(run, Run):
        return {"id": run.id, "name": run.record.get("displayName") or run.record.get("name") or run.id, "url": run.url}
    return {"id": run.name, "name": run.display_name, "url": run_url(run.entity, run.project, run.name)}


def summary(run: SdkRun, now: float, serving_since: float) -> Json:
    """As lists show it. The Run that it belongs to stands in the same project as a rule, and is asked for by its id."""
    state = state_of(run.state, run.heartbeat, now, serving_since, stopped=run.stopped)
    return {
        "kind": "sdk",
        "id": run.name,
        "entity": run.entity,
        "project": run.project,
        "url": run_url(run.entity, run.project, run.name),
        "displayName": run.display_name,
        "state": str(state).capitalize(),
        "group": run.group_name,
        "jobType": run.job_type,
        "tags": run.tags,
        "sweep": run.sweep,
        "createdAt": run.created,
        "heartbeatAt": run.heartbeat,
        "endedAt": run.ended if run.ended is not None or state == run.state else run.heartbeat,
        "exitCode": run.exit_code,
        "host": run.host,
        "run": None,
    }


def whole(
    run: SdkRun,
    project: Project,
    metadata: Mapping[str, Any],
    *,
    user: str | None,
    of: Run | None,
    alone: bool,
    parent: SdkRun | None,
    may_write: bool,
    now: float,
    serving_since: float,
) -> Json:
    """The run in full. `of`: the Run whose pod made it; `alone`: it is shown as that Run."""
    own = sdk_config.own(run.config)
    told = camel(facts(metadata, own))
    told["host"] = run.host or told["host"]
    told["program"] = told["program"] or run.program or None
    told["gitRemote"] = told["gitRemote"] or run.repo or None
    told["gitCommit"] = told["gitCommit"] or run.commit_hash or None
    return {
        **summary(run, now, serving_since),
        "run": None if of is None else link(of),
        "notes": run.notes,
        "user": user,
        "visibility": project.visibility,
        "config": jsontext.finite(plain_config(run.config)),
        "summary": jsontext.finite({key: value for key, value in run.summary.items() if key != sdk_config.OWN}),
        "facts": told,
        "charts": custom_charts(own),
        "forkedFrom": None if parent is None else link(parent),
        "forkedAt": run.parent_step,
        "stopAsked": run.stopped,
        "alone": alone,
        "mayWrite": may_write,
    }


def plain_config(config: Mapping[str, Any]) -> Json:
    """The values alone, as the training code gave them."""
    return {
        key: entry["value"] if isinstance(entry, dict) and "value" in entry else entry
        for key, entry in config.items()
        if key != sdk_config.OWN
    }


def custom_charts(own: Mapping[str, Any]) -> list[Json]:
    """The charts of `wandb.plot`, from the client's own part of the config. Whatever has another shape is left out."""
    listed = own.get("visualize")
    made: list[Json] = []
    for key, entry in list(listed.items())[:MAX_CHARTS] if isinstance(listed, dict) else ():
        panel = _object(_object(entry).get("panel_config"))
        preset = panel.get("panelDefId")
        made.append(
            {
                "key": str(key),
                "preset": preset if isinstance(preset, str) else "",
                "table": _table_key(panel) or f"{key}_table",
                "fields": jsontext.finite(_object(panel.get("fieldSettings"))),
                "texts": jsontext.finite(_object(panel.get("stringSettings"))),
            }
        )
    return made


def _table_key(panel: Mapping[str, Any]) -> str | None:
    """The argument `tableKey` somewhere in the panel's query."""
    todo: list[Any] = [panel.get("userQuery")]
    for _ in range(1000):
        if not todo:
            break
        each = todo.pop()
        if isinstance(each, list):
            todo += each[:100]
        elif isinstance(each, dict):
            if each.get("name") == "tableKey" and isinstance(each.get("value"), str):
                return str(each["value"])
            todo += list(each.values())[:100]
    return None


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def media_item(item: MediaItem) -> Json:
    """One thing to show."""
    return {**camel(item), "overlays": [{"name": name, "path": path} for name, path in item.overlays]}


def series(info: SeriesInfo, x: str | None, *, hidden: bool) -> Json:
    """A metric key, with what `define_metric` said of it."""
    return {**info.to_json(), "x": x, "hidden": hidden}


def file(found: RunFile) -> Json:
    """A file of an SDK run in the form of a Run's files: its name is its id, and no pod is known."""
    return {
        "id": None,
        "path": found.name,
        "size": found.size,
        "sha256": found.sha256,
        "policy": "live",
        "pod": None,
        "rank": None,
        "storedAt": found.updated,
        "versions": 1,
    }
