"""The GraphQL engine: what it takes, what it refuses before running anything, and how it tells of errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider_sidecar import contract
from outrider_tracker.auth.signing import HmacSigner
from outrider_tracker.core import jsontext
from outrider_tracker.core.errors import RefusedError
from outrider_tracker.core.principals import Person, Pod
from outrider_tracker.notifier import Notifier
from outrider_tracker.store.errors import StorageFullError
from outrider_tracker.store.store import Store
from outrider_tracker.wandb import engine, limits
from outrider_tracker.wandb.context import Context, Resolver
from outrider_tracker.wandb.doors import read_question
from outrider_tracker.wandb.engine import Answer, Engine, Question

SCHEMA = """
scalar JSON
scalar JSONString
scalar Int64
scalar DateTime
scalar Duration
interface Node { id: ID! }
type Query {
  viewer: String
  echo(text: String): String
  items(first: Int, last: Int): [Item]
  fails: String
  refused(status: Int!): String
  full: String
  when: DateTime
  config: JSONString
  free: JSON
  count: Int64
  node: Node
}
type Item implements Node { id: ID! items(first: Int): [Item] size: Int }
type Mutation { wait(for: Duration, at: Int64, text: JSONString): String }
"""


def _refused(_parent: Any, _info: Any, status: int) -> str:
    raise RefusedError(contract.ERROR_FORBIDDEN, "not yours", status=status, retry_after=7)


def _fails(_parent: Any, _info: Any) -> str:
    raise ZeroDivisionError("secret details")


def _full(_parent: Any, _info: Any) -> str:
    raise StorageFullError("no room")


ASKED: list[tuple[int | None, int | None]] = []


def _items(_parent: Any, _info: Any, first: int | None = None, last: int | None = None) -> list[dict[str, Any]]:
    ASKED.append((first, last))
    return [{"id": "1", "size": 4}]


RESOLVERS: dict[str, Resolver] = {
    "Query.viewer": lambda _parent, info: None if info.context.principal is None else "somebody",
    "Query.echo": lambda _parent, _info, text=None: text,
    "Query.items": _items,
    "Query.refused": _refused,
    "Query.fails": _fails,
    "Query.full": _full,
    "Query.when": lambda _parent, _info: 1767225600.75,
    "Query.config": lambda _parent, _info: {"a": 1},
    "Query.free": lambda _parent, _info: {"a": [1, None, float("nan"), float("-inf")]},
    "Query.count": lambda _parent, _info: 1 << 40,
    "Query.node": lambda _parent, _info: {"__typename": "Item", "id": "7"},
    "Mutation.wait": lambda _parent, _info, **given: repr(sorted(given.items())),
}


@pytest.fixture(scope="module")
def made() -> Engine:
    """An engine over a schema of our own."""
    return Engine(engine.build(SCHEMA, RESOLVERS))


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    """A person's request."""
    store = Store(tmp_path_factory.mktemp("store"))
    yield Context(store, HmacSigner(b"s"), Notifier(), Person("ada", admin=True), "http://t")
    store.close()


@pytest.fixture
def ask(made: Engine, context: Context) -> Any:
    """`ask(text, **variables)` gives the answer."""

    def _ask(text: str, /, **variables: Any) -> Answer:
        return made.answer(Question(text, variables, None), context)

    return _ask


def test_the_clients_empty_operation_and_null_variables_are_absent() -> None:
    """Public API requests come with `operationName: ""`, and `variables: null` where there are none."""
    body = b'{"query": "query Q { viewer }", "variables": null, "operationName": ""}'
    assert read_question(body) == Question("query Q { viewer }", {}, None)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"query": 1}', b'{"query": "q", "variables": [1]}', b"[" * 10_000, b"\xff"]
)
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(RefusedError) as refused:
        read_question(body)
    assert refused.value.status == 400


def test_values_and_scalars(ask: Any) -> None:
    found = ask("{ when config free count node { id ... on Item { size } } }")
    assert json.loads(jsontext.encode(found.body)) == {
        "data": {
            "when": "2026-01-01T00:00:00Z",
            "config": '{"a":1}',
            "free": {"a": [1, None, "NaN", "-Infinity"]},
            "count": 1 << 40,
            "node": {"id": "7", "size": None},
        }
    }


def test_numbers_come_in_as_clients_write_them(ask: Any) -> None:
    text = "mutation M($for: Duration, $at: Int64, $text: JSONString) { wait(for: $for, at: $at, text: $text) }"
    found = ask(text, **{"for": 60000, "at": "12345678901234", "text": '{"a": NaN}'})
    assert found.body["data"]["wait"] == repr([("at", 12345678901234), ("for", 60000), ("text", '{"a": NaN}')])
    assert "errors" in ask(text, at=1 << 64).body


def test_an_unknown_field_is_told_with_the_texts_that_clients_look_for(ask: Any) -> None:
    """wandb's launch code matches `Cannot query field "…" on type "…"`."""
    found = ask("{ runSpec }")
    assert found.status == 200
    assert 'Cannot query field "runSpec" on type "Query".' in found.body["errors"][0]["message"]


