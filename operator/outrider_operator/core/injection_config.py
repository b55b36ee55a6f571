"""What the administrator decides about injection: read once, frozen, the same in the webhook and the controller."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from outrider_operator import __version__
from outrider_operator.api.base import parse_duration
from outrider_operator.api.states import Capture
from outrider_operator.core.quantity import Quantity, parse_quantity

ENV_CONFIG: Final = "OUTRIDER_INJECTION"  # the JSON object that `from_env` reads
Resources = Mapping[str, Mapping[str, str]]

_GUARANTEED: Final = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "100m", "memory": "128Mi"}}
_BURSTABLE: Final = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}}


class ConfigError(ValueError):
    """A setting is missing or cannot be understood; the text names it and says what it must be."""


@dataclass(frozen=True, slots=True)
class InjectionConfig:
    """Settings of injection. The JSON form has the same names in camelCase."""

    tracker_url: str
    """https://host:port of the tracker, as pods reach it."""
    image: str
    """The sidecar's image."""
    ca: str | None = None
    """PEM text of the CAs that the tracker's certificate may be signed by; empty: the image's own bundle; absent: our
    own CA, from the Secret that the controller fills."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    """Names of pull secrets in the training namespaces."""
    guaranteed: Resources = field(default_factory=lambda: _GUARANTEED)
    """The sidecar's resources in pods of class Guaranteed; requests and limits must be equal."""
    burstable: Resources = field(default_factory=lambda: _BURSTABLE)
    """The sidecar's resources in pods of class Burstable."""
    best_effort: Resources = field(default_factory=dict)
    """The sidecar's resources in pods of class BestEffort; any makes them Burstable, so none by default."""
    spool_limit: int = 1 << 30
    """Bytes that may wait on a pod's volume; less where the pod limits its ephemeral storage."""
    metrics_interval: int = 10
    """Seconds between two samples, where the pod says nothing."""
    linger: int = 0
    """Seconds to wait at the end for a tracker that is away, where the pod says nothing."""
    capture: Capture = Capture.AUTO
    """How output is captured, where the pod says nothing."""
    version: str = __version__

    def __post_init__(self) -> None:
        """Refuse what would make every injected pod invalid. Raises ConfigError."""
        parts = urlsplit(self.tracker_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path not in {"", "/"} or parts.query:
            raise ConfigError(f"trackerUrl={self.tracker_url!r} must be https://host:port, without a path")
        if not self.image or re.search(r"\s", self.image):
            raise ConfigError(f"image={self.image!r} must be the name of the sidecar's image")
        for name in ("guaranteed", "burstable", "best_effort"):
            _check_resources(name, getattr(self, name))
        if _quantities(self.guaranteed, "requests") != _quantities(self.guaranteed, "limits"):
            raise ConfigError("guaranteed: requests and limits must be equal, or the pods lose their class")
        if not {"cpu", "memory"} <= self.guaranteed.get("limits", {}).keys():
            raise ConfigError("guaranteed: cpu and memory must both be set, or the pods lose their class")

    def with_ca(self, bundle: str) -> InjectionConfig:
        """The same settings with another bundle of CAs."""
        return replace(self, ca=bundle)


def from_env(env: Mapping[str, str]) -> InjectionConfig:
    """Settings from the JSON object in ``OUTRIDER_INJECTION``. Raises ConfigError."""
    text = env.get(ENV_CONFIG, "")
    if not text:
        raise ConfigError(f'{ENV_CONFIG} is not set: it must be a JSON object with at least "trackerUrl" and "image"')
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{ENV_CONFIG} must be a JSON object: {error}") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{ENV_CONFIG} must be a JSON object, not {text[:60]!r}")
    return from_json(value)


def from_json(value: Mapping[str, Any]) -> InjectionConfig:
    """Settings from their JSON form. Raises ConfigError for a name that is unknown or a value that is none."""
    known = {_camel(item.name): item.name for item in fields(InjectionConfig) if item.name != "version"}
    unknown = value.keys() - known.keys()
    if unknown:
        raise ConfigError(f"unknown settings {sorted(unknown)}; known are {sorted(known)}")
    settings: dict[str, Any] = {known[key]: item for key, item in value.items()}
    missing = {"tracker_url", "image"} - settings.keys()
    if missing:
        raise ConfigError(f"missing settings {sorted(_camel(name) for name in missing)}")
    try:
        for name in ("metrics_interval", "linger"):
            if isinstance(settings.get(name), str):
                settings[name] = parse_duration(settings[name])
        if isinstance(settings.get("spool_limit"), str):
            settings["spool_limit"] = int(parse_quantity(settings["spool_limit"]))
        if "capture" in settings:
            settings["capture"] = Capture(settings["capture"])
    except ValueError as error:
        raise ConfigError(str(error)) from error
    settings["image_pull_secrets"] = tuple(settings.get("image_pull_secrets", ()))
    return InjectionConfig(**settings)


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def _quantities(resources: Resources, which: str) -> dict[str, Quantity]:
    return {name: parse_quantity(text) for name, text in resources.get(which, {}).items()}


def _check_resources(name: str, resources: Resources) -> None:
    if resources.keys() - {"requests", "limits"}:
        raise ConfigError(f"{name} may have requests and limits, not {sorted(resources)}")
    for which in ("requests", "limits"):
        try:
            _quantities(resources, which)
        except ValueError as error:
            raise ConfigError(f"{name}.{which}: {error}") from error
