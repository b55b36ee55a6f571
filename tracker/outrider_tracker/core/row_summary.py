"""What a run's summary says of its rows, as W&B's client makes it: of each key the newest value, or what
`define_metric` asked for instead. Pure.

Rows may come in any order: their steps decide.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

from outrider_tracker.core import jsontext
from outrider_tracker.core.columns import MAX_DEPTH
from outrider_tracker.core.metric_definitions import PLAIN, Metrics
from outrider_tracker.core.rows import step_of

MAX_TEXT: Final = 4 << 20  # characters of all keys and values, about; what is beyond is left out
_FOLDED: Final = frozenset({"first", "min", "max", "mean"})
_ASKED: Final = _FOLDED | {"last"}  # the client has no value for the other words
_KEY: Final = 64  # what a key costs beside its text
_NUMBER: Final = 8

Path = tuple[str, ...]


@dataclass(slots=True)
class _Key:
    """What is known of one key. `size`: characters of the newest value, None if that one is left out."""

    asked: tuple[str, ...]
    folded: bool
    step: float
    newest: Any
    size: int | None
    first_step: float = 0.0
    first: Any = None
    least: float = 0.0
    most: float = 0.0
    total: float = 0.0
    count: int = 0

    def fold(self, value: Any, step: float) -> None:
        """Takes one number into the statistics. Where one is NaN, so are they, as the client's are."""
        if self.count == 0 or step <= self.first_step:
            self.first, self.first_step = value, step
        if self.count == 0 or (isinstance(value, float) and math.isnan(value)):
            self.least = self.most = value
        else:
            self.least = min(self.least, value)
            self.most = max(self.most, value)
        try:
            self.total += value
        except OverflowError:  # an integer beyond the range of doubles
            self.total = math.nan
        self.count += 1

    def told(self, *, whole: bool) -> Any:
        """The summary's value; None if there is none."""
        if self.size is None or (self.folded and not whole):
            return None
        if not self.asked:
            return self.newest
        if self.folded and not self.count:
            return None
        values = {
            "last": self.newest,
            "first": self.first,
            "min": self.least,
            "max": self.most,
            "mean": self.total / max(1, self.count),
        }
        return {name: values[name] for name in self.asked}


class RowSummary:
    """The summary of the rows that were added. Values in nested objects have a key each, as the client's have."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._keys: dict[Path, _Key] = {}
        self._hidden: set[Path] = set()
        self._size = 0

    def add(self, row: Any) -> None:
        """Adds a row; what is no object, or has no step, says nothing."""
        step = step_of(row)
        if step is not None:
            self._add((), row, step)

    def value(self, *, whole: bool) -> dict[str, Any]:
        """What the summary says. Not `whole`: older rows were not added, so that nothing is told of all rows."""
        tree = _Tree()
        # Where a value and a nested object take turns under one key, the newest counts.
        for path, key in sorted(self._keys.items(), key=lambda item: item[1].step):
            told = key.told(whole=whole)
            if told is None:
                continue
            node = tree
            for part in path[:-1]:
                inner = node.get(part)
                if not isinstance(inner, _Tree):
                    inner = node[part] = _Tree()
                node = inner
            node[path[-1]] = told
        return tree

    def _add(self, above: Path, values: dict[str, Any], step: float) -> None:
        for name, value in values.items():
            path = (*above, name)
            if type(value) is dict and not isinstance(value.get("_type"), str) and len(path) < MAX_DEPTH:
                self._add(path, value, step)
                continue
            key = self._keys.get(path)
            if key is None:
                self._begin(path, value, step)
                continue
            if step > key.step:
                self._size -= key.size or 0
                key.step, key.newest, key.size = step, value, self._room(value)
            if key.folded and type(value) in {int, float}:
                key.fold(value, step)

    def _begin(self, path: Path, value: Any, step: float) -> None:
        """Notes a key's first value, unless it shall have no summary or there is no room for it."""
        if path in self._hidden:
            return
        name = ".".join(path)
        # The client's globs leave its own keys alone.
        metric = self._metrics.names.get(name, PLAIN) if name.startswith("_") else self._metrics.of(name)
        if "none" in metric.summary:
            self._hidden.add(path)
            return
        cost = _KEY + len(name)
        if self._size + cost > MAX_TEXT:
            return
        self._size += cost
        asked = tuple(word for word in metric.summary if word in _ASKED)
        key = _Key(asked, not _FOLDED.isdisjoint(asked), step, value, self._room(value))
        self._keys[path] = key
        if key.folded and type(value) in {int, float}:
            key.fold(value, step)

    def _room(self, value: Any) -> int | None:
        """Counts a value; its size, None if it is beyond all that is kept."""
        if isinstance(value, str):
            size = len(value)
        else:
            size = len(jsontext.write(value)) if isinstance(value, (list, dict)) else _NUMBER
        if self._size + size > MAX_TEXT:
            return None
        self._size += size
        return size


class _Tree(dict[str, Any]):
    """A nested object of the summary, and not a value that is an object."""
