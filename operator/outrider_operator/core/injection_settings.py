"""What the annotations of a pod ask of the sidecar: parsed, bounded, each refusal a sentence for its author."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from outrider_operator.api.base import parse_duration
from outrider_operator.api.states import Capture, FilePolicy
from outrider_operator.core.injection_config import InjectionConfig
from outrider_sidecar import contract

MAX_LINGER: Final = 3600  # seconds, as in the Run's schema
MAX_INTERVAL: Final = 3600
MAX_FILES: Final = 64
MAX_PATH: Final = 512


class AnnotationError(ValueError):
    """An annotation's value cannot be followed; the text names it and says what it may be."""


@dataclass(frozen=True, slots=True)
class FileRule:
    """Files to keep."""

    path: str
    policy: FilePolicy


@dataclass(frozen=True, slots=True)
class Settings:
    """What the pod asks for."""

    capture: Capture
    containers: tuple[str, ...]
    """Names of the trainer containers; empty: not said."""
    linger: int
    """Seconds."""
    metrics_interval: int
    """Seconds."""
    files: tuple[FileRule, ...]
    notes: tuple[str, ...] = ()
    """Pieces that were left out, and why."""


def parse(annotations: Mapping[str, str], config: InjectionConfig, grace: int) -> Settings:
    """Settings from annotations and, where they say nothing, from the administrator's.

    Args:
        annotations: the pod's.
        config: the administrator's settings.
        grace: seconds between SIGTERM and SIGKILL in this pod; lingering cannot be longer.

    Raises:
        AnnotationError: a value that decides how the pod runs is bad. A bad list of files loses only the files.

    """
    notes = []
    linger = _seconds(annotations, contract.LINGER, config.linger, 0, MAX_LINGER)
    if linger > grace:
        if contract.LINGER in annotations:
            notes.append(f"{contract.LINGER} was cut from {linger}s to the pod's grace period of {grace}s")
        linger = grace
    try:
        files = _files(annotations.get(contract.FILES, ""))
    except AnnotationError as error:
        files = ()
        notes.append(f"no files are kept: {error}")
    return Settings(
        capture=_capture(annotations, config.capture),
        containers=_names(annotations),
        linger=linger,
        metrics_interval=_seconds(annotations, contract.METRICS_INTERVAL, config.metrics_interval, 1, MAX_INTERVAL),
        files=files,
        notes=tuple(notes),
    )


def _capture(annotations: Mapping[str, str], default: Capture) -> Capture:
    text = annotations.get(contract.CAPTURE)
    if text is None:
        return default
    try:
        return Capture(text.strip())
    except ValueError:
        raise AnnotationError(f"{contract.CAPTURE} is {_quote(text)}: it must be {', '.join(Capture)}") from None


def _names(annotations: Mapping[str, str]) -> tuple[str, ...]:
    text = annotations.get(contract.CONTAINER)
    if text is None:
        return ()
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise AnnotationError(f"{contract.CONTAINER} is empty: it must name the pod's trainer containers")
    return names


def _seconds(annotations: Mapping[str, str], key: str, default: int, least: int, most: int) -> int:
    text = annotations.get(key)
    if text is None:
        return default
    try:
        seconds = parse_duration(text.strip())
    except ValueError:
        raise AnnotationError(f"{key} is {_quote(text)}: it must be a duration such as 30s, 10m or 1h30m") from None
    if not least <= seconds <= most:
        raise AnnotationError(f"{key} is {_quote(text)}: it must be between {least}s and {most}s")
    return seconds


def _files(text: str) -> tuple[FileRule, ...]:
    rules: dict[str, FileRule] = {}
    for item in (part.strip() for part in text.split(",")):
        if not item:
            continue
        path, equals, policy = item.rpartition("=")
        path = path.strip()
        if not equals or not path or policy.strip() not in set(FilePolicy):
            raise AnnotationError(
                f"{contract.FILES} has {_quote(item)}: each item must be path=live or path=end, comma separated"
            )
        if len(path) > MAX_PATH or re.search(r"[\x00-\x1f]", path) or ".." in path.split("/"):
            raise AnnotationError(
                f"{contract.FILES} has {_quote(item)}: a path has at most {MAX_PATH} characters, no control "
                "characters and no .."
            )
        rules[path] = FileRule(path, FilePolicy(policy.strip()))
    if len(rules) > MAX_FILES:
        raise AnnotationError(f"{contract.FILES} has {len(rules)} items: at most {MAX_FILES} are kept")
    return tuple(rules.values())


def _quote(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:59] + "…")
