"""Projected service-account tokens as a cluster makes them, with keys of our own."""

from __future__ import annotations

import json
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

ISSUER = "https://kubernetes.default.svc.cluster.local"
CONTROLLER = "system:serviceaccount:outrider:operator"


class Cluster:
    """An issuer with an ES256 and an RS256 key."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {
            "es": ec.generate_private_key(ec.SECP256R1()),
            "rs": rsa.generate_private_key(65537, 2048),
        }

    def jwks(self) -> str:
        """The document of /openid/v1/jwks."""
        found = []
        for kid, key in self.keys.items():
            algorithm: Any = jwt.algorithms.ECAlgorithm if kid == "es" else jwt.algorithms.RSAAlgorithm
            public = json.loads(algorithm.to_jwk(key.public_key()))
            found.append({**public, "kid": kid, "alg": "ES256" if kid == "es" else "RS256", "use": "sig"})
        return json.dumps({"keys": found})

    def token(self, uid: str | None, namespace: str = "ml", kid: str = "es", **changes: Any) -> str:
        """A pod's token; `uid` None gives one that is bound to no pod. `changes` replace claims, None removes one."""
        now = int(time.time())
        bound: dict[str, Any] = {"namespace": namespace, "serviceaccount": {"name": "default", "uid": "sa"}}
        if uid is not None:
            bound["pod"] = {"name": f"pod-{uid}", "uid": uid}
        claims = {
            "iss": ISSUER,
            "aud": ["outrider"],
            "sub": f"system:serviceaccount:{namespace}:default",
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
            "jti": "x",
            "kubernetes.io": bound,
            **changes,
        }
        claims = {key: value for key, value in claims.items() if value is not None}
        algorithm = "RS256" if kid == "rs" else "ES256"
        return jwt.encode(claims, self.keys[kid], algorithm=algorithm, headers={"kid": kid})
