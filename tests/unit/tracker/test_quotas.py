"""Token buckets and how quotas are written."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider_tracker.core import quotas
from outrider_tracker.core.quotas import BURST_SECONDS, Bucket, Quotas

steps = st.lists(st.tuples(st.floats(0, 30), st.floats(0, 1000)), max_size=100)


@given(st.floats(0.1, 1000), steps)
def test_never_more_than_rate_and_burst(rate: float, asked: list[tuple[float, float]]) -> None:
    """Over any time since the start: at most burst + rate x time + one request; and who waits as told is served."""
    now, taken, largest = 100.0, 0.0, 0.0
    bucket = quotas.full(rate, now)
    for pause, amount in asked:
        now += pause
        bucket = quotas.fill(bucket, rate, now)
        if quotas.wait(bucket, rate) == 0.0:
            bucket = quotas.take(bucket, amount)
            taken, largest = taken + amount, max(largest, amount)
        assert taken <= rate * (BURST_SECONDS + now - 100.0) + largest + 1e-3
        told = quotas.wait(bucket, rate)
        assert quotas.wait(quotas.fill(bucket, rate, now + told * 1.001 + 1e-6), rate) == 0.0


@given(st.floats(0.1, 1000), st.floats(0, 100))
def test_who_stays_below_the_rate_is_never_refused(rate: float, start: float) -> None:
    """A request each second that takes a second's worth."""
    bucket = quotas.full(rate, start)
    for second in range(100):
        bucket = quotas.fill(bucket, rate, start + second)
        assert quotas.wait(bucket, rate) == 0.0
        bucket = quotas.take(bucket, rate)


def test_a_clock_that_goes_back_fills_nothing() -> None:
    """And does not empty anything."""
    assert quotas.fill(Bucket(5.0, 100.0), 10.0, 50.0) == Bucket(5.0, 100.0)


def test_no_bound_is_no_bound() -> None:
    """An infinite rate and a rate of nothing."""
    bucket = quotas.take(quotas.fill(quotas.full(math.inf, 0.0), math.inf, 0.0), 1e30)
    assert quotas.wait(bucket, math.inf) == 0.0
    assert quotas.wait(quotas.full(0.0, 0.0), 0.0) == math.inf


def test_as_they_are_written() -> None:
    """Common ones, then those of an entity, which begins with the common ones wherever these stand."""
    table = quotas.parse(["ml:runs=5", "bytes=20M,requests=7", "ml:storage=3T,bytes=none"])
    assert table.of("other") == Quotas(bytes=20e6, requests=7.0)
    assert table.of("ml") == Quotas(bytes=math.inf, requests=7.0, runs=5.0, storage=3e12)
    assert quotas.parse([]).of("ml") == Quotas()


@pytest.mark.parametrize("text", ["", "bytes", "bytes=", "bytes=-1", "bytes=1X", "speed=1", "ml:", "bytes=1,", "=5"])
def test_what_is_no_quota_is_told(text: str) -> None:
    """With what is expected."""
    with pytest.raises(ValueError, match="NAME=AMOUNT"):
        quotas.parse([text])
