"""What the collector was told: environment variables -> one frozen value, or a sentence that says what is wrong."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from outrider_sidecar import contract

DEFAULT_SPOOL_LIMIT: Final = 1 << 30
DEFAULT_METRICS_INTERVAL: Final = 10.0
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})

# (variable, meaning, default) of everything that `run` reads; `--help` prints it.
VARIABLES: Final = (
    (contract.ENV_DIR, "folder of the shared volume", contract.MOUNT_PATH),
    (contract.ENV_TRACKER_URL, "tracker, https://host:port without a path (http only on loopback)", "required"),
    (contract.ENV_CA, "PEM text of the CAs that may have signed the tracker's certificate", "the system's CAs"),
    (
        contract.ENV_TOKEN_FILE,
        "file with the bearer token; read anew for each request",
        contract.TOKEN_MOUNT + "/token",
    ),
    (contract.ENV_POD_UID, "the source that this collector speaks for", "required"),
    (contract.ENV_POD_NAME, "name of the pod, for people", "empty"),
    (contract.ENV_NAMESPACE, "namespace of the pod, for people", "empty"),
    (contract.ENV_NODE_NAME, "node of the pod, for people", "empty"),
    (contract.ENV_OWNER, "JSON object: owner of the pod as the webhook saw it", "{}"),
    (contract.ENV_CONTAINERS, 'JSON list of {"name", "capture", "workingDir"?, "mounts": [{"path", "at"}]}', "[]"),
    (contract.ENV_FILES, 'JSON list of {"path": glob, "policy": "live" | "end"}', "[]"),
    (contract.ENV_LINGER, "seconds to wait at the end for a tracker that is away, while bytes are unsent", "0"),
    (contract.ENV_METRICS_INTERVAL, "seconds between two samples", "10"),
    (contract.ENV_SPOOL_LIMIT, "bytes that may wait on the volume before data is shed and counted", "1073741824"),
    (contract.ENV_TERMINATION_LOG, "where the last words go", "/dev/termination-log"),
)


class ConfigError(ValueError):
    """An environment variable is missing or cannot be understood; the text names it and says what it must be."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A volume of the trainer: `path` is where the trainer sees it, `at` where the collector does."""

    path: str
    at: str


@dataclass(frozen=True, slots=True)
class TrainerContainer:
    """One trainer container as the webhook described it."""

    name: str
    working_dir: str | None = None
    mounts: tuple[Mount, ...] = ()


