"""Kubernetes quantities: ``100m``, ``1Gi``, ``1.5``, ``2e3``."""

from __future__ import annotations

import functools
import re
from decimal import Decimal
from typing import Final

Quantity = Decimal
"""A value in the resource's base unit: cores, bytes, pieces."""

_SUFFIX: Final = {
    "": Decimal(1),
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal(10) ** 3,
    "M": Decimal(10) ** 6,
    "G": Decimal(10) ** 9,
    "T": Decimal(10) ** 12,
    "P": Decimal(10) ** 15,
    "E": Decimal(10) ** 18,
    "Ki": Decimal(2) ** 10,
    "Mi": Decimal(2) ** 20,
    "Gi": Decimal(2) ** 30,
    "Ti": Decimal(2) ** 40,
    "Pi": Decimal(2) ** 50,
    "Ei": Decimal(2) ** 60,
}
_FORM: Final = re.compile(
    r"([+-]?[0-9]{1,40}(?:\.[0-9]{0,40})?|[+-]?\.[0-9]{1,40})(?:[eE]([+-]?[0-9]{1,2})|([numkMGTPE]|[KMGTPE]i)?)"
)


def parse_quantity(value: object) -> Quantity:
    """The value of a quantity: a string, or a number as people write them in YAML.

    Raises:
        ValueError: it is no quantity.

    """
    return _parse(str(value))


@functools.lru_cache(maxsize=1024)
def _parse(text: str) -> Quantity:
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text[:40]!r} is not a quantity such as 100m, 2 or 1Gi")
    number, exponent, suffix = match.groups()
    return Decimal(number) * (Decimal(10) ** int(exponent) if exponent else _SUFFIX[suffix or ""])
