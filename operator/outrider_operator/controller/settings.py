"""Settings of the controller, from flags and, where a flag is not given, from the environment."""

from __future__ import annotations

import argparse
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from outrider_operator.api.base import parse_duration
from outrider_operator.core.certificates import service_names
from outrider_operator.core.injection_config import ENV_CONFIG, ConfigError, InjectionConfig, from_env
from outrider_operator.core.retention import Retention
from outrider_operator.kube.credentials import SERVICE_ACCOUNT, ConfigurationError

ENV_PREFIX: Final = "OUTRIDER_"
_LEVELS: Final = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings; see ``outrider-operator controller --help`` for what each means."""

    namespace: str
    identity: str
    kubeconfig: str = ""
    lease: str = "outrider-controller"
    watch: tuple[str, ...] = ()
    tracker_url: str = ""
    tracker_ca: str = ""
    tracker_token_file: Path | None = None
    public_url: str = ""
    certificates: str = ""
    ca_secret: str = ""
    webhook_configuration: str = ""
    webhook_names: tuple[str, ...] = ()
    tracker_names: tuple[str, ...] = ()
    injection: InjectionConfig | None = None
    retention: Retention = field(default_factory=Retention)
    listen: tuple[str, int] = ("", 8081)
    log_level: str = "info"
    json_logs: bool = False


def parser(env: Mapping[str, str]) -> argparse.ArgumentParser:
    """The command line; each flag's default is its environment variable."""
    made = argparse.ArgumentParser(prog="outrider-operator controller", description=__doc__)

    def flag(name: str, default: str, text: str) -> None:
        variable = ENV_PREFIX + name.strip("-").upper().replace("-", "_")
        made.add_argument(name, default=env.get(variable, default), metavar="VALUE", help=f"{text} (${variable})")

    flag("--namespace", env.get("POD_NAMESPACE", ""), "our own namespace: Lease and certificates; else the pod's")
    flag("--identity", env.get("POD_NAME", ""), "name in the Lease; else the host's name and process")
    flag("--kubeconfig", "", "kubeconfig to use; else $KUBECONFIG, else the pod's service account")
    flag("--lease", "outrider-controller", "name of the Lease")
    flag("--watch-namespaces", "", "comma separated namespaces to watch; empty: all")
    flag("--tracker-url", "", "https://host:port of the tracker; empty: works from Kubernetes alone")
    flag("--ca", "", "PEM text of the CAs that the tracker's certificate may be signed by")
    flag("--ca-file", "", "file with them")
    flag("--token-file", "/var/run/secrets/outrider/token", "file with the token for the tracker")
    flag("--public-url", "", "address at which people open the tracker; else its own")
    flag("--certificates", "", "Secret of the CAs to trust and the certificates; empty: they are not made here")
    flag("--ca-secret", "", "Secret of our CA's key, which nobody else may read")
    flag("--webhook-configuration", "", "MutatingWebhookConfiguration that is to trust our CA")
    flag("--webhook-service", "", "Service of the webhook, for its certificate")
    flag("--tracker-service", "", "Service of the tracker, for its certificate")
    flag("--tracker-names", "", "further comma separated DNS names of the tracker's certificate")
    flag("--ttl-auto", "24h", "how long finished Runs that were made for found workloads stay")
    flag("--ttl-written", "168h", "how long other finished Runs stay that say nothing themselves")
    flag("--finished-limit", "200", "finished Runs made for found workloads that a namespace keeps at most")
    flag("--listen", ":8081", "address of /healthz, /readyz and /metrics")
    flag("--log-level", "info", f"one of {', '.join(_LEVELS)}")
    flag("--log-format", "json" if env.get("KUBERNETES_SERVICE_HOST") else "text", "text or json")
    return made


def _pod_namespace() -> str:
    """Namespace of the pod that this runs in; empty outside a pod."""
    path = SERVICE_ACCOUNT / "namespace"
    return path.read_text(encoding="utf-8").strip() if path.exists() else ""


def _seconds(flag: str, text: str) -> float:
    try:
        return float(parse_duration(text))
    except ValueError as error:
        raise ConfigurationError(f"{flag}: {error}") from error


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port.isdigit() or not 0 <= int(port) <= 65535:
        raise ConfigurationError(f"--listen={text!r} must be HOST:PORT or :PORT")
    return host.strip("[]"), int(port)


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"--ca-file={path}: {error}") from error


def read(argv: Sequence[str], env: Mapping[str, str] = os.environ) -> Settings:
    """Settings of this process.

    Raises:
        ConfigurationError: one is missing or cannot be understood; the text names it.

    """
    given = parser(env).parse_args(argv)
    injection = None
    if env.get(ENV_CONFIG):
        try:
            injection = from_env(env)
        except ConfigError as error:
            raise ConfigurationError(f"{ENV_CONFIG}: {error}") from error
    if not given.finished_limit.isdigit():
        raise ConfigurationError(f"--finished-limit={given.finished_limit!r} must be a whole number")
    if given.log_level not in _LEVELS:
        raise ConfigurationError(f"--log-level={given.log_level!r} must be one of {', '.join(_LEVELS)}")
    if given.certificates and given.ca_secret in {"", given.certificates}:
        raise ConfigurationError("--ca-secret must name a Secret of its own for our CA's key, beside --certificates")
    namespace = given.namespace or _pod_namespace()
    token = Path(given.token_file) if given.token_file else None
    return Settings(
        namespace=namespace,
        identity=given.identity or f"{socket.gethostname()}-{os.getpid()}",
        kubeconfig=given.kubeconfig,
        lease=given.lease,
        watch=_names(given.watch_namespaces),
        tracker_url=given.tracker_url,
        tracker_ca=given.ca or (_text(given.ca_file) if given.ca_file else ""),
        tracker_token_file=token,
        public_url=given.public_url,
        certificates=given.certificates,
        ca_secret=given.ca_secret,
        webhook_configuration=given.webhook_configuration,
        webhook_names=service_names(given.webhook_service, namespace) if given.webhook_service else (),
        tracker_names=(
            *(service_names(given.tracker_service, namespace) if given.tracker_service else ()),
            *_names(given.tracker_names),
        ),
        injection=injection,
        retention=Retention(
            auto_ttl=_seconds("--ttl-auto", given.ttl_auto),
            written_ttl=_seconds("--ttl-written", given.ttl_written),
            finished_limit=int(given.finished_limit),
        ),
        listen=_address(given.listen),
        log_level=given.log_level,
        json_logs=given.log_format == "json",
    )
