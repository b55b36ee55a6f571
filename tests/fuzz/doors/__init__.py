"""For each door: an endless stream of requests, from those that fit to those that never could."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.fuzz.doors import control, filestream, graphql, ingest, read_api, uploads
from tests.fuzz.doors.sent import Sent
from tests.fuzz.doors.world import World
from tests.fuzz.hostile import Hostile

Door = Callable[[Hostile, World], Iterator[Sent]]

DOORS: dict[str, Door] = {
    "graphql": graphql.requests,
    "filestream": filestream.requests,
    "uploads": uploads.requests,
    "ingest": ingest.requests,
    "control": control.requests,
    "read-api": read_api.requests,
}
