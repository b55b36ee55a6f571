"""What the controller sends."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

from tests.fuzz.doors.sent import Sent, odd_headers, quoted
from tests.fuzz.doors.world import ENTITY, SOURCE, World
from tests.fuzz.hostile import Hostile


def requests(hostile: Hostile, world: World) -> Iterator[Sent]:
    """Runs and joins as no controller writes them."""
    # Every door's process imports this file; the records are for this one, which then waits for httpx and the tracker.
    from tests.integration.tracker.process import join_record, run_record

    prefix = "/api/v1/control"
    while True:
        run = hostile.one((f"{ENTITY}-1", f"{ENTITY}-2", "0123abcd", hostile.text()))
        kind = hostile.random.randrange(6)
        headers = {**world.bearer(admin=True), "Content-Type": "application/json", **odd_headers(hostile)}
        if kind <= 3:
            record = run_record(namespace=ENTITY, name=run) if kind <= 1 else join_record(run, namespace=ENTITY)
            for _ in range(hostile.one((0, 1, 3))):
                name = hostile.one(tuple(record))
                if isinstance(record[name], dict) and hostile.chance(0.5) and record[name]:
                    record[name] = {**record[name], hostile.one(tuple(record[name])): hostile.value()}
                else:
                    record[name] = hostile.value()
            path = (
                f"{prefix}/runs/{quoted(run)}"
                if kind <= 1
                else f"{prefix}/sources/{quoted(hostile.one((SOURCE, 'pod-x', hostile.text())))}"
            )
            yield Sent("PUT", path, headers, hostile.maybe_broken(hostile.json(record), 0.2))
        else:
            query = urlencode({"after": hostile.number(), "wait": hostile.one((0, -1, "x")), "limit": hostile.number()})
            path = hostile.one(
                (
                    f"{prefix}/feed?{query}",
                    f"{prefix}/runs/{quoted(run)}/ranks",
                    f"{prefix}/runs/{quoted(run)}/collection",
                )
            )
            yield Sent("GET", path, headers)
