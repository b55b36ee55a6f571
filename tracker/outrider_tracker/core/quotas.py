"""How much an entity may send and keep: rates as token buckets, amounts as bounds. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Final

BURST_SECONDS: Final = 10.0  # what an entity saves up while it is quiet: so many seconds of its rate
_AMOUNT: Final = re.compile(r"(\d{1,15})([KMGT]?)")
_FACTORS: Final = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


@dataclass(frozen=True, slots=True)
class Quotas:
    """Of one entity; math.inf is no bound.

    `bytes` of request bodies and `requests`, a second; `series` of one run; `runs`; `storage`, bytes kept.
    """

    bytes: float = 128e6
    requests: float = 2000.0
    series: float = 50_000
    runs: float = 1_000_000
    storage: float = math.inf


NAMES: Final = tuple(item.name for item in fields(Quotas))


@dataclass(frozen=True, slots=True)
class QuotaTable:
    """Quotas of all entities: the common ones, and those of entities that have others."""

    common: Quotas = field(default_factory=Quotas)
    entities: Mapping[str, Quotas] = field(default_factory=dict)

    def of(self, entity: str) -> Quotas:
        """Those that hold for an entity."""
        return self.entities.get(entity, self.common)


def parse(texts: Iterable[str]) -> QuotaTable:
    """From `[ENTITY:]NAME=AMOUNT,…` each; an entity begins with the common ones. ValueError says what is expected."""
    common, own = Quotas(), dict[str, dict[str, float]]()
    for text in texts:
        entity, colon, pairs = text.rpartition(":")
        changes = dict(_pair(pair) for pair in pairs.split(","))
        if colon:
            own.setdefault(entity, {}).update(changes)
        else:
            common = replace(common, **changes)
    return QuotaTable(common, {entity: replace(common, **changes) for entity, changes in own.items()})


def _pair(text: str) -> tuple[str, float]:
    name, _, amount = text.strip().partition("=")
    found = _AMOUNT.fullmatch(amount)
    if name not in NAMES or not (found or amount == "none"):
        raise ValueError(
            f"{text!r} is no quota: NAME=AMOUNT is expected, with a name of {', '.join(NAMES)} "
            "and an amount such as 500, 20M, 3T or none"
        )
    return name, math.inf if found is None else float(int(found[1]) * _FACTORS[found[2]])


@dataclass(frozen=True, slots=True)
class Bucket:
    """What is left at a moment. Below zero: a debt that time pays off."""

    level: float
    at: float


def full(rate: float, now: float) -> Bucket:
    """Of somebody who was quiet for long."""
    return Bucket(rate * BURST_SECONDS, now)


def fill(bucket: Bucket, rate: float, now: float) -> Bucket:
    """The same bucket now. A clock that went back fills nothing."""
    seconds = max(0.0, now - bucket.at)
    return Bucket(min(rate * BURST_SECONDS, bucket.level + rate * seconds), max(now, bucket.at))


def wait(bucket: Bucket, rate: float) -> float:
    """Seconds until something may be taken; 0: now. inf: never, at a rate of 0."""
    if bucket.level > 0:
        return 0.0
    return -bucket.level / rate + 1e-9 if rate > 0 else math.inf


def take(bucket: Bucket, amount: float) -> Bucket:
    """Takes an amount, however large: who may take something may take one whole request, and waits longer after it."""
    return Bucket(bucket.level - amount, bucket.at)
