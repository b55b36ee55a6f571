"""What a resolver works with: the store, who asks, and how the client reached us."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from outrider_tracker.auth.signing import HmacSigner
from outrider_tracker.core.principals import Principal
from outrider_tracker.notifier import Notifier
from outrider_tracker.pool import waiting
from outrider_tracker.store.store import Store

T = TypeVar("T")

Resolver = Callable[..., Any]
"""`resolve(parent, info, **arguments)`, called in a thread of its own: it may block. `info.context` is a Context.

Each module of `resolvers/` gives its own as `RESOLVERS: Mapping[str, Resolver]`, `"Query.viewer"` to a function. A
field without a resolver is read from its parent by its GraphQL name: from a mapping's item, or an object's attribute.
"""
Resolvers = Mapping[str, Resolver]


@dataclass(frozen=True, slots=True)
class Context:
    """One request. `principal` None: nobody (only `viewer`, `serverInfo` and introspection answer then).

    `base_url`: how the client reached us, without a slash at its end: addresses for uploads and pages begin with it.
    `client`: the writer's id in shared mode, else "". `username`: whom a service account writes for, if it says so.
    """

    store: Store
    signer: HmacSigner
    notifier: Notifier
    principal: Principal | None
    base_url: str
    client: str = ""
    username: str = ""
    tenant: str = ""
    """Whose share of the writer this request takes: an entity."""
    forget_run: Callable[[int], None] = lambda _run: None
    """To be called with a run's row id once a rewind of it is durable: writers must learn of its new branch."""
    check_runs: Callable[[str], None] = lambda _entity: None
    """RefusedError if the entity may not have one run more. Blocking."""

    @property
    def now(self) -> float:
        """Unix seconds by the store's clock."""
        return self.store.clock()

    def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Runs a query on a snapshot of its own: it sees all that was written before."""
        return self.store.readers.read(query)

    def write(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Runs a job in the writer; back when it is durable. A job raises RefusedError to undo only itself."""
        with waiting():
            return self.store.writer.run(job, tenant=self.tenant)