@dataclass(frozen=True, slots=True)
class FileRule:
    """Files to keep: a glob, relative to the container's working directory, and when to take what it matches."""

    path: str
    policy: str


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that `run` needs. Durations in seconds, sizes in bytes."""

    directory: str
    tracker_url: str
    source: str
    token_file: str
    ca: str | None = None
    pod: Mapping[str, str] | None = None
    owner: Mapping[str, Any] | None = None
    containers: tuple[TrainerContainer, ...] = ()
    files: tuple[FileRule, ...] = ()
    linger: float = 0.0
    metrics_interval: float = DEFAULT_METRICS_INTERVAL
    spool_limit: int = DEFAULT_SPOOL_LIMIT
    termination_log: str = "/dev/termination-log"


def from_env(env: Mapping[str, str]) -> Config:
    """Read the `OUTRIDER_*` variables. Raises ConfigError with the name of the variable that is wrong."""
    return Config(
        directory=env.get(contract.ENV_DIR) or contract.MOUNT_PATH,
        tracker_url=_url(env),
        source=_source(env),
        token_file=env.get(contract.ENV_TOKEN_FILE) or contract.TOKEN_MOUNT + "/token",
        ca=env.get(contract.ENV_CA, "").strip() or None,
        pod={
            "namespace": env.get(contract.ENV_NAMESPACE, ""),
            "name": env.get(contract.ENV_POD_NAME, ""),
            "node": env.get(contract.ENV_NODE_NAME, ""),
        },
        owner=_json(env, contract.ENV_OWNER, dict, "a JSON object") or {},
        containers=tuple(_container(item) for item in _json(env, contract.ENV_CONTAINERS, list, "a JSON list") or []),
        files=tuple(_file_rule(item) for item in _json(env, contract.ENV_FILES, list, "a JSON list") or []),
        linger=_number(env, contract.ENV_LINGER, 0.0, least=0.0),
        metrics_interval=_number(env, contract.ENV_METRICS_INTERVAL, DEFAULT_METRICS_INTERVAL, least=0.1),
        spool_limit=int(_number(env, contract.ENV_SPOOL_LIMIT, float(DEFAULT_SPOOL_LIMIT), least=1.0)),
        termination_log=env.get(contract.ENV_TERMINATION_LOG) or "/dev/termination-log",
    )


def _required(env: Mapping[str, str], name: str, what: str) -> str:
    value = env.get(name, "").strip()
    if not value:
        raise ConfigError(f"{name} is not set: it must be {what}")
    return value


def _url(env: Mapping[str, str]) -> str:
    name = contract.ENV_TRACKER_URL
    value = _required(env, name, "the tracker's address, https://host:port").rstrip("/")
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"{name}={value!r} is no address: {error}") from error
    if parts.scheme not in {"http", "https"} or not host or parts.path or parts.query or parts.username:
        raise ConfigError(f"{name}={value!r} must be https://host:port, without path, query or user")
    if parts.scheme == "http" and host not in LOOPBACK:
        raise ConfigError(f"{name}={value!r} would carry the token in clear text: use https (http only on loopback)")
    return value


def _source(env: Mapping[str, str]) -> str:
    name = contract.ENV_POD_UID
    value = _required(env, name, "the pod's UID (metadata.uid by the downward API)")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", value):
        raise ConfigError(f"{name}={value!r} must be letters, digits, '.', '_' or '-', at most 128")
    return value


def _number(env: Mapping[str, str], name: str, default: float, *, least: float) -> float:
    text = env.get(name, "").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < least:
        raise ConfigError(f"{name}={text!r} must be a number of at least {least:g}")
    return value


def _json(env: Mapping[str, str], name: str, kind: type, what: str) -> Any:
    text = env.get(name, "").strip()
    if not text:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{name} must be {what}: {error}") from error
    if not isinstance(value, kind):
        raise ConfigError(f"{name} must be {what}, not {text[:60]!r}")
    return value


def _container(item: object) -> TrainerContainer:
    name = contract.ENV_CONTAINERS
    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        raise ConfigError(f'{name}: each item must be an object with "name", not {str(item)[:60]!r}')
    working_dir, mounts = item.get("workingDir"), item.get("mounts") or []
    if working_dir is not None and not isinstance(working_dir, str):
        raise ConfigError(f"{name}: workingDir of container {item['name']} must be a string")
    if not isinstance(mounts, list):
        raise ConfigError(f"{name}: mounts of container {item['name']} must be a list")
    return TrainerContainer(item["name"], working_dir or None, tuple(_mount(item["name"], mount) for mount in mounts))


def _mount(container: str, item: object) -> Mount:
    match item:
        case {"path": str(path), "at": str(at)} if path.startswith("/") and at.startswith("/"):
            return Mount(path.rstrip("/") or "/", at)
    raise ConfigError(
        f'{contract.ENV_CONTAINERS}: a mount of container {container} must be {{"path", "at"}}, both absolute, '
        f"not {str(item)[:80]!r}"
    )


def _file_rule(item: object) -> FileRule:
    match item:
        case {"path": str(path), "policy": "live" | "end" as policy} if path:
            return FileRule(path, policy)
    raise ConfigError(
        f'{contract.ENV_FILES}: each item must be {{"path": glob, "policy": "live" | "end"}}, not {str(item)[:80]!r}'
    )
