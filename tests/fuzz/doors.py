"""For each door: an endless stream of requests, from those that fit to those that never could."""

from __future__ import annotations

import base64
import gzip
import json
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    is_abstract_type,
    is_leaf_type,
)

from tests.fuzz.hostile import Hostile

ROOT = Path(__file__).resolve().parents[2]
BOMB = zlib.compress(bytes(50 << 20), 1)
GZIP_BOMB = gzip.compress(bytes(100 << 20), 1)
STREAMS = {"train/0/stdout": "stdout", "user/rank0": "user", "events": "events", "metrics/rank0": "metrics"}
ENTITY, PROJECT, RUN, SOURCE = "fuzz", "play", "run1", "fuzz-source"


@dataclass(frozen=True)
class Sent:
    """One request."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None = None
    learn: Callable[[bytes], None] | None = None
    """Is given the answer's body, if the status is 200."""


@dataclass
class World:
    """What is there for requests to be about; `keys`: of a member of the entity, and of the administrator."""

    member: str
    admin: str
    epoch: int = 0
    incarnation: str = ""
    ends: dict[str, int] = field(default_factory=dict)  # durable ends of the source's streams
    uploads: list[str] = field(default_factory=list)  # signed addresses, for PUT and GET
    known: list[str] = field(default_factory=list)

    def basic(self, *, admin: bool = False) -> dict[str, str]:
        """Credentials as W&B's client sends them."""
        key = self.admin if admin else self.member
        return {"Authorization": "Basic " + base64.b64encode(f"api:{key}".encode()).decode()}

    def bearer(self, *, admin: bool = False) -> dict[str, str]:
        """Credentials as sidecars and the CLI send them."""
        return {"Authorization": f"Bearer {self.admin if admin else self.member}"}


Door = Callable[[Hostile, World], Iterator[Sent]]


def graphql(hostile: Hostile, world: World) -> Iterator[Sent]:
    """Documents that the schema allows, ever so odd; then broken ones."""
    texts = sorted((ROOT / "tracker/outrider_tracker/wandb/schema").glob("*.graphql"))
    schema = build_schema("\n".join(path.read_text() for path in texts))
    writer = _Documents(schema, hostile)
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
        headers = {**world.basic(), "Content-Type": "application/json", **_odd_headers(hostile)}
        yield Sent("POST", "/graphql", headers, raw)


