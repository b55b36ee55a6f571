"""Filters as the W&B client writes them (MongoDB's query language), compiled to an SQL condition. Pure.

A field is given as two SQL expressions, its JSON type and its value; so config and summary (JSON texts) and columns are
one thing here. The meaning is MongoDB's: comparison stays within a type, a condition on a list holds if it holds for an
element, `null` also matches what is absent. Values are bound, never written into the text; the number of conditions and
their nesting are bounded, since SQLite's own limits would else answer.

The SQL uses functions that the store gives its reading connections (store/functions.py): `json_at_type`,
`json_at_value`, `same_json`, `regex_found`.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import re2

MAX_TEXT: Final = 1 << 20  # characters of a filter
MAX_DEPTH: Final = 20  # $and in $or in …
MAX_CONDITIONS: Final = 200
MAX_VALUES: Final = 20_000  # of $in lists, together
MAX_PATTERN: Final = 1000  # characters of a $regex
MAX_SEGMENTS: Final = 16  # of a dotted name

_GROUPS: Final = frozenset({"$and", "$or", "$nor"})
_COMPARISONS: Final = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_REGEX_FLAGS: Final = frozenset("ims")
# A key that JSON writers all write alike, so that SQLite may compare it as it stands in the text.
_PLAIN_KEY: Final = re.compile(r"[A-Za-z0-9_ /:@#%+=,;|~^*().-]+", re.ASCII)
_NUMBERS: Final = "('integer', 'real')"
_BOOLEANS: Final = "('true', 'false')"


class FilterError(ValueError):
    """The filter or order cannot be used; the message says why."""


@dataclass(slots=True)
class Bindings:
    """Values for the named parameters of one statement."""

    values: dict[str, Any] = field(default_factory=dict)

    def add(self, value: Any) -> str:
        """The parameter's name as SQL wants it, such as `:p3`."""
        name = f"p{len(self.values)}"
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            value = float(value)  # SQLite reads such numbers of a JSON text as floats, too
        self.values[name] = value
        return f":{name}"


@dataclass(frozen=True, slots=True)
class Field:
    """Where a value stands in a row: SQL for its JSON type (NULL: absent) and for the value (lists as JSON text).

    `seconds`: a time in Unix seconds, which filters give as ISO 8601 text.
    """

    type: str
    value: str
    seconds: bool = False


Fields = Callable[[str, Bindings], Field]
"""Finds a field by the client's name. FilterError: there is none of that name."""


def text_field(sql: str) -> Field:
    """A column of text; NULL is absent."""
    return Field(f"CASE WHEN {sql} IS NOT NULL THEN 'text' END", sql)


def number_field(sql: str) -> Field:
    """A column of numbers; NULL is absent."""
    return Field(f"CASE WHEN {sql} IS NOT NULL THEN 'real' END", sql)


def time_field(sql: str) -> Field:
    """A column of Unix seconds. Whole seconds are compared: more of it is not shown."""
    return Field(f"CASE WHEN {sql} IS NOT NULL THEN 'real' END", f"CAST({sql} AS INTEGER)", seconds=True)


def json_field(document: str, paths: Sequence[Sequence[str]], bind: Bindings) -> Field:
    """A value in a JSON text, at the first of the paths that exists."""
    types, values = [], []
    for path in paths:
        if all(_PLAIN_KEY.fullmatch(key) for key in path):
            where = bind.add("$" + "".join(f'."{key}"' for key in path))
            types.append(f"json_type({document}, {where})")
            values.append(f"json_extract({document}, {where})")
        else:
            where = bind.add(json.dumps(list(path)))
            types.append(f"json_at_type({document}, {where})")
            values.append(f"json_at_value({document}, {where})")
    if len(paths) == 1:
        return Field(types[0], values[0])
    chosen = " ".join(f"WHEN {kind} IS NOT NULL THEN {value}" for kind, value in zip(types, values, strict=True))
    return Field(f"coalesce({', '.join(types)})", f"CASE {chosen} END")


def config_paths(segments: Sequence[str]) -> list[list[str]]:
    """Where `config.<segments>` may stand in `{key: {"value": v}}`: the client writes it with and without `value`.

    A key may hold dots itself: nested values come first, then ever longer keys.
    """
    paths = []
    for key, rest in _splits(segments):
        if rest[:1] == ["value"]:
            paths.append([key, *rest])
        paths.append([key, "value", *rest])
    return paths


def plain_paths(segments: Sequence[str]) -> list[list[str]]:
    """Where `summary_metrics.<segments>` may stand in a plain object: nested, or with dots in the first key."""
    return [[key, *rest] for key, rest in _splits(segments)]


