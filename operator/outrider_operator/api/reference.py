"""docs/reference/run.md from the schema of Run, so that the page cannot say what the API server does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from outrider_operator.api.crd import run_crd

_HEAD: Final = """# Run

Generated from the models by `outrider-operator crds --reference`. Do not edit.

`apiVersion: outrider.dev/v1alpha1`, `kind: Run`, short name `orun`. {about} The name is a DNS label of at most 63
characters. `kubectl explain run.spec` says the same as this page.

"""


def run_reference() -> str:
    """The page, as Markdown."""
    crd = run_crd()["spec"]["versions"][0]
    schema = crd["schema"]["openAPIV3Schema"]
    parts = [_HEAD.format(about=schema["description"])]
    for part in ("spec", "status"):
        parts.append(f"## {part}\n\n{schema['properties'][part]['description']}\n\n")
        parts.append("| field | type | what it is |\n|---|---|---|\n")
        parts.extend(_rows(schema["properties"][part], ""))
        parts.append("\n")
    parts.append("## What the API server refuses\n\n")
    parts.extend(f"- {_cell(rule['message'])}\n" for rule in _messages(schema))
    columns = [(item["name"].upper(), item.get("priority", 0)) for item in crd["additionalPrinterColumns"]]
    plain = " ".join(name for name, level in columns if not level)
    wide = " ".join(name for name, level in columns if level)
    fields = ", ".join(f"`{item['jsonPath'][1:]}`" for item in crd["selectableFields"])
    parts.append(f"\n## kubectl\n\n`kubectl get orun` shows NAME {plain}; `-o wide` adds {wide}.\n")
    parts.append(f"`--field-selector` knows {fields}.\n")
    return "".join(parts)


def _rows(node: Mapping[str, Any], prefix: str) -> Iterator[str]:
    required = set(node.get("required", ()))
    for name, child in node["properties"].items():
        inner, path = child, f"{prefix}{name}"
        kind = str(child["type"])
        if kind == "array":
            inner, path = child["items"], f"{path}[]"
            kind = f"list of {inner['type']}s, at most {child['maxItems']}"
        elif "additionalProperties" in child:
            kind = f"map of {child['additionalProperties']['type']}s"
        elif "enum" in child:
            kind = ", ".join(f"`{word}`" for word in child["enum"])
        elif child.get("format") == "date-time":
            kind = "time"
        must = ", required" if name in required else ""
        yield f"| `{path}` | {kind}{must} | {_cell(child.get('description', ''))} |\n"
        if "properties" in inner:
            yield from _rows(inner, f"{path}.")


def _messages(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    seen = set()
    for rule in _rules(node):
        if rule["message"] not in seen:
            seen.add(rule["message"])
            yield rule


def _rules(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from node.get("x-kubernetes-validations", ())
    for child in node.get("properties", {}).values():
        yield from _rules(child)
    if "items" in node:
        yield from _rules(node["items"])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
