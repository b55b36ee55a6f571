"""Where the API server is and how to speak to it, from inside a pod."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class NotInClusterError(RuntimeError):
    """The process does not run in a pod with a service account's token."""


@dataclass(frozen=True, slots=True)
class ApiAddress:
    """The API server's address and credentials."""

    url: str
    """https://host:port, no path."""
    ssl: ssl.SSLContext
    token_file: Path | None
    """Read anew for each request: the kubelet replaces the token before it expires."""

    def headers(self) -> dict[str, str]:
        """Headers of one request. Raises OSError where the token cannot be read."""
        if self.token_file is None:
            return {}
        return {"Authorization": f"Bearer {self.token_file.read_text().strip()}"}


def in_cluster(env: Mapping[str, str], mount: Path = MOUNT) -> ApiAddress:
    """The address from a pod's environment and mounted token.

    Raises:
        NotInClusterError: there is neither; says what is missing.

    """
    host, port = env.get("KUBERNETES_SERVICE_HOST"), env.get("KUBERNETES_SERVICE_PORT")
    if not host or not port or not (mount / "token").exists():
        raise NotInClusterError(
            "this process is not in a pod with a service account: KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT "
            f"and {mount}/token are needed"
        )
    context = ssl.create_default_context(cafile=str(mount / "ca.crt"))
    # Python 3.13 refuses certificates without key identifiers, which the authorities of many clusters leave out.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    bracketed = f"[{host}]" if ":" in host else host
    return ApiAddress(f"https://{bracketed}:{port}", context, mount / "token")


def own_namespace(mount: Path = MOUNT) -> str:
    """The namespace of this pod. Raises OSError outside a pod."""
    return (mount / "namespace").read_text().strip()
