"""What `define_metric` said, read from the list `m` of a run's `_wandb` config: pure.

Each entry is an object whose keys are field numbers of the client's own message: "1" name, "2" glob, "4" step metric by
name, "5" step metric by its place in the list (from 1), "6" options, "7" summaries; options and summaries are lists of
the numbers that are set. Anything else in there is ignored: it was written by strangers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final

MAX_DEFINITIONS: Final = 5000
_NAME, _GLOB, _STEP_NAME, _STEP_INDEX, _OPTIONS, _SUMMARY = "1", "2", "4", "5", "6", "7"
_HIDDEN: Final = 2
_SUMMARIES: Final = {1: "min", 2: "max", 3: "mean", 4: "best", 5: "last", 6: "none", 7: "copy", 8: "first"}


@dataclass(frozen=True, slots=True)
class Metric:
    """One definition: `x` the key of the horizontal axis (None: the step), `summary` in the client's words."""

    x: str | None = None
    hidden: bool = False
    summary: tuple[str, ...] = ()


PLAIN: Final = Metric()


@dataclass(frozen=True, slots=True)
class Metrics:
    """All definitions of a run."""

    names: Mapping[str, Metric] = field(default_factory=dict)
    globs: Sequence[tuple[str, Metric]] = ()

    def of(self, key: str) -> Metric:
        """The definition of a key: its own, else that of the first glob that it matches, else a plain one.

        Where both name an axis the key's own counts; a key is its own axis nowhere.
        """
        found = self.names.get(key)
        if found is None:
            found = next((metric for glob, metric in self.globs if _matches(glob, key)), PLAIN)
        return Metric(None, found.hidden, found.summary) if found.x == key else found


def decode(listed: Any) -> Metrics:
    """The definitions of `config["_wandb"]["value"]["m"]`; whatever is no definition is left out."""
    # One that is no object keeps its place: others are named by theirs.
    found = listed[:MAX_DEFINITIONS] if isinstance(listed, list) else []
    entries = [entry if isinstance(entry, dict) else {} for entry in found]
    names: dict[str, Metric] = {}
    globs: list[tuple[str, Metric]] = []
    for entry in entries:
        metric = Metric(_axis(entry, entries), _HIDDEN in _numbers(entry.get(_OPTIONS)), _summary(entry))
        name, glob = entry.get(_NAME), entry.get(_GLOB)
        if isinstance(name, str) and name:
            names[_unescaped(name)] = metric
        elif isinstance(glob, str) and glob:
            globs.append((glob, metric))
    return Metrics(names, globs)


def _axis(entry: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> str | None:
    index = entry.get(_STEP_INDEX)
    if isinstance(index, int) and not isinstance(index, bool) and 1 <= index <= len(entries):
        name = entries[index - 1].get(_NAME)
    else:
        name = entry.get(_STEP_NAME)
    return _unescaped(name) if isinstance(name, str) and name else None


def _summary(entry: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(_SUMMARIES[number] for number in _numbers(entry.get(_SUMMARY)) if number in _SUMMARIES)


def _numbers(value: Any) -> list[int]:
    return [each for each in value if isinstance(each, int)] if isinstance(value, list) else []


def _unescaped(name: str) -> str:
    r"""A dot that belongs to the name itself is written `\.` there."""
    return name.replace("\\.", ".")


def _matches(glob: str, key: str) -> bool:
    """Only a star at the end is a glob to the client; others are matched as shells do, which costs nobody anything."""
    if glob.endswith("*") and "*" not in glob[:-1] and "?" not in glob and "[" not in glob:
        return key.startswith(glob[:-1])
    return fnmatchcase(key, glob)
