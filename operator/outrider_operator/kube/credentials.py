"""Where the API server is and who we are there: a pod's service account, or a kubeconfig."""

from __future__ import annotations

import base64
import os
import ssl
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TOKEN_KEPT: Final = 60.0  # seconds; the kubelet writes a new token long before the old one ends


class ConfigurationError(Exception):
    """A setting is missing or wrong; the message says which and what to do."""


@dataclass
class Credentials:
    """A server and a way to prove who we are. PEM texts, not paths, but for the token that is renewed in place."""

    server: str
    ca: str = ""
    token: str = ""
    token_file: Path | None = None
    certificate: str = ""
    key: str = ""
    namespace: str = "default"
    insecure: bool = False
    _read: tuple[float, str] = field(default=(0.0, ""), repr=False)

    def bearer(self) -> str:
        """The token to send now; empty where a client certificate is used."""
        if self.token_file is None:
            return self.token
        at, token = self._read
        if not token or time.monotonic() - at > TOKEN_KEPT:
            token = self.token_file.read_text(encoding="utf-8").strip()
            self._read = (time.monotonic(), token)
        return token

    def ssl_context(self) -> ssl.SSLContext | None:
        """TLS settings; None for a plain http server (a test double or ``kubectl proxy``)."""
        if not self.server.startswith("https://"):
            return None
        context = ssl.create_default_context(cadata=self.ca or None)
        # Python 3.13 refuses certificates without key identifiers, which the authorities of many clusters leave out.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.certificate and self.key:
            # The ssl module reads certificates from files only.
            with tempfile.NamedTemporaryFile("w") as pem:
                pem.write(self.certificate + "\n" + self.key)
                pem.flush()
                context.load_cert_chain(pem.name)
        return context


def in_cluster(env: Mapping[str, str] = os.environ, folder: Path = SERVICE_ACCOUNT) -> Credentials:
    """Those of this pod's service account.

    Raises:
        ConfigurationError: this is no pod, or its token is not mounted.

    """
    host, port = env.get("KUBERNETES_SERVICE_HOST"), env.get("KUBERNETES_SERVICE_PORT", "443")
    if not host or not (folder / "token").exists():
        raise ConfigurationError(
            "no API server: this is no pod with a mounted service account token; set KUBECONFIG or --kubeconfig"
        )
    host = f"[{host}]" if ":" in host else host
    namespace = folder / "namespace"
    return Credentials(
        server=f"https://{host}:{port}",
        ca=(folder / "ca.crt").read_text(encoding="utf-8"),
        token_file=folder / "token",
        namespace=namespace.read_text(encoding="utf-8").strip() if namespace.exists() else "default",
    )


def _text(entry: Mapping[str, Any], key: str, folder: Path) -> str:
    """The PEM text of ``<key>-data`` (base64) or of the file that ``<key>`` names."""
    if entry.get(f"{key}-data"):
        return base64.b64decode(entry[f"{key}-data"]).decode()
    if entry.get(key):
        return (folder / str(entry[key])).read_text(encoding="utf-8")
    return ""


def _named(document: Mapping[str, Any], kind: str, name: str) -> Mapping[str, Any]:
    for item in document.get(f"{kind}s") or ():
        if item.get("name") == name:
            return item.get(kind) or {}
    raise ConfigurationError(f"the kubeconfig names the {kind} {name!r} but does not describe it")


def from_kubeconfig(path: Path) -> Credentials:
    """Those of the current context of a kubeconfig (token, token file or client certificate; no exec plug-ins).

    Raises:
        ConfigurationError: the file cannot be used; the message says why.

    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError) as error:
        raise ConfigurationError(f"kubeconfig {path} cannot be read: {error}") from error
    context = _named(document, "context", str(document.get("current-context") or ""))
    cluster = _named(document, "cluster", str(context.get("cluster") or ""))
    user = _named(document, "user", str(context.get("user") or "")) if context.get("user") else {}
    if "exec" in user or "auth-provider" in user:
        raise ConfigurationError(f"kubeconfig {path} uses a login plug-in; use a token or a client certificate")
    return Credentials(
        server=str(cluster.get("server") or ""),
        ca=_text(cluster, "certificate-authority", path.parent),
        token=str(user.get("token") or ""),
        token_file=path.parent / str(user["tokenFile"]) if user.get("tokenFile") else None,
        certificate=_text(user, "client-certificate", path.parent),
        key=_text(user, "client-key", path.parent),
        namespace=str(context.get("namespace") or "default"),
        insecure=bool(cluster.get("insecure-skip-tls-verify")),
    )


def find(kubeconfig: str = "", env: Mapping[str, str] = os.environ) -> Credentials:
    """A named kubeconfig, else $KUBECONFIG, else this pod's service account. Raises ConfigurationError."""
    chosen = kubeconfig or env.get("KUBECONFIG", "")
    return from_kubeconfig(Path(chosen)) if chosen else in_cluster(env)
