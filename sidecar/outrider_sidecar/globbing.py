"""Patterns of files, matched component by component, so that a walk never enters a folder that cannot match. Pure.

`*`, `?` and `[…]` match within one component, dots at the start too; `**` as a whole component matches any number
of them.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from dataclasses import dataclass
from typing import Final

ANY_DEPTH: Final = "**"
_WILD: Final = re.compile(r"[*?\[]")

States = frozenset[int]


@dataclass(frozen=True, slots=True)
class Pattern:
    """An absolute pattern as the trainer sees paths."""

    text: str
    components: tuple[str, ...]
    compiled: tuple[re.Pattern[str] | None, ...]

    @property
    def fixed(self) -> str:
        """The folder below which everything that matches lies."""
        fixed: list[str] = []
        for component in self.components[:-1]:
            if _WILD.search(component):
                break
            fixed.append(component)
        return "/" + "/".join(fixed)

    def start(self) -> States:
        """The states at the root folder."""
        return self._skip({0})

    def step(self, states: States, name: str) -> States:
        """The states one component deeper; none: nothing below can match."""
        following: set[int] = set()
        for i in states:
            if i == len(self.components):
                continue
            regex = self.compiled[i]
            if regex is None:
                following.add(i)
            elif regex.match(name):
                following.add(i + 1)
        return self._skip(following)

    def accepts(self, states: States) -> bool:
        """Whether the path that led here matches."""
        return len(self.components) in states

    def enters(self, path: str) -> States:
        """The states after all components of an absolute path."""
        states = self.start()
        for name in path.strip("/").split("/") if path.strip("/") else ():
            states = self.step(states, name)
        return states

    def _skip(self, states: set[int]) -> States:
        for i in sorted(states):
            j = i
            while j < len(self.components) and self.compiled[j] is None:
                j += 1
                states.add(j)
        return frozenset(states)


def absolute(pattern: str, working_dir: str | None) -> Pattern | None:
    """The pattern seen from `/`; None where it is relative and the working directory is not known."""
    if not pattern.startswith("/"):
        if working_dir is None:
            return None
        # A folder's own name is not a pattern, whatever it looks like.
        pattern = posixpath.join(re.sub(r"([*?\[])", r"[\1]", working_dir), pattern)
    text = posixpath.normpath(pattern)
    components = [component for component in text.split("/") if component]
    if components[-1:] == [ANY_DEPTH]:
        components.append("*")  # all files below the folder, at any depth; not a file in the folder's place
    compiled = tuple(None if c == ANY_DEPTH else re.compile(fnmatch.translate(c)) for c in components)
    return Pattern(text, tuple(components), compiled)
