"""From the Authorization header to a principal."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from typing import Final

from starlette.requests import Request

from outrider_sidecar import contract
from outrider_tracker.auth.credentials import secret_of
from outrider_tracker.auth.jwks import KeysUnavailableError
from outrider_tracker.auth.tokens import InvalidTokenError, TokenVerifier
from outrider_tracker.core.errors import RefusedError
from outrider_tracker.core.principals import Person, Pod, Principal
from outrider_tracker.core.rules import Action, Target, may
from outrider_tracker.pool import call_as, call_by_secret
from outrider_tracker.store.people import SqlitePeople

_TOKEN_DOTS: Final = 2  # header.payload.signature; API keys have none
_RETRY_SECONDS: Final = 2  # until the controller has joined a young pod


class Gate:
    """Knows everybody. `tokens` is None where no cluster is configured: then only API keys are known."""

    def __init__(self, people: SqlitePeople, tokens: TokenVerifier | None, pool: Executor) -> None:
        self._people = people
        self._tokens = tokens
        self._pool = pool

    async def principal(self, request: Request) -> Principal:
        """Who sent the request, whose work the pools do from here on. RefusedError: unauthenticated (401), unavailable
        (503, never 401).
        """
        found = await self._known(request)
        if isinstance(found, Pod):
            call_as(found.entity, found.entity)
        elif isinstance(found, Person):
            call_as(found.name, found.default_entity)
        else:
            call_as(found.subject, "")
        return found

    async def _known(self, request: Request) -> Principal:
        secret = secret_of(request.headers.get("authorization", ""))
        if secret is None:
            raise RefusedError(
                contract.ERROR_UNAUTHENTICATED,
                "send Authorization: Bearer <token or API key>, or Basic with user api and the key as password",
            )
        if self._tokens is not None:
            known = self._tokens.remembered(secret)
            if known is not None:
                return known
        call_by_secret(secret)
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._look_up, secret)

    async def visitor(self, request: Request) -> Principal | None:
        """Who asks at W&B's door; None: no credentials at all. Pods know their place. RefusedError as above."""
        if "authorization" not in request.headers:
            return None
        found = await self.principal(request)
        if not isinstance(found, Pod):
            return found
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._people.placed, found)

    def _look_up(self, secret: str) -> Principal:
        if secret.count(".") == _TOKEN_DOTS:
            return self._by_token(secret)
        person = self._people.authenticate_key(secret)
        if person is None:
            raise RefusedError(
                contract.ERROR_UNAUTHENTICATED, "this API key is not known here, or its user is disabled"
            )
        return person

    def _by_token(self, secret: str) -> Principal:
        if self._tokens is None:
            raise RefusedError(
                contract.ERROR_UNAUTHENTICATED,
                "this tracker knows no cluster: start it with --issuer and --jwks to accept pods' tokens",
            )
        try:
            return self._tokens.verify(secret)
        except InvalidTokenError as error:
            raise RefusedError(contract.ERROR_UNAUTHENTICATED, str(error)) from None
        except KeysUnavailableError as error:
            raise RefusedError(
                contract.ERROR_UNAVAILABLE, f"the token cannot be checked now: {error}", retry_after=5
            ) from None


def demand(principal: Principal | None, action: Action, target: Target) -> None:
    """RefusedError unless the rules allow it: forbidden; for nobody unauthenticated; for a young pod unavailable."""
    if may(principal, action, target):
        return
    if principal is None:
        raise RefusedError(contract.ERROR_UNAUTHENTICATED, "nobody is logged in: send an API key")
    young = isinstance(principal, Pod) and principal.place is None and principal.entity == target.entity
    if young and action in {Action.READ, Action.WRITE}:
        raise RefusedError(
            contract.ERROR_UNAVAILABLE,
            f"{_named(principal)} is not joined to a Run yet: the controller does so within seconds, try again",
            retry_after=_RETRY_SECONDS,
        )
    # A project that is hidden from who asks reads like one that is not there.
    seen = may(principal, Action.READ, target)
    raise RefusedError(contract.ERROR_FORBIDDEN, f"{_named(principal)} may not {action.value} {_what(target, seen)}")


def _what(target: Target, seen: bool) -> str:
    if target.source:
        return f"source {target.source}"
    if target.project is not None and seen:
        return f"{'this run of ' if target.run is not None else ''}project {target.entity}/{target.project.name}"
    return f"entity {target.entity}" if target.entity else "the tracker"


def _named(principal: Principal) -> str:
    """Who was refused, as the person who reads the sentence knows it."""
    if isinstance(principal, Pod):
        return f"the token of pod {principal.namespace}/{principal.name} ({principal.uid})"
    return f"user {principal.name}" if isinstance(principal, Person) else principal.subject
