"""The config of an SDK run: `{key: {"value": …}}`, and what the client keeps for itself under `_wandb`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

Config = Mapping[str, Any]
OWN: Final = "_wandb"
MAX_STEP: Final = 1 << 53  # steps are exact in every client's arithmetic


@dataclass(frozen=True, slots=True)
class BranchPoint:
    """A fork's beginning: rows up to `step` of the run called `run` come before its own."""

    run: str
    step: int


def own(config: Config) -> Mapping[str, Any]:
    """The value of `_wandb`: telemetry `t`, metric definitions `m`, environments `e`, …; empty if there is none."""
    entry = config.get(OWN)
    value = entry.get("value") if isinstance(entry, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def selected(config: Config, keys: list[str] | None) -> dict[str, Any]:
    """What `wandbConfig(keys:)` answers. A run that no client has started has no `t`, and so cannot be resumed."""
    value = own(config)
    return {key: value[key] for key in (value if keys is None else keys) if key in value}


def branch_point(config: Config) -> BranchPoint | None:
    """Where the run was forked, if it says so."""
    found = own(config).get("branch_point")
    if not isinstance(found, Mapping):
        return None
    run, step = found.get("run_id"), found.get("step")
    if isinstance(step, float) and step.is_integer():
        step = int(step)
    if not isinstance(run, str) or not isinstance(step, int) or isinstance(step, bool):
        return None
    if abs(step) > MAX_STEP:
        return None
    return BranchPoint(run, step)


def replaced(old: Config, new: Config) -> dict[str, Any]:
    """The new config, with the old `_wandb` where the new one has none (as edits by people do not)."""
    kept = {OWN: old[OWN]} if OWN in old and OWN not in new else {}
    return {**new, **kept}


def merged(old: Config, new: Config) -> dict[str, Any]:
    """Both, the new one's values first: writers that share a run must not take each other's keys away."""
    joined = {**old, **new}
    if OWN in old and OWN in new:
        before, after = own(old), own(new)
        value = {**before, **after}
        environments = (before.get("e"), after.get("e"))
        if all(isinstance(item, Mapping) for item in environments):
            value["e"] = {**before["e"], **after["e"]}
        if not after.get("m") and before.get("m"):
            value["m"] = before["m"]
        joined[OWN] = {**(new[OWN] if isinstance(new[OWN], Mapping) else {}), "value": value}
    return joined