class _Documents:
    """Documents by the schema."""

    def __init__(self, schema: GraphQLSchema, hostile: Hostile) -> None:
        self._schema = schema
        self._hostile = hostile
        self._variables: dict[str, tuple[str, Any]] = {}
        self._left = 0

    def document(self) -> tuple[str, Any]:
        """A text and its variables."""
        hostile = self._hostile
        self._variables, self._left = {}, hostile.one((5, 20, 60))
        mutation = hostile.chance(0.35)
        root = self._schema.mutation_type if mutation else self._schema.query_type
        assert root is not None
        chosen = "".join(self._field(root, hostile.one((1, 3, 6, 12))) for _ in range(hostile.one((1, 1, 1, 2, 5))))
        if hostile.chance(0.05):
            chosen += hostile.one(
                (
                    "__schema { types { name fields { name args { name } } } }",
                    '__type(name: "Run") { name }',
                    "__typename",
                    "...Loop",
                    "a: b: c",
                    "x(" + "(" * 500,
                    "{" * 2000,
                    "a" * 70_000,
                    "x: viewer { id } " * 300,
                )
            )
        names = ", ".join(f"${name}: {kind}" for name, (kind, _) in self._variables.items())
        text = f"{'mutation' if mutation else 'query'} Q{f'({names})' if names else ''} {{ {chosen} }}"
        if hostile.chance(0.03):
            text += " fragment Loop on Query { ...Loop }"
        values = {name: value for name, (_, value) in self._variables.items()}
        if hostile.chance(0.03):
            return text, hostile.value()
        return text, values or (None if hostile.chance(0.5) else {})

    def _field(self, parent: GraphQLObjectType, depth: int) -> str:
        hostile = self._hostile
        fields = list(parent.fields)
        if not fields:
            return " __typename"
        self._left -= 1
        name = "project" if "project" in fields and hostile.chance(0.4) else hostile.one(fields)
        name = "run" if "run" in fields and hostile.chance(0.3) else name
        found = parent.fields[name]
        arguments = [
            f"{key}: {self._argument(argument.type, _fitting(name, key))}"
            for key, argument in found.args.items()
            if isinstance(argument.type, GraphQLNonNull) or hostile.chance(0.7)
        ]
        text = f" {f'a{hostile.random.randrange(9)}: ' if hostile.chance(0.3) else ''}{name}"
        text += f"({', '.join(arguments)})" if arguments else ""
        if hostile.chance(0.05):
            text += f" @{hostile.one(('include', 'skip'))}(if: {hostile.one(('true', 'false', '1'))})"
        kind: Any = found.type
        while isinstance(kind, (GraphQLNonNull, GraphQLList)):
            kind = kind.of_type
        return text if is_leaf_type(kind) else f"{text} {{ {self._selection(kind, depth - 1)} }}"

    def _selection(self, kind: Any, depth: int) -> str:
        hostile = self._hostile
        if is_abstract_type(kind):
            return (
                "".join(
                    f" ... on {concrete.name} {{ __typename {self._selection(concrete, depth - 1)} }}"
                    for concrete in self._schema.get_possible_types(kind)[:3]
                )
                or " __typename"
            )
        if depth <= 0 or self._left <= 0:
            plain = [name for name, field_ in kind.fields.items() if not field_.args and _is_leaf(field_.type)]
            return hostile.one(plain) if plain else "__typename"
        return "".join(self._field(kind, depth) for _ in range(hostile.one((1, 2, 4, 8)))) + " __typename"

    def _argument(self, kind: Any, fitting: str | None) -> str:
        """A literal, or a variable of that type."""
        hostile = self._hostile
        value = fitting if fitting is not None and hostile.chance(0.85) else self._value(kind, 3)
        if hostile.chance(0.5):
            name = f"v{len(self._variables)}"
            self._variables[name] = (str(kind), value)
            return f"${name}"
        return _literal(value, kind)

    def _value(self, kind: Any, depth: int) -> Any:
        hostile = self._hostile
        if hostile.chance(0.04):
            return hostile.value()
        if isinstance(kind, GraphQLNonNull):
            return self._value(kind.of_type, depth)
        if hostile.chance(0.15):
            return None
        if isinstance(kind, GraphQLList):
            return [self._value(kind.of_type, depth - 1) for _ in range(hostile.one((0, 1, 3, 30)))]
        if isinstance(kind, GraphQLEnumType):
            return hostile.one([*kind.values])
        if isinstance(kind, GraphQLInputObjectType):
            return {
                name: _fitting("", name)
                if _fitting("", name) and hostile.chance(0.85)
                else self._value(item.type, depth - 1)
                for name, item in kind.fields.items()
                if isinstance(item.type, GraphQLNonNull) or hostile.chance(0.6)
            }
        return self._scalar(kind.name)

    def _scalar(self, name: str) -> Any:
        hostile = self._hostile
        if name in {"Int", "Int64", "Float", "Duration"}:
            return hostile.number() if hostile.chance(0.6) else hostile.random.randrange(50)
        if name == "Boolean":
            return hostile.chance(0.5)
        if name in {"JSON", "JSONString"}:
            return self._json_text() if hostile.chance(0.8) else hostile.value()
        return hostile.text()

    def _json_text(self) -> str:
        """Filters, configs, specs of samples: JSON in JSON."""
        hostile = self._hostile
        kind = hostile.random.randrange(5)
        if kind == 0:
            return hostile.json(self._filter(3)).decode("utf-8", "replace")
        if kind == 1:
            return json.dumps(
                {"keys": [hostile.text(), "_step"], "samples": hostile.number(), "minStep": hostile.number()}
            )
        if kind == 2:
            return json.dumps({hostile.text(): {"value": hostile.value()}, "_wandb": {"value": hostile.value()}})
        if kind == 3:
            return hostile.deep() if hostile.chance(0.1) else hostile.text()
        return hostile.broken(hostile.json(hostile.value())).decode("utf-8", "replace")

    def _filter(self, depth: int) -> Any:
        hostile = self._hostile
        if depth and hostile.chance(0.4):
            return {
                hostile.one(("$and", "$or", "$not", "$nor")): [
                    self._filter(depth - 1) for _ in range(hostile.one((0, 1, 2, 40)))
                ]
            }
        key = hostile.one(
            (
                "state",
                "tags",
                "config.lr",
                "config.lr.value",
                "summary_metrics.loss",
                "name",
                "display_name",
                "created_at",
                "heartbeatAt",
                "username",
                "group",
                "jobType",
                "sweep",
                hostile.text(),
            )
        )
        operator = hostile.one(("$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$regex", "$x"))
        value = hostile.one((hostile.value(1), [hostile.value(1)], "(a+)+$", "[", ".*"))
        return {key: {operator: value} if hostile.chance(0.8) else value}


