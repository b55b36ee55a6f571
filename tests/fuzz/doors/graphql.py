"""GraphQL: documents that the schema allows, and broken ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from graphql import build_schema

from tests.fuzz.doors.documents import Documents
from tests.fuzz.doors.sent import Sent, odd_headers
from tests.fuzz.doors.world import World
from tests.fuzz.hostile import Hostile

SCHEMA = Path(__file__).resolve().parents[3] / "tracker/outrider_tracker/wandb/schema"


def requests(hostile: Hostile, world: World) -> Iterator[Sent]:
    """Documents that the schema allows, ever so odd; then broken ones."""
    texts = sorted(SCHEMA.glob("*.graphql"))
    schema = build_schema("\n".join(path.read_text() for path in texts))
    writer = Documents(schema, hostile)
    while True:
        text, variables = writer.document()
        if hostile.chance(0.25):
            text = hostile.broken(text.encode("utf-8", "surrogatepass")).decode("utf-8", "replace")
        body: Any = {
            "query": text,
            "variables": variables,
            "operationName": hostile.one(("", "", None, "Q", hostile.text())),
        }
        if hostile.chance(0.05):
            body[hostile.one(("query", "variables", "operationName", "extensions"))] = hostile.value()
        raw = hostile.deep().encode() if hostile.chance(0.01) else hostile.maybe_broken(hostile.json(body), 0.1)
        headers = {**world.basic(), "Content-Type": "application/json", **odd_headers(hostile)}
        yield Sent("POST", "/graphql", headers, raw)
