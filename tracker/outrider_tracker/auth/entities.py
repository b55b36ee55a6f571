"""(issuer, namespace) to entity: the administrator's map, by default the namespace's name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path


class EntityMap:
    """Entities by (issuer, namespace); an entry without an issuer is for all of them."""

    def __init__(self, entries: Mapping[tuple[str | None, str], str] | None = None) -> None:
        self._entries = dict(entries or {})

    @classmethod
    def load(cls, path: Path) -> EntityMap:
        """Reads `[{"issuer"?, "namespace", "entity"}, …]`. ValueError says what is wrong."""
        value = json.loads(path.read_text())
        if not isinstance(value, list):
            raise ValueError(f"{path}: a JSON list of objects with namespace, entity and perhaps issuer is expected")
        entries: dict[tuple[str | None, str], str] = {}
        for item in value:
            known = isinstance(item, dict) and all(isinstance(item.get(key), str) for key in ("namespace", "entity"))
            if not known or not isinstance(item.get("issuer"), (str, type(None))):
                raise ValueError(
                    f"{path}: an entry needs the texts namespace and entity, and may have issuer: {item!r}"
                )
            entries[item.get("issuer"), item["namespace"]] = item["entity"]
        return cls(entries)

    def entity(self, issuer: str, namespace: str) -> str:
        """The owner of what comes from this namespace of this cluster."""
        exact = self._entries.get((issuer, namespace))
        return exact or self._entries.get((None, namespace)) or namespace
