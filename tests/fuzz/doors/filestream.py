"""The file stream of the W&B SDK: rows, lines of output, the life of a run."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from typing import Any

from tests.fuzz.doors.sent import Sent, odd_headers, quoted
from tests.fuzz.doors.world import ENTITY, PROJECT, RUN, World
from tests.fuzz.hostile import Hostile

GZIP_BOMB = gzip.compress(bytes(100 << 20), 1)


def requests(hostile: Hostile, world: World) -> Iterator[Sent]:
    """Posts of runs that are there and of others; rows as no SDK writes them."""
    files = ("wandb-history.jsonl", "wandb-events.jsonl", "output.log", "wandb-summary.json")
    number = 0
    while True:
        body: dict[str, Any] = {}
        for name in files:
            if hostile.chance(0.4):
                lines = [
                    _row(hostile, number + index)
                    for index in range(hostile.one((0, 1, 1, 5, 20, 2000 if hostile.chance(0.05) else 100)))
                ]
                number += len(lines)
                offset = hostile.number() if hostile.chance(0.1) else hostile.one((number, number, 0, 1, 50))
                body.setdefault("files", {})[name] = {"offset": offset, "content": lines}
        if hostile.chance(0.1):
            body.setdefault("files", {})[hostile.text()] = hostile.value()
        for name in ("uploaded", "preempting", "complete", "exitcode", "dropped"):
            if hostile.chance(0.1):
                body[name] = (
                    hostile.value() if hostile.chance(0.2) else {"uploaded": ["a"], "exitcode": 1}.get(name, True)
                )
        if hostile.chance(0.05):
            body = hostile.one((hostile.value(), {"files": hostile.value()}))
        raw = hostile.maybe_broken(hostile.json(body), 0.15) if hostile.chance(0.98) else hostile.deep().encode()
        headers = {**world.basic(), "Content-Type": "application/json", **odd_headers(hostile)}
        if hostile.chance(0.1):
            headers["Content-Encoding"] = hostile.one(("gzip", "gzip", "gzip", "deflate", "br", "identity", "x"))
            packed = GZIP_BOMB if hostile.chance(0.02) else gzip.compress(raw, 1)
            raw = hostile.maybe_broken(packed, 0.3)
        if hostile.chance(0.3):
            headers["X-WANDB-USE-ASYNC-FILESTREAM"] = hostile.one(("true", "false", "TRUE", "1"))
            headers["X-WANDB-ASYNC-CLIENT-ID"] = hostile.one(("c1", "c2", "", "x" * 200, "a b"))
        run = RUN if hostile.chance(0.8) else hostile.text()
        entity, project = (ENTITY, PROJECT) if hostile.chance(0.9) else (hostile.text(), hostile.text())
        yield Sent("POST", f"/files/{quoted(entity)}/{quoted(project)}/{quoted(run)}/file_stream", headers, raw)


def _row(hostile: Hostile, step: int) -> Any:
    """A line of history, or what pretends to be one."""
    kind = hostile.random.randrange(20)
    if kind == 0:
        return hostile.value() if hostile.chance(0.1) else hostile.json(hostile.value()).decode("utf-8", "replace")
    if kind == 1:
        return hostile.deep()[: 1 << 16]
    if kind == 2:
        return hostile.text()
    row: dict[str, Any] = {"_step": step, "_timestamp": 1.7e9 + step, "loss": hostile.random.random()}
    if kind <= 6:
        row[hostile.one(("_step", "_timestamp", "_runtime", "loss"))] = hostile.value()
    if kind <= 10:
        row[hostile.text()] = hostile.value(4)
    if kind == 11:
        row |= {f"k{hostile.random.randrange(5000)}": hostile.number() for _ in range(200)}
    if kind == 12:
        row["media"] = {
            "_type": hostile.one(("image-file", "table-file", "histogram", "html-file", hostile.text())),
            "path": hostile.text(),
            "size": hostile.number(),
            "sha256": hostile.value(),
            "bins": hostile.value(),
            "values": hostile.value(),
        }
    text = hostile.json(row).decode("utf-8", "surrogatepass")
    return hostile.broken(text.encode("utf-8", "replace")).decode("utf-8", "replace") if hostile.chance(0.05) else text
