"""Ranges of bytes, against a second reading of RFC 9110."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider_tracker.core import ranges
from outrider_tracker.core.ranges import Span, UnsatisfiableError


@pytest.mark.parametrize(
    ("header", "span"),
    [
        (None, None),
        ("bytes=0-0", Span(0, 1, 10)),
        ("bytes=2-5", Span(2, 6, 10)),
        ("bytes=5-", Span(5, 10, 10)),
        ("bytes=5-99", Span(5, 10, 10)),
        ("bytes=-3", Span(7, 10, 10)),
        ("bytes=-99", Span(0, 10, 10)),
        ("bytes=-", None),
        ("bytes=5-2", None),
        ("bytes=0-1,4-5", None),
        ("lines=0-1", None),
        ("bytes=a-b", None),
        ("bytes=" + "9" * 30 + "-", None),
    ],
)
def test_one_range_of_ten_bytes(header: str | None, span: Span | None) -> None:
    assert ranges.parse(header, 10) == span


@pytest.mark.parametrize(
    ("header", "size"), [("bytes=10-", 10), ("bytes=10-11", 10), ("bytes=-0", 10), ("bytes=0-", 0), ("bytes=-5", 0)]
)
def test_a_range_beyond_the_end_cannot_be_satisfied(header: str, size: int) -> None:
    with pytest.raises(UnsatisfiableError):
        ranges.parse(header, size)


@given(st.binary(max_size=40), st.integers(0, 50), st.integers(0, 50))
def test_a_span_is_the_slice_that_the_header_names(data: bytes, first: int, last: int) -> None:
    wanted = bytes(byte for index, byte in enumerate(data) if first <= index <= last)
    try:
        span = ranges.parse(f"bytes={first}-{last}", len(data))
    except UnsatisfiableError:
        assert first >= len(data)
        return
    if span is None:
        assert last < first
    else:
        assert data[span.start : span.stop] == wanted
        assert span.content_range == f"bytes {first}-{first + len(wanted) - 1}/{len(data)}"


@given(st.text(max_size=60), st.integers(0, 100))
def test_any_header_is_a_span_within_the_content_or_nothing(header: str, size: int) -> None:
    try:
        span = ranges.parse(header, size)
    except UnsatisfiableError:
        return
    assert span is None or 0 <= span.start < span.stop <= size
