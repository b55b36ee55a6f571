"""Kubernetes resource quantities, as far as node sizes need them."""

import re
from decimal import Decimal

from tools.cluster.errors import ClusterError

_UNITS = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
}
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(m|k|M|G|T|Ki|Mi|Gi|Ti)?")


def parse(text: str) -> Decimal:
    """The number that a quantity such as "500m", "1.5" or "6Gi" stands for (cores or bytes)."""
    found = _QUANTITY.fullmatch(text)
    if not found:
        raise ClusterError(f"{text!r} is not a quantity; write it as 500m, 2, 1.5, 512Mi or 6Gi")
    return Decimal(found[1]) * _UNITS[found[2] or ""]


def reserved_cpu(machine_cores: int, wanted: str) -> str:
    """What a kubelet has to hold back of the machine's cores so that `wanted` can be allocated on its node."""
    rest = machine_cores - parse(wanted)
    if rest < 0:
        raise ClusterError(
            f"a node of {wanted} CPUs does not fit this machine of {machine_cores}: "
            "a kubelet cannot advertise more than it finds (but every node may advertise all of it)"
        )
    return f"{int(rest * 1000)}m"


def reserved_memory(machine_bytes: int, wanted: str, eviction_bytes: int) -> str:
    """The same for memory, in bytes; the kubelet takes its eviction threshold off by itself."""
    rest = int(machine_bytes - parse(wanted) - eviction_bytes)
    if rest < 0:
        raise ClusterError(
            f"a node of {wanted} memory does not fit this machine of {machine_bytes // 2**20} MiB "
            f"({eviction_bytes // 2**20} MiB of it are the eviction threshold)"
        )
    return str(rest)
