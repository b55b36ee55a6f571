"""What a GraphQL document may cost, counted before anything of it is validated or run: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionNode,
    VariableNode,
)

MAX_TEXT: Final = 64 << 10  # bytes; the client's longest document has about 10 KiB
MAX_TOKENS: Final = 5000
MAX_DEPTH: Final = 32
MAX_ALIASES: Final = 64
MAX_FIELDS: Final = 1500  # with all fragments written out
MAX_PAGE: Final = 1000  # items of one page: who asks for more gets this many, and asks for the next page
MAX_COST: Final = 200_000  # items that one document may ask for, pages in pages multiplied

_PAGES: Final = ("first", "last")


class TooMuchError(ValueError):
    """The document is over a limit; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class Pages:
    """A field that answers in pages, and the pages within. `size`: a number, or the variable's name."""

    size: int | str
    within: tuple[Pages, ...]


@dataclass(frozen=True, slots=True)
class Measure:
    """Of one operation with its fragments written out."""

    depth: int
    fields: int
    aliases: int
    pages: tuple[Pages, ...]


def measure(document: DocumentNode) -> Mapping[str, Measure]:
    """Each operation by its name ("" if it has none). TooMuchError: a limit, or fragments that hold themselves."""
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    known: dict[str, Measure] = {}
    found: dict[str, Measure] = {}
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode):
            one = _selections(node.selection_set.selections, fragments, known, ())
            _check(one)
            found[node.name.value if node.name else ""] = one
    return found


def cost(pages: tuple[Pages, ...], variables: Mapping[str, Any]) -> int:
    """Items that could be answered."""
    total = 0
    for page in pages:
        size = variables.get(page.size) if isinstance(page.size, str) else page.size
        count = min(size, MAX_PAGE) if isinstance(size, int) and size > 0 else 1
        total += count * (1 + cost(page.within, variables))
        if total > MAX_COST:
            break
    return total


def _check(measured: Measure) -> None:
    for what, value, limit in (
        ("levels deep", measured.depth, MAX_DEPTH),
        ("fields", measured.fields, MAX_FIELDS),
        ("aliases", measured.aliases, MAX_ALIASES),
    ):
        if value > limit:
            raise TooMuchError(f"This query is too large: at most {limit} {what} are answered.")


def _selections(
    selections: tuple[SelectionNode, ...] | list[SelectionNode],
    fragments: Mapping[str, FragmentDefinitionNode],
    known: dict[str, Measure],
    open_fragments: tuple[str, ...],
) -> Measure:
    depth = fields = aliases = 0
    pages: list[Pages] = []
    for node in selections:
        if len(open_fragments) > MAX_DEPTH:
            raise TooMuchError(f"This query is too large: at most {MAX_DEPTH} levels deep are answered.")
        if isinstance(node, FragmentSpreadNode):
            within = _fragment(node.name.value, fragments, known, open_fragments)
            own = 0
        else:
            inner = getattr(node, "selection_set", None)
            # The depth of the recursion is that of the parsed document, which the parser's tokens bound.
            within = _EMPTY if inner is None else _selections(inner.selections, fragments, known, open_fragments)
            own = 1 if isinstance(node, FieldNode) else 0
            aliases += 1 if isinstance(node, FieldNode) and node.alias is not None else 0
        size = _page(node) if isinstance(node, FieldNode) else None
        if size is None:
            pages += within.pages
        else:
            pages.append(Pages(size, within.pages))
        depth = max(depth, own + within.depth)
        fields += own + within.fields
        aliases += within.aliases
        if fields > MAX_FIELDS or len(pages) > MAX_FIELDS or depth > MAX_DEPTH or aliases > MAX_ALIASES:
            # Fragments multiply: a few lines can stand for a million fields, so the counting itself must end.
            _check(Measure(depth, max(fields, len(pages)), aliases, ()))
    return Measure(depth, fields, aliases, tuple(pages))


_EMPTY: Final = Measure(0, 0, 0, ())


def _fragment(
    name: str,
    fragments: Mapping[str, FragmentDefinitionNode],
    known: dict[str, Measure],
    open_fragments: tuple[str, ...],
) -> Measure:
    if name in open_fragments:
        raise TooMuchError(f"The fragment {name[:80]!r} holds itself.")
    if name not in known:
        node = fragments.get(name)
        # A fragment that is not there is the validation's to tell.
        known[name] = (
            _EMPTY
            if node is None
            else _selections(node.selection_set.selections, fragments, known, (*open_fragments, name))
        )
    return known[name]


def _page(node: FieldNode) -> int | str | None:
    for argument in node.arguments or ():
        if argument.name.value in _PAGES:
            if isinstance(argument.value, VariableNode):
                return argument.value.name.value
            if isinstance(argument.value, IntValueNode):
                return int(argument.value.value[:18])
    return None
