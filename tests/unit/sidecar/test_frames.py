"""Frames, read back by the strict reader of the tracker double."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from outrider_sidecar import frames
from tests.integration.sidecar import double

MAGIC = b"ORF1"


@given(st.binary(min_size=1, max_size=5000) | st.binary(min_size=1, max_size=20).map(lambda b: b * 300))
def test_data_is_read_back(raw: bytes) -> None:
    """Whether compressed or, where that would make it longer, as it is."""
    ((header, payload),) = double.parse(MAGIC + frames.data("s", 2, 7, raw))
    assert (header["t"], header["s"], header["g"], header["o"]) == ("data", "s", 2, 7)
    assert double.unpack(header, payload) == raw
    assert len(payload) <= len(raw)


def test_a_lost_range() -> None:
    """Has no payload."""
    ((header, payload),) = double.parse(MAGIC + frames.lost("s", 0, 5, 9, "shed"))
    assert header == {"t": "lost", "s": "s", "g": 0, "from": 5, "to": 9, "reason": "shed"}
    assert payload == b""


@given(st.dictionaries(st.sampled_from(["path", "launch", "container"]), st.text(max_size=3000)))
def test_labels_that_do_not_fit_are_left_out(labels: dict[str, str | int]) -> None:
    """The header stays within its bound, whatever a trainer calls its folders."""
    ((header, _),) = double.parse(MAGIC + frames.stream("s" * 255, {"kind": "stdout"} | labels))
    assert header["labels"]["kind"] == "stdout"
    assert header["labels"].items() <= ({"kind": "stdout"} | labels).items()
    if sum(map(len, map(repr, labels.values()))) < 500:
        assert header["labels"] == {"kind": "stdout"} | labels