def _fitting(field: str, argument: str) -> str | None:
    """What an argument means where it is a name: of what there is."""
    if argument == "name":
        return {"project": PROJECT, "model": PROJECT, "run": RUN, "bucket": RUN}.get(field)
    return {
        "entityName": ENTITY, "entity": ENTITY, "projectName": PROJECT, "project": PROJECT, "modelName": PROJECT,
        "runName": RUN, "run": RUN, "bucketName": RUN,
    }.get(argument)  # fmt: skip


def _is_leaf(kind: Any) -> bool:
    while isinstance(kind, (GraphQLNonNull, GraphQLList)):
        kind = kind.of_type
    return bool(is_leaf_type(kind))


def _literal(value: Any, kind: Any) -> str:
    """A value in GraphQL's own syntax."""
    while isinstance(kind, GraphQLNonNull):
        kind = kind.of_type
    if isinstance(value, dict):
        fields = kind.fields if isinstance(kind, GraphQLInputObjectType) else {}
        return (
            "{"
            + ", ".join(
                f"{name}: {_literal(item, fields[name].type if name in fields else None)}"
                for name, item in value.items()
                if name.isidentifier() and name.isascii()
            )
            + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(_literal(item, getattr(kind, "of_type", None)) for item in value) + "]"
    if isinstance(kind, GraphQLEnumType) and isinstance(value, str):
        return value
    return json.dumps(value)


def filestream(hostile: Hostile, world: World) -> Iterator[Sent]:
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
        headers = {**world.basic(), "Content-Type": "application/json", **_odd_headers(hostile)}
        if hostile.chance(0.1):
            headers["Content-Encoding"] = hostile.one(("gzip", "gzip", "gzip", "deflate", "br", "identity", "x"))
            packed = GZIP_BOMB if hostile.chance(0.02) else gzip.compress(raw, 1)
            raw = hostile.maybe_broken(packed, 0.3)
        if hostile.chance(0.3):
            headers["X-WANDB-USE-ASYNC-FILESTREAM"] = hostile.one(("true", "false", "TRUE", "1"))
            headers["X-WANDB-ASYNC-CLIENT-ID"] = hostile.one(("c1", "c2", "", "x" * 200, "a b"))
        run = RUN if hostile.chance(0.8) else hostile.text()
        entity, project = (ENTITY, PROJECT) if hostile.chance(0.9) else (hostile.text(), hostile.text())
        yield Sent("POST", f"/files/{_quoted(entity)}/{_quoted(project)}/{_quoted(run)}/file_stream", headers, raw)


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


def uploads(hostile: Hostile, world: World) -> Iterator[Sent]:
    """PUTs and GETs at signed addresses, whole, forged and changed; asking for them is GraphQL's."""
    while True:
        address = (
            hostile.one(world.uploads)
            if world.uploads and hostile.chance(0.8)
            else f"/wandb/upload/{_quoted(hostile.text())}"
        )
        if hostile.chance(0.2):
            address = "/" + hostile.broken(address.encode()).decode("latin-1").lstrip("/")
            address = quote(address, safe="/?=&.%-_")
        body = hostile.one((b"", b"x", hostile.random.randbytes(1000), b"{}", bytes(3 << 20)))
        headers = _odd_headers(hostile)
        if hostile.chance(0.4):
            headers["Content-MD5"] = hostile.one(("", "x", "1B2M2Y8AsgTpgAmY7PhCfg==", "\u00ff"))
        if hostile.chance(0.3):
            headers["Range"] = hostile.one(
                ("bytes=0-", "bytes=-1", "bytes=5-1", "bytes=0-0,2-3", "bytes=" + "9" * 30 + "-", "x", "bytes=-")
            )
        if hostile.chance(0.2):
            headers["Content-Encoding"] = hostile.one(("gzip", "x"))
        fitting = "PUT" if address.startswith("/wandb/upload/") else "GET"
        method = fitting if hostile.chance(0.8) else hostile.one(("PUT", "GET", "HEAD", "POST", "DELETE"))
        yield Sent(method, address, headers, body if method in {"PUT", "POST"} else None)


def ingest(hostile: Hostile, world: World) -> Iterator[Sent]:
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
        base = f"/ingest/v1/sources/{_quoted(source)}"
        headers = {**world.bearer(), **_odd_headers(hostile)}
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
                f"/ingest/v1/sources/{_quoted(hostile.one(('other', hostile.text())))}",
                headers,
                hostile.maybe_broken(body),
            )
        else:
            query = urlencode({"after": hostile.number(), "wait": hostile.one((0, -1, "x", 0.01, "nan"))})
            path = hostile.one((f"{base}/directives?{query}", f"/ingest/v1/uploads/{_quoted(hostile.text())}/commit"))
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


