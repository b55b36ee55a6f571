"""GraphQL documents by a schema, ever so odd."""

from __future__ import annotations

import json
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    is_abstract_type,
    is_leaf_type,
)

from tests.fuzz.doors.world import ENTITY, PROJECT, RUN
from tests.fuzz.hostile import Hostile


class Documents:
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
