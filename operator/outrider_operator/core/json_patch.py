"""JSON patches (RFC 6902) that only add and replace, built while the patched copy is made.

No ``test`` operations: a patch that fails at the API server refuses the pod, whatever the failure policy says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Operation = dict[str, Any]


class PatchError(ValueError):
    """An operation does not apply to the document."""


class Patching:
    """A JSON document (dicts and lists) that is changed copy-on-write while each change is recorded as an operation."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document: Mapping[str, Any] = document
        self.operations: list[Operation] = []

    def get(self, *path: str | int) -> Any:
        """The value at path; None where anything on the way is missing."""
        node: Any = self.document
        for step in path:
            if isinstance(node, dict):
                node = node.get(step)
            elif isinstance(node, list) and isinstance(step, int) and step < len(node):
                node = node[step]
            else:
                return None
        return node

    def put(self, value: Any, *path: str | int) -> None:
        """Set a member whose parent object exists. Nothing happens where it already has that value."""
        old = self.get(*path)
        if old == value:
            return
        self._do("add" if old is None else "replace", path, value)

    def put_in_map(self, key: str, value: str, *path: str | int) -> None:
        """Set one entry of a map of strings that may not exist yet."""
        if self.get(*path):
            self.put(value, *path, key)
        else:
            self.put({key: value}, *path)

    def append(self, item: Any, *path: str | int) -> None:
        """Append to a list that may not exist yet."""
        if self.get(*path):
            self._do("add", (*path, "-"), item)
        else:
            self.put([item], *path)

    def _do(self, op: str, path: tuple[str | int, ...], value: Any) -> None:
        operation = {"op": op, "path": pointer(*path), "value": value}
        self.document = _set(self.document, [str(step) for step in path], operation)
        self.operations.append(operation)


def pointer(*path: str | int) -> str:
    """The JSON pointer of a path."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def apply(document: Mapping[str, Any], operations: list[Operation]) -> Mapping[str, Any]:
    """The document after the operations, which are ``add`` and ``replace``; the given one is not changed.

    Raises:
        PatchError: a parent is missing, or the operation is another one.

    """
    for operation in operations:
        steps = [step.replace("~1", "/").replace("~0", "~") for step in operation["path"].split("/")[1:]]
        if operation["op"] not in {"add", "replace"} or not steps:
            raise PatchError(f"{operation['op']} {operation['path']} is not an addition or replacement of a member")
        document = _set(document, steps, operation)
    return document


def _set(node: Any, steps: list[str], operation: Operation) -> Any:
    step, rest = steps[0], steps[1:]
    adding, value = operation["op"] == "add", operation["value"]
    if isinstance(node, dict):
        if step not in node and (rest or not adding):
            raise PatchError(f"{operation['op']} {operation['path']}: there is no {step!r}")
        return {**node, step: _set(node[step], rest, operation) if rest else value}
    if isinstance(node, list):
        if step == "-" and adding and not rest:
            return [*node, value]
        index = int(step) if step.isascii() and step.isdigit() else -1
        if not 0 <= index < len(node) or (adding and not rest):
            raise PatchError(f"{operation['op']} {operation['path']}: there is no item {step!r}")
        return [*node[:index], _set(node[index], rest, operation) if rest else value, *node[index + 1 :]]
    raise PatchError(f"{operation['op']} {operation['path']}: the parent of {step!r} is no object and no list")