def control(hostile: Hostile, world: World) -> Iterator[Sent]:
    """Runs and joins as no controller writes them."""
    from tests.integration.tracker.process import join_record, run_record

    prefix = "/api/v1/control"
    while True:
        run = hostile.one((f"{ENTITY}-1", f"{ENTITY}-2", "0123abcd", hostile.text()))
        kind = hostile.random.randrange(6)
        headers = {**world.bearer(admin=True), "Content-Type": "application/json", **_odd_headers(hostile)}
        if kind <= 3:
            record = run_record(namespace=ENTITY, name=run) if kind <= 1 else join_record(run, namespace=ENTITY)
            for _ in range(hostile.one((0, 1, 3))):
                name = hostile.one(tuple(record))
                if isinstance(record[name], dict) and hostile.chance(0.5) and record[name]:
                    record[name] = {**record[name], hostile.one(tuple(record[name])): hostile.value()}
                else:
                    record[name] = hostile.value()
            path = (
                f"{prefix}/runs/{_quoted(run)}"
                if kind <= 1
                else f"{prefix}/sources/{_quoted(hostile.one((SOURCE, 'pod-x', hostile.text())))}"
            )
            yield Sent("PUT", path, headers, hostile.maybe_broken(hostile.json(record), 0.2))
        else:
            query = urlencode({"after": hostile.number(), "wait": hostile.one((0, -1, "x")), "limit": hostile.number()})
            path = hostile.one(
                (
                    f"{prefix}/feed?{query}",
                    f"{prefix}/runs/{_quoted(run)}/ranks",
                    f"{prefix}/runs/{_quoted(run)}/collection",
                )
            )
            yield Sent("GET", path, headers)


def read_api(hostile: Hostile, world: World) -> Iterator[Sent]:
    """Every operation of the OpenAPI document with parameters that fit, and with others."""
    document = json.loads((ROOT / "tracker/openapi.json").read_text())
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
                path = path.replace(f"{{{name}}}", _quoted(str(value)))
            elif hostile.chance(0.6) or (parameter.get("required") and hostile.chance(0.9)):
                query[name] = value
        headers = {**world.bearer(), **_odd_headers(hostile)}
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


def _odd_headers(hostile: Hostile) -> dict[str, str]:
    """Few of them, rarely."""
    if hostile.chance(0.9):
        return {}
    name = hostile.one(
        (
            "Accept",
            "Cookie",
            "X-Forwarded-For",
            "X-Forwarded-Host",
            "Host",
            "X-WANDB-USERNAME",
            "Origin",
            "X-WANDB-CLIENT-ID",
            "Accept-Encoding",
            "If-None-Match",
            "Authorization",
        )
    )
    return {
        name: hostile.one(
            ("", "x", "a" * 4000, "\u00ff\u00fe", "http://[::1", "*", "Basic !", "Bearer ", "session=x; session=y")
        )
    }


def _quoted(text: str) -> str:
    """As a part of a path, whatever it is."""
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


DOORS: dict[str, Door] = {
    "graphql": graphql,
    "filestream": filestream,
    "uploads": uploads,
    "ingest": ingest,
    "control": control,
    "read-api": read_api,
}
