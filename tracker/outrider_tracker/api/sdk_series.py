"""Charts of SDK runs: keys with what `define_metric` said of them, and their lines over one run or several."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import Query

from outrider_tracker.api import sdk_answers
from outrider_tracker.api.errors import invalid
from outrider_tracker.core import metric_definitions, sdk_config
from outrider_tracker.store.read_sdk import SdkReader
from outrider_tracker.store.read_sdk_series import Axis
from outrider_tracker.store.records import SeriesLine
from outrider_tracker.store.sdk_runs import SdkRun

X = Literal["time", "step", "relative", "metric"]
XKey = Annotated[str, Query(alias="xKey", max_length=1000, description="The metric on x, where x is `metric`.")]
Key = Annotated[str, Query(min_length=1, max_length=1000)]
Buckets = Annotated[int, Query(ge=1, le=2000, description="At most so many buckets a line.")]
From = Annotated[float | None, Query(alias="from", allow_inf_nan=False)]
To = Annotated[float | None, Query(allow_inf_nan=False)]


def demand_order(start: float | None, to: float | None) -> None:
    """400 if the range ends before it begins."""
    if start is not None and to is not None and start > to:
        raise invalid(f"from ({start:g}) lies behind to ({to:g}): swap them.")


def axis(x: X, key: str, start: float | None, stop: float | None) -> Axis:
    """What is asked for; 400 if no metric is named where one must be."""
    if x == "metric" and not key:
        raise invalid("x=metric needs the metric's name: add xKey.")
    return Axis(x, key, 0.0, -math.inf if start is None else start, math.inf if stop is None else stop)


def listed(reader: SdkReader, run: SdkRun) -> list[dict[str, Any]]:
    """Every key of a run. Blocking."""
    defined = metric_definitions.decode(sdk_config.own(run.config).get("m"))
    items: list[dict[str, Any]] = []
    for info in reader.list_series(run.id):
        metric = metric_definitions.PLAIN if info.kind == "system" else defined.of(info.key)
        items.append(sdk_answers.series(info, metric.x, hidden=metric.hidden))
    return items


def read(reader: SdkReader, run: SdkRun, key: str, wanted: Axis, points: int) -> Sequence[SeriesLine]:
    """One key's lines. Relative time begins when the run was made. Blocking."""
    zero = run.created if wanted.x == "relative" else 0.0
    exact = Axis(wanted.x, wanted.key, zero, wanted.start, wanted.stop)
    return reader.read_series(run.id, key, exact, name=run.display_name, buckets=points)


def together(reader: SdkReader, runs: Sequence[SdkRun]) -> list[dict[str, Any]]:
    """The keys that any of the runs has, and how many do. Hidden: all of them hide it. Blocking."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for run in runs:
        for item in listed(reader, run):
            known = found.setdefault(
                (item["kind"], item["key"]),
                {"key": item["key"], "kind": item["kind"], "lines": 0, "x": None, "hidden": True},
            )
            known["lines"] += 1
            known["last"] = item["last"]
            known["x"] = known["x"] or item["x"]
            known["hidden"] = known["hidden"] and item["hidden"]
    return [found[name] for name in sorted(found)]


def overlaid(reader: SdkReader, runs: Sequence[SdkRun], key: str, wanted: Axis, points: int) -> list[dict[str, Any]]:
    """One key's lines of several runs, each with its run's id. Blocking."""
    return [{**line.to_json(), "run": run.name} for run in runs for line in read(reader, run, key, wanted, points)]
