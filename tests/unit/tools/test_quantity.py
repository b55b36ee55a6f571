"""Quantities as Kubernetes writes them."""

from decimal import Decimal

import pytest

from tools.cluster import quantity
from tools.cluster.errors import ClusterError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2", "2"),
        ("500m", "0.5"),
        ("1.5", "1.5"),
        ("6Gi", "6442450944"),
        ("512Mi", "536870912"),
        ("1k", "1000"),
        ("1M", "1000000"),
    ],
)
def test_a_quantity_is_what_kubernetes_takes_it_for(text: str, value: str) -> None:
    """Binary suffixes are powers of 1024, decimal ones of 1000."""
    assert quantity.parse(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "-1", "1 Gi", "1gi", "Gi", "1e3x", "0x10", "1.Gi"])
def test_nonsense_is_refused(text: str) -> None:
    """With a word on how to write it."""
    with pytest.raises(ClusterError, match="write it as"):
        quantity.parse(text)


def test_what_is_reserved_leaves_what_was_asked_for() -> None:
    """Allocatable = machine - reserved (- eviction threshold for memory), as the kubelet counts."""
    assert quantity.reserved_cpu(8, "1500m") == "6500m"
    assert int(quantity.reserved_memory(16 * 2**30, "6Gi", 100 * 2**20)) == 16 * 2**30 - 6 * 2**30 - 100 * 2**20


def test_a_node_larger_than_the_machine_is_refused() -> None:
    """A kubelet would refuse a negative reservation with less helpful words."""
    with pytest.raises(ClusterError, match="does not fit"):
        quantity.reserved_cpu(2, "3")
    with pytest.raises(ClusterError, match="does not fit"):
        quantity.reserved_memory(2**30, "1Gi", 1)