def _splits(segments: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    for first in range(1, len(segments) + 1):
        yield ".".join(segments[:first]), list(segments[first:])


def dotted(name: str) -> list[str]:
    """The segments of a dotted name. FilterError: too many."""
    segments = name.split(".")
    if len(segments) > MAX_SEGMENTS:
        raise FilterError(f"a filter's field may have {MAX_SEGMENTS} parts, not {len(segments)}: {name[:80]}")
    return segments


def parse_filter(text: str | None) -> dict[str, Any]:
    """The filter of a JSON text; None and "" are no filter. FilterError: too long, no JSON object."""
    if not text:
        return {}
    if len(text) > MAX_TEXT:
        raise FilterError(f"a filter may have {MAX_TEXT} characters, not {len(text)}")
    try:
        value = json.loads(text, parse_constant=_refuse)
        json.dumps(value, ensure_ascii=False).encode()  # half characters are valid JSON, but no text
    except (ValueError, RecursionError):
        raise FilterError("the filter is not JSON") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise FilterError('a filter is a JSON object, such as {"state": "finished"}')
    return value


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def compile_filter(wanted: Mapping[str, Any], fields: Fields, bind: Bindings) -> str:
    """An SQL condition that is 0 or 1, never NULL. FilterError: the message says what is wrong with the filter."""
    return _Compiler(fields, bind).document(wanted, 0)


@dataclass(slots=True)
class _Compiler:
    fields: Fields
    bind: Bindings
    conditions: int = 0
    values: int = 0

    def document(self, wanted: Any, depth: int) -> str:
        if not isinstance(wanted, Mapping):
            raise FilterError("a condition is a JSON object")
        if depth > MAX_DEPTH:
            raise FilterError(f"the filter is nested deeper than {MAX_DEPTH}")
        parts = [self._entry(name, value, depth) for name, value in wanted.items()]
        return _all(parts)

    def _entry(self, name: str, value: Any, depth: int) -> str:
        if name in _GROUPS:
            if not isinstance(value, list):
                raise FilterError(f"{name} takes a list of conditions")
            parts = [self.document(item, depth + 1) for item in value]
            return _all(parts) if name == "$and" else _any(parts) if name == "$or" else f"NOT {_any(parts)}"
        if name == "$not":  # MongoDB knows it below a field only; its meaning here is plain, too
            return f"NOT {self.document(value, depth + 1)}"
        if name.startswith("$"):
            raise FilterError(f"the operator {name[:40]} is not supported; there are $and, $or, $nor and $not")
        return self._field(self.fields(name, self.bind), value, depth)

    def _field(self, where: Field, value: Any, depth: int) -> str:
        if isinstance(value, Mapping) and any(key.startswith("$") for key in value):
            if depth > MAX_DEPTH:
                raise FilterError(f"the filter is nested deeper than {MAX_DEPTH}")
            return _all([self._operator(where, key, item, value, depth) for key, item in value.items()])
        return self._equal(where, value)

    def _operator(self, where: Field, name: str, value: Any, all_of: Mapping[str, Any], depth: int) -> str:
        if name == "$eq":
            return self._equal(where, value)
        if name == "$ne":
            return f"NOT {self._equal(where, value)}"
        if name in _COMPARISONS:
            return self._compare(where, name, value)
        if name in {"$in", "$nin"}:
            found = self._in(where, name, value)
            return found if name == "$in" else f"NOT {found}"
        if name == "$exists":
            self._count()
            return f"({where.type} IS {'NOT ' if value else ''}NULL)"
        if name == "$regex":
            return self._regex(where, value, all_of.get("$options", ""))
        if name == "$options" and "$regex" in all_of:
            return "1"
        if name == "$not":
            if not isinstance(value, Mapping):
                raise FilterError('$not takes an object of operators, such as {"$not": {"$gt": 3}}')
            return f"NOT {self._field(where, value, depth + 1)}"
        raise FilterError(
            f"the operator {name[:40]} is not supported; there are $eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, $not, "
            "$exists and $regex"
        )

    def _equal(self, where: Field, value: Any) -> str:
        self._count()
        if isinstance(value, (list, Mapping)):
            # The whole value, or a list in the list.
            kind = "array" if isinstance(value, list) else "object"
            same = self.bind.add(json.dumps(value))
            inner = f"EXISTS (SELECT 1 FROM json_each({where.value}) AS e WHERE same_json(e.value, {same}))"
            whole = f"same_json({where.value}, {same}) OR " if kind == "array" else ""
            other = "" if kind == "array" else f"WHEN 'object' THEN same_json({where.value}, {same}) "
            return f"(CASE {where.type} WHEN 'array' THEN {whole}{inner} {other}ELSE 0 END)"
        if value is None:
            inner = f"EXISTS (SELECT 1 FROM json_each({where.value}) AS e WHERE e.type = 'null')"
            return f"(CASE ifnull({where.type}, 'null') WHEN 'null' THEN 1 WHEN 'array' THEN {inner} ELSE 0 END)"
        return self._element(where, _Atom.of("=", self._scalar(where, value), self.bind))

    def _compare(self, where: Field, name: str, value: Any) -> str:
        if value is None:  # as MongoDB: null is as great as null, and nothing is greater
            if name in {"$gte", "$lte"}:
                return self._equal(where, None)
            self._count()
            return "0"
        self._count()
        if isinstance(value, (list, Mapping)):
            raise FilterError(f"{name} compares numbers, texts and booleans, not lists or objects")
        return self._element(where, _Atom.of(_COMPARISONS[name], self._scalar(where, value), self.bind))

    def _in(self, where: Field, name: str, value: Any) -> str:
        if not isinstance(value, list):
            raise FilterError(f"{name} takes a list of values")
        self.values += len(value)
        if self.values > MAX_VALUES:
            raise FilterError(f"the lists of a filter may have {MAX_VALUES} values together")
        rest = [item for item in value if item is None or isinstance(item, (list, Mapping))]
        scalars = [
            self._scalar(where, item) for item in value if not (item is None or isinstance(item, (list, Mapping)))
        ]
        parts = [self._equal(where, item) for item in rest]
        booleans = sorted({item for item in scalars if isinstance(item, bool)})
        numbers = [item for item in scalars if isinstance(item, (int, float)) and not isinstance(item, bool)]
        texts = [item for item in scalars if isinstance(item, str)]
        atoms = [_Atom.of("=", item, self.bind) for item in booleans]
        if numbers:
            atoms.append(_Atom(_NUMBERS, f"IN (SELECT value FROM json_each({self.bind.add(_listed(numbers))}))"))
        if texts:
            atoms.append(_Atom("('text')", f"IN (SELECT value FROM json_each({self.bind.add(_listed(texts))}))"))
        for atom in atoms:
            self._count()
            parts.append(self._element(where, atom))
        return _any(parts)

    def _regex(self, where: Field, pattern: Any, options: Any) -> str:
        self._count()
        if where.seconds:
            raise FilterError("$regex works on texts, not on times")
        if not isinstance(pattern, str) or not isinstance(options, str):
            raise FilterError("$regex and $options take a text")
        if not set(options) <= _REGEX_FLAGS:
            raise FilterError("$options knows the letters i, m and s")
        full = f"(?{''.join(sorted(set(options)))}){pattern}" if options else pattern
        compile_pattern(full)
        return self._element(where, _Atom("('text')", "", found=self.bind.add(full)))

    def _element(self, where: Field, atom: _Atom) -> str:
        if where.seconds:
            return f"({atom.holds(where.type, where.value)})"
        inner = f"EXISTS (SELECT 1 FROM json_each({where.value}) AS e WHERE {atom.holds('e.type', 'e.value')})"
        return f"(CASE {where.type} WHEN 'array' THEN {inner} ELSE {atom.holds(where.type, where.value)} END)"

    def _scalar(self, where: Field, value: Any) -> Any:
        if where.seconds and not isinstance(value, (list, Mapping)):
            return seconds_of(value)
        return value

    def _count(self) -> None:
        self.conditions += 1
        if self.conditions > MAX_CONDITIONS:
            raise FilterError(f"a filter may have {MAX_CONDITIONS} conditions; use $in for a list of values")


@dataclass(frozen=True, slots=True)
class _Atom:
    """A test of one value that is no list: its JSON type is one of `kinds`, and a comparison or a pattern holds."""

    kinds: str
    comparison: str
    found: str = ""

    @classmethod
    def of(cls, sign: str, value: Any, bind: Bindings) -> _Atom:
        kinds = _BOOLEANS if isinstance(value, bool) else _NUMBERS if isinstance(value, (int, float)) else "('text')"
        return cls(kinds, f"{sign} {bind.add(value)}")

    def holds(self, kind: str, value: str) -> str:
        test = f"regex_found({self.found}, {value})" if self.found else f"{value} {self.comparison}"
        return f"CASE WHEN {kind} IN {self.kinds} THEN {test} ELSE 0 END"


def _all(parts: Sequence[str]) -> str:
    return f"({' AND '.join(parts)})" if parts else "1"


def _any(parts: Sequence[str]) -> str:
    return f"({' OR '.join(parts)})" if parts else "0"


def _listed(values: Sequence[Any]) -> str:
    return json.dumps(list(values), allow_nan=False, ensure_ascii=False)


def seconds_of(value: Any) -> float:
    """Unix seconds of a filter's time: ISO 8601 text (UTC unless it says so), or seconds. FilterError: neither."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value.strip())
        except ValueError:
            pass
        else:
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    raise FilterError(f"a time is ISO 8601 text such as 2024-01-31T12:00:00Z, not {str(value)[:40]!r}")


@functools.lru_cache(maxsize=256)
def compile_pattern(pattern: str) -> Any:
    """The regular expression, by an engine that takes time in proportion to the text. FilterError: it is none."""
    if len(pattern) > MAX_PATTERN:
        raise FilterError(f"a regular expression may have {MAX_PATTERN} characters, not {len(pattern)}")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 8 << 20
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else str(error)
        raise FilterError(f"the regular expression cannot be used ({reason}); the syntax is RE2's") from None


@dataclass(frozen=True, slots=True)
class Order:
    """One key to sort by; runs without the value come last either way."""

    name: str
    descending: bool


def parse_order(text: str | None) -> Order:
    """`+name` or `name` ascends, `-name` descends; nothing is `+created_at`."""
    name = (text or "").strip()
    bare = name[1:] if name[:1] in {"+", "-"} else name
    return Order(bare or "created_at", name.startswith("-"))
