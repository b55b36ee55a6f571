"""What the passes share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from outrider_operator.controller.book import Book
from outrider_operator.controller.outbox import Outbox
from outrider_operator.controller.queue import WorkQueue
from outrider_operator.controller.store import Store
from outrider_operator.core.conditions import Untracked
from outrider_operator.core.injection_config import InjectionConfig
from outrider_operator.core.refusals import Refusal
from outrider_operator.core.retention import Retention
from outrider_operator.kube.api import Api

QueueKey = tuple[str, str, str]


@dataclass
class Look:
    """What a look at a Job's Events and unlabelled pods found, and when (Unix seconds)."""

    at: float = 0.0
    refusal: Refusal | None = None
    untracked: Untracked | None = None


@dataclass
class Context:
    """The world of the passes. ``now`` is Unix seconds."""

    api: Api
    store: Store
    queue: WorkQueue[QueueKey]
    book: Book
    outbox: Outbox
    now: Callable[[], float]
    injection: Callable[[], InjectionConfig | None]
    retention: Retention = field(default_factory=Retention)
    urls: dict[str, str] = field(default_factory=dict)
    """By Run id at the tracker."""
    written: dict[str, float] = field(default_factory=dict)
    """By Run UID: when its status was last written."""
    looks: dict[str, Look] = field(default_factory=dict)
    """By Job UID."""
    problems: dict[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    """By Run UID: why its workload could not be made, or only in part."""
    skipped: dict[str, str] = field(default_factory=dict)
    """By Run UID: why its workload's template was not injected."""
    watched: frozenset[str] = frozenset()
    """Namespaces that are watched; empty: all."""
