"""Why a workload's pods were refused: only Events on it say so, and none of them names the sidecar's share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from outrider_operator.core.quantity import parse_quantity
from outrider_operator.core.times import seconds

_QUOTA: Final = re.compile(r"(?:exceeded|failed) quota: ([^,:]+)")
_REQUESTED: Final = re.compile(r"requested: ([^:]*?)(?:, used:|$)")
_LIMIT_RANGE: Final = re.compile(r"(?:minimum|maximum|max limit to request ratio)")


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refused pod: ``reason`` is QuotaRefused, LimitRangeRefused or PodRefused."""

    reason: str
    message: str
    at: float


def _template_sum(requests: Iterable[tuple[str, str]]) -> dict[str, Decimal]:
    total: dict[str, Decimal] = {}
    for resource, text in requests:
        try:
            total[resource] = total.get(resource, Decimal(0)) + parse_quantity(text)
        except ValueError:
            continue
    return total


def shares(message: str, requests: Iterable[tuple[str, str]]) -> str:
    """How much of what a pod asks is its template's and how much the sidecar's; empty where no sums are named."""
    found = _REQUESTED.search(message)
    if found is None:
        return ""
    template = _template_sum(requests)
    parts = []
    for item in found.group(1).split(","):
        name, _, text = item.strip().partition("=")
        resource = name.removeprefix("requests.")
        if name.startswith("limits.") or resource not in template:
            continue
        try:
            asked = parse_quantity(text)
        except ValueError:
            continue
        rest = asked - template[resource]
        parts.append(
            f"of {show(resource, asked)} {resource} that a pod asks, {show(resource, template[resource])} "
            f"are its template's and {show(resource, rest)} the sidecar's"
        )
    return "; ".join(parts)


def show(resource: str, value: Decimal) -> str:
    """The value as people write it: CPU in millicores, memory and storage in Mi."""
    if resource == "cpu":
        return f"{int(value * 1000)}m"
    if "memory" in resource or "storage" in resource:
        return f"{int(value / 2**20)}Mi"
    return f"{value:f}"


def refusal(events: Iterable[Mapping[str, Any]], requests: Iterable[tuple[str, str]]) -> Refusal | None:
    """The newest refusal among a workload's Events, with the sum that they leave out; None without one."""
    newest: Refusal | None = None
    requests = tuple(requests)
    for event in events:
        if event.get("reason") != "FailedCreate":
            continue
        text = str(event.get("message") or event.get("note") or "")
        series = event.get("series") if isinstance(event.get("series"), Mapping) else {}
        assert isinstance(series, Mapping)
        times = (
            series.get("lastObservedTime"),
            event.get("lastTimestamp"),
            event.get("eventTime"),
            event.get("firstTimestamp"),
        )
        at = max((t for t in map(seconds, times) if t is not None), default=0.0)
        quota = _QUOTA.search(text)
        if quota is not None:
            reason = "QuotaRefused"
            extra = shares(text, requests)
            advice = "Raise the quota, or ask for less in the pod template."
        elif _LIMIT_RANGE.search(text) and "forbidden" in text:
            reason, extra = "LimitRangeRefused", ""
            advice = "Change the LimitRange, or the resources of the container that it names."
        else:
            reason, extra, advice = "PodRefused", "", "Mend what the message names."
        said = " ".join(part for part in (text.rstrip(".") + ".", f"{extra}." if extra else "", advice) if part)
        if newest is None or at >= newest.at:
            newest = Refusal(reason, said, at)
    return newest