def test_a_fault_of_ours_is_a_sentence_and_no_500(ask: Any) -> None:
    found = ask("{ viewer fails }")
    assert found.status == 200
    assert found.body["data"] == {"viewer": "somebody", "fails": None}
    assert "secret" not in found.body["errors"][0]["message"]


@pytest.mark.parametrize(
    ("status", "shown"), [(400, 200), (401, 401), (403, 403), (404, 404), (413, 413), (429, 429), (503, 503)]
)
def test_a_refusal_of_everything_has_its_status(ask: Any, status: int, shown: int) -> None:
    """The client asks again at 429 and 503, and tells its user the sentence at the others."""
    found = ask("query Q($status: Int!) { refused(status: $status) }", status=status)
    assert (found.status, found.body["errors"][0]["message"]) == (shown, "not yours")
    assert found.retry_after == (7 if shown != 200 else None)


def test_half_an_answer_stays_one(ask: Any) -> None:
    found = ask("{ viewer refused(status: 403) }")
    assert (found.status, found.body["data"]["viewer"]) == (200, "somebody")


def test_a_full_disk_is_asked_again_later(ask: Any) -> None:
    found = ask("{ full }")
    assert (found.status, found.retry_after) == (507, engine.RETRY_AFTER)


def test_pages_are_cut_not_refused(ask: Any) -> None:
    """Clients ask for pages of 5000 and more, and go on where a page ends."""
    ASKED.clear()
    ask("{ items(first: 5000) { id } }")
    ask("query Q($n: Int) { items(last: $n) { id } }", n=10)
    assert ASKED == [(limits.MAX_PAGE, None), (None, 10)]
    assert "errors" in ask("{ items(first: -1) { id } }").body


def test_pages_in_pages_cost_their_product(ask: Any) -> None:
    assert ask("{ items(first: 1000) { items(first: 100) { id } } }").status == 200
    found = ask("query Q($n: Int) { items(first: $n) { items(first: $n) { id } } }", n=1000)
    assert found.status == 413
    assert "smaller pages" in found.body["errors"][0]["message"]


@pytest.mark.parametrize(
    "text",
    [
        "{ " + " ".join(f"a{number}: viewer" for number in range(limits.MAX_ALIASES + 1)) + " }",
        "{ items " + "{ items " * limits.MAX_DEPTH + "{ id }" + " }" * (limits.MAX_DEPTH + 1),
        "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }",
        "{ ...F0 } " + " ".join(
            f"fragment F{number} on Query {{ ...F{number + 1} ...F{number + 1} }}" for number in range(20)
        ) + " fragment F20 on Query { viewer }",
        "{ " + "viewer " * (limits.MAX_TOKENS + 1) + "}",
        "{ " + "viewer " * (limits.MAX_FIELDS - 1) + "}",
        "{" * 5000,
        "# " + "x" * limits.MAX_TEXT,
    ],
    ids=["aliases", "depth", "circle", "doubling", "tokens", "comparisons", "braces", "bytes"],
)  # fmt: skip
def test_a_document_over_a_limit_is_refused(ask: Any, text: str) -> None:
    found = ask(text)
    assert found.status in {200, 413}
    assert "data" not in found.body


@given(st.text(max_size=60))
def test_no_text_breaks_it(made: Engine, context: Context, text: str) -> None:
    """Whatever is sent: an answer with errors, or with data."""
    found = made.answer(Question(text, {}, None), context)
    assert "errors" in found.body or "data" in found.body


def test_the_newest_documents_are_remembered(made: Engine, context: Context) -> None:
    for number in range(engine.REMEMBERED + 10):
        made.answer(Question(f'{{ echo(text: "{number}") }}', {}, None), context)
    assert len(made._prepared) == engine.REMEMBERED
    assert '{ echo(text: "0") }' not in made._prepared
    for number in range(50):
        made.answer(Question(f'{{ echo(text: "{number}{"x" * 50_000}") }}', {}, None), context)
    assert sum(map(len, made._prepared)) == made._text <= engine.REMEMBERED_TEXT


def test_roots_are_closed_to_those_who_may_not_ask(made: Engine, context: Context) -> None:
    """The rule's lists decide, before any resolver is called: echo is in none of them."""
    nobody = Context(context.store, context.signer, context.notifier, None, "http://t")
    pod = Context(context.store, context.signer, context.notifier, Pod("u", "i", "n", "p", "e"), "http://t")
    assert made.answer(Question("{ viewer }", {}, None), nobody).body == {"data": {"viewer": None}}
    assert made.answer(Question("{ echo }", {}, None), nobody).status == 401
    assert made.answer(Question("{ echo }", {}, None), pod).status == 403


def test_a_resolver_without_a_field_is_told() -> None:
    with pytest.raises(ValueError, match=r"Query\.nothing"):
        engine.build(SCHEMA, {"Query.nothing": lambda _parent, _info: None})


def test_all_parts_of_the_schema_fit() -> None:
    """What is served: every resolver has its field, every field its type."""
    engine.load()
