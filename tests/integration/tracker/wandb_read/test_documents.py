"""The schema takes what each supported SDK release asks about runs, projects, histories, files and accounts.

The documents are taken out of the installed releases: texts in the Python sources and in wandb-core.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from graphql import GraphQLError, GraphQLSchema, OperationDefinitionNode, build_schema, parse, validate

from outrider_tracker import wandb
from tools.sdk_venvs import RELEASES, python_of

# What comes with artifacts, sweeps, launch, registries and automations: operations whose fields are not there yet.
LATER = re.compile(
    r"Automation|Integration|Registr|Alias|^Collections$|^Versions$|ClientIDMapping|XXHash|Anonymous|(re|de)\w+Project$"
    r"|RunQueue|runQueue|[lL]aunchAgent$|ResourceConfig|RunInfo|Heartbeat|CreateAgent|EnqueueSweep|UpsertSweep"
    r"|(Add|Create|Delete|Update|Commit|Move|Link|Unlink|Use|Upload)Artifact|LinkedArtifacts|CompleteMultipart"
    r"|Artifact(By|Created|Used|File|Manifest$|MembershipFile|Collection(Aliases|Membership)|VersionFiles)"
)
_OPERATION = re.compile(r"\s*(?:#graphql\s*)?(?:query|mutation)\b")
_GRAPHQL = re.compile(r"(?:query|mutation|fragment)\b[^\n]*[{(]|fragment \w+ on")
_PLACEHOLDER = re.compile(r"^\s*_\w+_\s*$", re.MULTILINE)  # replaced before it is sent
_FRAGMENT = re.compile(r"fragment (\w+) on")


def packages(release: str) -> Path:
    """The folder of the release's package."""
    (found,) = python_of(release).parent.parent.glob("lib/python*/site-packages/wandb")
    return found


def in_core(folder: Path) -> Iterator[str]:
    """Operations with their fragments, as wandb-core carries them: each ends where its braces do."""
    data = (folder / "bin/wandb-core").read_bytes()
    for match in re.finditer(rb"\n(?=(?:query|mutation) [A-Za-z]+)", data):
        depth, start = 0, match.end()
        for place in re.finditer(rb"[{}]", data[start : start + 20_000]):
            depth += 1 if place[0] == b"{" else -1
            end = start + place.end()
            if depth == 0 and not data[end : end + 12].lstrip(b"\n").startswith(b"fragment "):
                yield data[start:end].decode(errors="replace")
                break


def in_sources(folder: Path) -> Iterator[str]:
    """Operations in texts of the sources; fragments that are joined to them at run time are joined here."""
    fragments: dict[str, str] = {}
    operations: list[str] = []
    for path in sorted(folder.rglob("*.py")):
        if "vendor" in path.parts:
            continue
        source = path.read_text(errors="replace")
        if not _GRAPHQL.search(source):
            continue
        tree = ast.parse(source)
        names = {
            node.targets[0].id: text
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and (text := literal(node.value, {}))
        }
        parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        parts |= {id(formatted) for node in ast.walk(tree) if (formatted := formatted_text(node)) is not None}
        for node in ast.walk(tree):
            text = None if id(node) in parts else literal(node, names)
            if text and _FRAGMENT.match(text.lstrip()):
                fragments.setdefault(_FRAGMENT.match(text.lstrip())[1], text)  # type: ignore[index]
            elif text and _OPERATION.match(text):
                operations.append(text)
    for text in operations:
        yield complete(text, fragments)


def formatted_text(node: ast.AST) -> ast.expr | None:
    """What `.format` is called on."""
    called = node.func if isinstance(node, ast.Call) else None
    return called.value if isinstance(called, ast.Attribute) and called.attr == "format" else None


def literal(node: ast.AST, names: dict[str, str]) -> str | None:
    """The text of a constant, an f-string or a `.format`, with what is inserted left out where it is not a constant."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        parts = [
            part.value
            if isinstance(part, ast.Constant)
            else names.get(part.value.id, "")
            if isinstance(part, ast.FormattedValue) and isinstance(part.value, ast.Name)
            else ""
            for part in node.values
        ]
        return "".join(str(part) for part in parts)
    formatted = formatted_text(node)
    text = None if formatted is None else literal(formatted, names)
    return text and text.replace("{{", "\x01").replace("}}", "\x02").replace("{}", "").translate({1: "{", 2: "}"})


def complete(text: str, fragments: dict[str, str]) -> str:
    """The document with the fragments that it names and lacks."""
    while True:
        missing = set(re.findall(r"\.\.\.\s*(\w+)", text)) - {"on"} - set(_FRAGMENT.findall(text))
        known = sorted(name for name in missing if name in fragments)
        if not known:
            return text
        text += "\n" + fragments[known[0]]


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    folder = Path(wandb.__file__).parent / "schema"
    return build_schema("\n".join(part.read_text() for part in sorted(folder.glob("*.graphql"))))


@pytest.mark.parametrize("release", RELEASES)
def test_every_document_in_scope_is_valid(release: str, schema: GraphQLSchema) -> None:
    folder = packages(release)
    seen: set[str] = set()
    wrong: dict[str, list[str]] = {}
    for text in (*in_core(folder), *in_sources(folder)):
        try:
            document = parse(text)
        except GraphQLError:
            continue  # put together at run time from parts that are no constants
        if _PLACEHOLDER.search(text):
            continue
        names = [each.name for each in document.definitions if isinstance(each, OperationDefinitionNode)]
        name = names[0].value if names[0] is not None else text.strip()
        if LATER.search(name):
            continue
        seen.add(name)
        errors = validate(schema, document, hide_suggestions=True)
        if errors:
            wrong[name] = [error.message for error in errors]
    assert wrong == {}
    everywhere = {"UpsertBucket", "RunResumeStatus", "Viewer", "CreateRunFiles", "RunFiles", "RunState", "DeleteRun"}
    assert everywhere <= seen, "documents were not found in the package"
    assert len(seen) >= 25
