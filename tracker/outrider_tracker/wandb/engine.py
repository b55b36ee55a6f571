"""GraphQL: one schema from the parts in `schema/`, resolvers from `resolvers/`, parsed documents remembered.

text ─ limits ─ parse ─ measure ─ validate ─┐            (once for each text, the newest 512 are kept)
variables ───────────────────────────────── cost ─ run ─ answer
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib import resources
from typing import Any, Final

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLUnionType,
    build_schema,
    default_field_resolver,
    execute_sync,
    parse,
    validate,
)
from graphql.validation.validate import ValidationAbortedError

from outrider_sidecar import contract
from outrider_tracker.core.errors import RefusedError
from outrider_tracker.core.rules import may_ask
from outrider_tracker.log import say
from outrider_tracker.store.errors import StorageFullError, StoreError
from outrider_tracker.wandb import limits, resolvers, scalars
from outrider_tracker.wandb.context import Context, Resolver

REMEMBERED: Final = 512
# Texts of what is remembered, in characters: a parsed document takes about a hundred times as many bytes.
REMEMBERED_TEXT: Final = 1 << 20
# Answers that the client must take for the whole request: it asks again (429, 503, 507), or gives up (the others).
WHOLE: Final = frozenset({401, 403, 404, 409, 410, 413, 422, 429, 503, 507})
RETRY_AFTER: Final = 5
_QUOTED: Final = re.compile(r"'([^']*)'")


@dataclass(frozen=True, slots=True)
class Question:
    """A request's body. `operation` None: the document has only one."""

    text: str
    variables: Mapping[str, Any]
    operation: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """`body`: `data` and `errors`; `status` as HTTP has it."""

    body: dict[str, Any]
    status: int = 200
    retry_after: int | None = None


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A document that may run, or the errors that it always has."""

    document: DocumentNode | None
    measures: Mapping[str, limits.Measure]
    errors: tuple[str, ...] = ()


class Engine:
    """Answers questions; blocking, for a thread of its own. One for the process: a schema takes a second to build."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._prepared: OrderedDict[str, _Prepared] = OrderedDict()
        self._text = 0
        self._lock = threading.Lock()

    def answer(self, question: Question, context: Context) -> Answer:
        """Never raises: what a resolver raised is a sentence in `errors`, and in our log if it is our fault."""
        if len(question.text.encode(errors="surrogatepass")) > limits.MAX_TEXT:
            return problem(f"This query is too large: at most {limits.MAX_TEXT} bytes are answered.", 413)
        prepared = self._prepare(question.text)
        if prepared.document is None:
            return Answer({"errors": [{"message": message} for message in prepared.errors]})
        measure = prepared.measures.get(question.operation or "")
        if measure is None and len(prepared.measures) == 1:
            measure = next(iter(prepared.measures.values()))
        if measure is not None and limits.cost(measure.pages, question.variables) > limits.MAX_COST:
            return problem(f"This query asks for more than {limits.MAX_COST} items: ask for smaller pages.", 413)
        result = execute_sync(
            self._schema,
            prepared.document,
            context_value=context,
            variable_values=dict(question.variables),
            operation_name=question.operation,
            type_resolver=_type_of,
        )
        body: dict[str, Any] = {"data": result.data}
        if not result.errors:
            return Answer(body)
        body["errors"] = [_shown(error, question) for error in result.errors]
        return _whole(body, result.errors)

    def _prepare(self, text: str) -> _Prepared:
        with self._lock:
            known = self._prepared.get(text)
            if known is not None:
                self._prepared.move_to_end(text)
                return known
        made = self._read(text)
        with self._lock:
            if text not in self._prepared:
                self._prepared[text] = made
                self._text += len(text)
            while len(self._prepared) > REMEMBERED or self._text > REMEMBERED_TEXT:
                self._text -= len(self._prepared.popitem(last=False)[0])
        return made

    def _read(self, text: str) -> _Prepared:
        try:
            document = parse(text, no_location=True, max_tokens=limits.MAX_TOKENS)
            measures = limits.measure(document)
            errors = validate(self._schema, document, max_errors=5, hide_suggestions=True)
        except (GraphQLError, limits.TooMuchError) as error:
            message = error.message if isinstance(error, GraphQLError) else str(error)
            return _Prepared(None, {}, (_QUOTED.sub(r'"\1"', message),))
        except RecursionError:
            return _Prepared(None, {}, ("This query is nested too deeply.",))
        if any(isinstance(error, ValidationAbortedError) for error in errors[:1]):
            return _Prepared(None, {}, ("This query is too large: its fields are too many to be compared.",))
        if errors:
            # Some callers of the client look for these texts, which have double quotes at W&B.
            return _Prepared(None, {}, tuple(_QUOTED.sub(r'"\1"', error.message) for error in errors))
        return _Prepared(document, measures)


