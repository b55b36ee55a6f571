"""The read API, by its OpenAPI document."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.fuzz.doors.sent import Sent, odd_headers, quoted
from tests.fuzz.doors.world import ENTITY, PROJECT, RUN, World
from tests.fuzz.hostile import Hostile

OPENAPI = Path(__file__).resolve().parents[3] / "tracker/openapi.json"


def requests(hostile: Hostile, world: World) -> Iterator[Sent]:
    """Every operation of the OpenAPI document with parameters that fit, and with others."""
    document = json.loads(OPENAPI.read_text())
    operations = [
        (method, path, item) for path, methods in document["paths"].items() for method, item in methods.items()
    ]
    fitting = {"entity": ENTITY, "project": PROJECT, "run": RUN, "x": "step", "kind": "sdk", "key": "loss"}
    while True:
        method, path, item = hostile.one(operations)
        query = {}
        for parameter in item.get("parameters", []):
            name = parameter["name"]
            value: Any = (
                fitting[name] if name in fitting and hostile.chance(0.8) else _parameter(hostile, parameter["schema"])
            )
            if name == "wait" and hostile.chance(0.98):
                value = hostile.one((0, 0.01, -1, "x"))
            if parameter["in"] == "path":
                path = path.replace(f"{{{name}}}", quoted(str(value)))
            elif hostile.chance(0.6) or (parameter.get("required") and hostile.chance(0.9)):
                query[name] = value
        headers = {**world.bearer(), **odd_headers(hostile)}
        body = None
        if "requestBody" in item:
            headers["Content-Type"] = hostile.one(("application/json",) * 9 + ("text/plain",))
            # A log-in that fits would only make sessions; what else has a body is taken with these fields.
            fields = {
                name: hostile.value()
                for name in ("key", "tags", "notes", "displayName", "config", "group", "jobType")
                if hostile.chance(0.4)
            }
            body = hostile.maybe_broken(hostile.json(fields))
        if hostile.chance(0.1):
            headers["Range"] = hostile.one(("bytes=0-", "bytes=-1", "bytes=5-1", "bytes=" + "9" * 30 + "-", "x"))
        target = path + (f"?{urlencode(query, errors='replace')}" if query else "")
        yield Sent(method.upper(), target, headers, body)


def _parameter(hostile: Hostile, schema: Mapping[str, Any]) -> Any:
    if "enum" in schema and hostile.chance(0.7):
        return hostile.one(schema["enum"])
    if schema.get("type") in {"integer", "number"} and hostile.chance(0.8):
        return hostile.number()
    return hostile.one((hostile.text(), hostile.number(), "true"))
