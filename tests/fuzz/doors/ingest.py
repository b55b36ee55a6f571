"""What sidecars send."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from tests.fuzz.doors.sent import Sent, odd_headers, quoted
from tests.fuzz.doors.world import ENTITY, SOURCE, World
from tests.fuzz.hostile import Hostile

BOMB = zlib.compress(bytes(50 << 20), 1)
STREAMS = {"train/0/stdout": "stdout", "user/rank0": "user", "events": "events", "metrics/rank0": "metrics"}


def requests(hostile: Hostile, world: World) -> Iterator[Sent]:
    """Declarations, frames, files and directives of a sidecar gone mad."""

    def learn(answer: bytes) -> None:
        world.ends |= {name: int(end[1]) for name, end in json.loads(answer)["ends"].items()}

    whole = b"ORF1" + b"".join(
        _packed(None, {"t": "stream", "s": name, "labels": {"kind": kind}}, b"") for name, kind in STREAMS.items()
    )
    right = {
        "Content-Type": "application/x-outrider-frames",
        "Outrider-Epoch": str(world.epoch),
        "Outrider-Incarnation": world.incarnation,
    }
    yield Sent("POST", f"/ingest/v1/sources/{SOURCE}/append", {**world.bearer(), **right}, whole, learn)
    while True:
        door = hostile.random.randrange(10)
        source = SOURCE if hostile.chance(0.85) else hostile.text()
        base = f"/ingest/v1/sources/{quoted(source)}"
        headers = {**world.bearer(), **odd_headers(hostile)}
        if door <= 6:
            ends = dict(world.ends)
            frames = b"".join(_frame(hostile, ends) for _ in range(hostile.one((0, 1, 1, 2, 10))))
            body = hostile.one((b"ORF1", b"ORF1", b"ORF1", b"ORF1", b"ORF2", b"")) + frames
            headers |= right
            if hostile.chance(0.1):
                headers[hostile.one(tuple(right))] = hostile.one(("", "x", "text/plain", str(hostile.number())))
            if hostile.chance(0.5):
                headers |= {"Outrider-Wall": str(hostile.number()), "Outrider-Mono": str(hostile.number())}
            headers["Outrider-Unsent"] = str(hostile.number())
            yield Sent("POST", base + "/append", headers, hostile.maybe_broken(body, 0.15), learn)
        elif door == 7:
            body = hostile.json(
                {
                    "path": hostile.text(),
                    "size": hostile.number(),
                    "sha256": hostile.one(("a" * 64, hostile.value())),
                    "policy": hostile.one(("live", "end", hostile.value())),
                    "mtime": hostile.value(),
                    "container": hostile.value(),
                }
            )
            yield Sent("POST", base + "/files", headers, hostile.maybe_broken(body))
        elif door == 8:
            body = hostile.json(
                {
                    "protocol": hostile.one((1, 1, 1, hostile.value())),
                    "agent": hostile.value(0),
                    "instance": hostile.value(0),
                    "pod": hostile.one(
                        ({"namespace": ENTITY, "name": hostile.text(), "node": hostile.text()}, hostile.value())
                    ),
                    "owner": hostile.value(),
                }
            )
            yield Sent(
                "PUT",
                f"/ingest/v1/sources/{quoted(hostile.one(('other', hostile.text())))}",
                headers,
                hostile.maybe_broken(body),
            )
        else:
            query = urlencode({"after": hostile.number(), "wait": hostile.one((0, -1, "x", 0.01, "nan"))})
            path = hostile.one((f"{base}/directives?{query}", f"/ingest/v1/uploads/{quoted(hostile.text())}/commit"))
            yield Sent("GET" if "directives" in path else "POST", path, headers)


def _frame(hostile: Hostile, offsets: dict[str, int]) -> bytes:
    name = hostile.one(tuple(STREAMS)) if hostile.chance(0.9) else hostile.text()
    kind = hostile.random.randrange(6)
    if kind == 0:
        labels = {
            "kind": hostile.one(("stdout", "user", "events", "metrics", hostile.value())),
            hostile.text(): hostile.value(1),
        }
        return _packed(hostile, {"t": "stream", "s": name, "labels": labels}, b"")
    if kind == 1:
        header: dict[str, Any] = {
            "t": "lost",
            "s": name,
            "g": 0,
            "from": offsets.get(name, 0),
            "to": hostile.number(),
            "reason": hostile.text(),
        }
        return _packed(hostile, header, b"")
    lines = [
        {
            "type": hostile.one(
                ("log", "config", "summary", "rank.start", "rank.exit", "source.end", "sample", hostile.text())
            ),
            "step": hostile.number(),
            "ts": hostile.number(),
            "rank": hostile.number(),
            "data": {hostile.text(): hostile.value()},
        }
        for _ in range(hostile.one((1, 3, 40)))
    ]
    raw = b"\n".join(hostile.json(hostile.one((line, hostile.value()))) for line in lines) + b"\n"
    at = offsets.get(name, 0)
    offsets[name] = at + len(raw)
    payload = zlib.compress(raw)
    header = {
        "t": "data",
        "s": name,
        "g": 0,
        "o": at,
        "n": len(raw),
        "z": "zlib",
        "c": len(payload),
        "crc": zlib.crc32(raw),
    }
    if hostile.chance(0.05):
        payload = BOMB
        header |= {"c": len(payload), "n": hostile.one((50 << 20, 100))}
    if hostile.chance(0.2):
        header[hostile.one(tuple(header))] = hostile.value()
    return _packed(hostile, header, payload)


def _packed(hostile: Hostile | None, header: Any, payload: bytes) -> bytes:
    """A frame; whole where nobody is hostile."""
    if hostile is None:
        text = json.dumps(header).encode()
        return struct.pack("<I", len(text)) + text + payload
    text = hostile.json(header if hostile.chance(0.97) else hostile.value())
    length = len(text) if hostile.chance(0.97) else hostile.random.randrange(2**32)
    return struct.pack("<I", length) + text + payload