def load() -> Engine:
    """The engine of all parts that are there. ValueError, TypeError: the parts do not fit each other."""
    folder = resources.files("outrider_tracker.wandb").joinpath("schema")
    parts = sorted((part for part in folder.iterdir() if part.name.endswith(".graphql")), key=lambda part: part.name)
    found: dict[str, Resolver] = {}
    for module in pkgutil.iter_modules(resolvers.__path__):
        given = importlib.import_module(f"{resolvers.__name__}.{module.name}").RESOLVERS
        twice = found.keys() & given.keys()
        if twice:
            raise ValueError(f"these fields have two resolvers: {', '.join(sorted(twice))}")
        found.update(given)
    return Engine(build("\n".join(part.read_text() for part in parts), found))


def build(text: str, given: Mapping[str, Resolver]) -> GraphQLSchema:
    """A schema with its resolvers. ValueError: a resolver has no field."""
    schema = build_schema(text)
    for name, scalar in scalars.SCALARS.items():
        kind = schema.type_map.get(name)
        if isinstance(kind, GraphQLScalarType):
            # The one way that the library takes for a schema that was read from text.
            for attribute in ("serialize", "coerce_output_value"):
                setattr(kind, attribute, scalar.serialize)
            for attribute in ("parse_value", "coerce_input_value"):
                setattr(kind, attribute, scalar.parse_value)
    missing = set(given)
    roots = {schema.query_type, schema.mutation_type}
    for kind in schema.type_map.values():
        if not isinstance(kind, GraphQLObjectType):
            continue
        for name, field in kind.fields.items():
            address = f"{kind.name}.{name}"
            missing.discard(address)
            resolver = given.get(address)
            if resolver is not None:
                field.resolve = _paged(field, resolver)
            if kind in roots:
                field.resolve = partial(_asked, address, field.resolve or default_field_resolver)
    if missing:
        raise ValueError(f"these resolvers have no field in the schema: {', '.join(sorted(missing))}")
    return schema


def problem(message: str, status: int = 200) -> Answer:
    """An answer that is nothing but one error."""
    return Answer({"errors": [{"message": message}]}, status)


def _asked(address: str, resolve: Resolver, parent: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
    """A root's field: who may not ask it at all is refused before its resolver is called."""
    principal = info.context.principal
    if not may_ask(principal, address):
        name = address.partition(".")[2]
        if principal is None:
            raise RefusedError(
                contract.ERROR_UNAUTHENTICATED, f"{name} is not for everybody: log in with `wandb login --host`"
            )
        raise RefusedError(contract.ERROR_FORBIDDEN, f"{name} is not for pods: use an API key of a person")
    return resolve(parent, info, **arguments)


def _paged(field: GraphQLField, resolver: Resolver) -> Resolver:
    """Cuts `first` and `last` to a page: the client asks for the next one."""
    sizes = [name for name in ("first", "last") if name in field.args]
    if not sizes:
        return resolver

    def resolve(parent: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
        for name in sizes:
            size = arguments.get(name)
            if isinstance(size, int):
                if size < 0:
                    raise RefusedError(contract.ERROR_FRAME, f"{name} is a number of items: {size} is none")
                arguments[name] = min(size, limits.MAX_PAGE)
        return resolver(parent, info, **arguments)

    return resolve


def _type_of(value: Any, _info: GraphQLResolveInfo[Any], _kind: GraphQLInterfaceType | GraphQLUnionType) -> str | None:
    """The type of a value behind an interface: its `__typename` item, or its `graphql_type` attribute."""
    name = value.get("__typename") if isinstance(value, Mapping) else getattr(value, "graphql_type", None)
    return name if isinstance(name, str) else None


def _shown(error: GraphQLError, question: Question) -> dict[str, Any]:
    """The error as the client gets it."""
    cause = error.original_error
    message = error.message
    if isinstance(cause, RefusedError):
        message = cause.message
    elif isinstance(cause, StoreError | sqlite3.OperationalError):
        message = f"the tracker cannot do this now: {cause}"
    elif cause is not None and not isinstance(cause, GraphQLError):
        where = ".".join(map(str, error.path or ()))
        say("graphql.failed", operation=question.operation or "", field=where, reason=repr(cause))
        message = f"the tracker failed at {where}: this is its fault, and its log says more"
    shown: dict[str, Any] = {"message": message}
    if error.path:
        shown["path"] = error.path
    return shown


def _whole(body: dict[str, Any], errors: list[GraphQLError]) -> Answer:
    """The status: that of the first refusal, where the client must act on it, or nothing at all could be answered."""
    data = body["data"]
    nothing = not data or all(value is None for value in data.values())
    for error in errors:
        cause = error.original_error
        status, retry = _status(cause)
        # To ask again helps only if nothing was done; a client that got half an answer lives with it.
        if nothing and status in WHOLE:
            return Answer(body, status, retry)
    return Answer(body)


def _status(cause: BaseException | None) -> tuple[int, int | None]:
    if isinstance(cause, RefusedError):
        return cause.status, cause.retry_after
    if isinstance(cause, StorageFullError):
        return 507, RETRY_AFTER
    if isinstance(cause, StoreError | sqlite3.OperationalError):
        return 503, RETRY_AFTER
    return 200, None
