"""From the Authorization header to a principal."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from typing import Final

from starlette.requests import Request

from outrider_sidecar import contract
from outrider_tracker.auth.jwks import KeysUnavailableError
from outrider_tracker.auth.tokens import InvalidTokenError, TokenVerifier
from outrider_tracker.core.errors import RefusedError
from outrider_tracker.core.principals import Person, Pod, Principal
from outrider_tracker.core.rules import Action, Target, may
from outrider_tracker.store.people import SqlitePeople

_TOKEN_DOTS: Final = 2  # header.payload.signature; API keys have none


class Gate:
    """Knows everybody. `tokens` is None where no cluster is configured: then only API keys are known."""

    def __init__(self, people: SqlitePeople, tokens: TokenVerifier | None, pool: Executor) -> None:
        self._people = people
        self._tokens = tokens
        self._pool = pool

    async def principal(self, request: Request) -> Principal:
        """Who sent the request. RefusedError: unauthenticated (401), unavailable (503, never 401)."""
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        secret = secret.strip()
        if scheme.lower() != "bearer" or not secret:
            raise RefusedError(contract.ERROR_UNAUTHENTICATED, "send Authorization: Bearer <token or API key>")
        if self._tokens is not None:
            known = self._tokens.remembered(secret)
            if known is not None:
                return known
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._look_up, secret)

    def _look_up(self, secret: str) -> Principal:
        if secret.count(".") == _TOKEN_DOTS:
            return self._by_token(secret)
        person = self._people.authenticate_key(secret)
        if person is None:
            raise RefusedError(contract.ERROR_UNAUTHENTICATED, "this API key is not known here")
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


def demand(principal: Principal, action: Action, target: Target) -> None:
    """RefusedError (forbidden) unless the rules allow it."""
    if not may(principal, action, target):
        what = (
            f"source {target.source}"
            if target.source
            else f"entity {target.entity}"
            if target.entity
            else "the tracker"
        )
        raise RefusedError(contract.ERROR_FORBIDDEN, f"{_named(principal)} may not {action.value} {what}")


def _named(principal: Principal) -> str:
    """Who was refused, as the person who reads the sentence knows it."""
    if isinstance(principal, Pod):
        return f"the token of pod {principal.namespace}/{principal.name} ({principal.uid})"
    return f"user {principal.name}" if isinstance(principal, Person) else principal.subject
