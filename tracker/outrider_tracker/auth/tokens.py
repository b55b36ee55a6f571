"""Projected service-account tokens, verified offline: signature, issuer, audience, times, and the pod they name."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import jwt

from outrider_sidecar.contract import AUDIENCE
from outrider_tracker.auth.entities import EntityMap
from outrider_tracker.auth.jwks import KeySet
from outrider_tracker.core.principals import Controller, Pod

ALGORITHMS: Final = ("RS256", "ES256")
MAX_TOKEN: Final = 16 << 10
LEEWAY_SECONDS: Final = 10
REMEMBERED: Final = 20_000


class InvalidTokenError(Exception):
    """The token does not verify, or is none of a pod."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster whose tokens are accepted; `controller` is the subject of its operator."""

    issuer: str
    keys: KeySet
    controller: str | None


def issuer_of(own_token: str) -> str:
    """Who issued a token that this process was given by its own cluster, and so need not verify.

    ValueError: it is no service-account token.
    """
    try:
        claims: dict[str, Any] = jwt.decode(own_token, options={"verify_signature": False})
    except jwt.PyJWTError as error:
        raise ValueError(f"the tracker's own token names no issuer: {error}; give --issuer") from None
    if not isinstance(claims.get("iss"), str):
        raise ValueError("the tracker's own token names no issuer; give --issuer")
    return str(claims["iss"])


class TokenVerifier:
    """Verifies once and remembers until the token expires (a sidecar shows the same token for most of an hour)."""

    def __init__(self, cluster: Cluster, entities: EntityMap, clock: Callable[[], float] = time.time) -> None:
        self._cluster = cluster
        self._entities = entities
        self._clock = clock
        self._known: OrderedDict[bytes, tuple[float, Pod | Controller]] = OrderedDict()

    def remembered(self, token: str) -> Pod | Controller | None:
        """Whom the token is known to name; None: it has to be verified."""
        found = self._known.get(hashlib.sha256(token.encode()).digest())
        return found[1] if found is not None and self._clock() < found[0] else None

    def verify(self, token: str) -> Pod | Controller:
        """Whom the token names. InvalidTokenError, or KeysUnavailableError where that cannot be told now."""
        if len(token) > MAX_TOKEN:
            raise InvalidTokenError("the token is too long")
        try:
            header = jwt.get_unverified_header(token)
            key = self._cluster.keys.key(str(header.get("kid")))
            if key is None:
                raise InvalidTokenError("the token is signed with a key that the cluster does not have")
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=list(ALGORITHMS),
                audience=AUDIENCE,
                issuer=self._cluster.issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise InvalidTokenError(f"the token does not verify: {error}") from None
        principal = self._principal(claims)
        self._remember(token, float(claims["exp"]), principal)
        return principal

    def _principal(self, claims: dict[str, Any]) -> Pod | Controller:
        subject = str(claims["sub"])
        if self._cluster.controller is not None and subject == self._cluster.controller:
            return Controller(subject)
        bound = claims.get("kubernetes.io")
        pod = bound.get("pod") if isinstance(bound, dict) else None
        namespace = bound.get("namespace") if isinstance(bound, dict) else None
        if not isinstance(pod, dict) or not isinstance(pod.get("uid"), str) or not isinstance(namespace, str):
            raise InvalidTokenError("the token is bound to no pod: use a projected token of the pod itself")
        return Pod(
            uid=pod["uid"],
            issuer=self._cluster.issuer,
            namespace=namespace,
            name=str(pod.get("name", "")),
            entity=self._entities.entity(self._cluster.issuer, namespace),
        )

    def _remember(self, token: str, expires: float, principal: Pod | Controller) -> None:
        self._known[hashlib.sha256(token.encode()).digest()] = (expires, principal)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
