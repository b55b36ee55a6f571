"""From pydantic's JSON schema to the structural OpenAPI schema that a CustomResourceDefinition needs."""

from __future__ import annotations

import copy
from typing import Any, Final

from pydantic import BaseModel

_DROPPED: Final = {"title", "examples", "discriminator", "additionalProperties", "$defs"}
_KEPT_OUT: Final = {"uniqueItems", "patternProperties", "prefixItems", "propertyNames", "if", "then", "else", "not"}


class SchemaError(ValueError):
    """A model uses something that has no structural form."""


def structural(model: type[BaseModel]) -> dict[str, Any]:
    """The structural schema of a model, all references written out.

    Raises:
        SchemaError: recursion, a union, or a keyword that the API server refuses; names the place.

    """
    schema = model.model_json_schema(by_alias=True, mode="validation")
    definitions = schema.get("$defs", {})
    return _convert(schema, definitions, model.__name__, ())


def _convert(node: dict[str, Any], definitions: dict[str, Any], where: str, seen: tuple[str, ...]) -> dict[str, Any]:
    node, seen = _resolve(node, definitions, where, seen)
    refused = _KEPT_OUT & node.keys()
    if refused:
        raise SchemaError(f"{where}: {', '.join(sorted(refused))} has no structural form")
    if "anyOf" in node or "oneOf" in node:
        raise SchemaError(f"{where}: a union of types has no structural form; use optional members and a CEL rule")
    out = {key: value for key, value in node.items() if key not in _DROPPED}
    extra = node.get("additionalProperties")
    if isinstance(extra, dict):
        out["additionalProperties"] = _convert(extra, definitions, f"{where}.*", seen)
    elif extra is True and "properties" not in node:
        out["x-kubernetes-preserve-unknown-fields"] = True
    if "properties" in node:
        out["properties"] = {
            name: _convert(child, definitions, f"{where}.{name}", seen) for name, child in node["properties"].items()
        }
    if "items" in node:
        out["items"] = _convert(node["items"], definitions, f"{where}[]", seen)
    if "const" in out:
        out["enum"] = [out.pop("const")]
    for bound in ("Minimum", "Maximum"):  # OpenAPI 3.0 says it with two keywords
        if f"exclusive{bound}" in out:
            out[bound.lower()] = out[f"exclusive{bound}"]
            out[f"exclusive{bound}"] = True
    # A default is told, not stored: an absent field keeps following the version of Outrider that reads it.
    default = out.pop("default", None)
    if isinstance(description := out.get("description"), str):
        out["description"] = " ".join(description.split())
        if default and isinstance(default, str):
            out["description"] += f" Default: {default}."
    return out


def _resolve(
    node: dict[str, Any], definitions: dict[str, Any], where: str, seen: tuple[str, ...]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The node with its reference, its one-element allOf and its "or null" written out; siblings of them win."""
    node = copy.copy(node)
    while True:
        inner: dict[str, Any]
        if "$ref" in node:
            name = node.pop("$ref").rpartition("/")[2]
            if name in seen:
                raise SchemaError(f"{where}: {name} contains itself; a structural schema cannot")
            inner, seen = definitions[name], (*seen, name)
        elif len(node.get("allOf", ())) == 1:
            (inner,) = node.pop("allOf")
        elif any(choice.get("type") == "null" for choice in node.get("anyOf", ())):
            choices = [choice for choice in node.pop("anyOf") if choice.get("type") != "null"]
            if len(choices) != 1:
                raise SchemaError(f"{where}: a union of types has no structural form")
            (inner,) = choices
        else:
            return node, seen
        rules = [*inner.get("x-kubernetes-validations", ()), *node.get("x-kubernetes-validations", ())]
        node = {**inner, **node}
        if rules:
            node["x-kubernetes-validations"] = rules
