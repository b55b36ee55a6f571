"""The window at the end, and the last words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider_sidecar.ending import Window, message, write_message


@given(st.dictionaries(st.text(max_size=255), st.integers(0, 1 << 50), max_size=60), st.integers(0, 1 << 50), st.text())
def test_the_last_words_fit_and_their_sum_is_of_all_streams(unsent: dict[str, int], lost: int, reason: str) -> None:
    """At most 4 KiB; at most the 20 largest are named, the sum counts every one."""
    data = message(unsent, lost, reason)
    assert len(data) <= 4096
    words = json.loads(data)
    assert (words["outrider"], words["unsentBytes"], words["lostBytes"]) == (1, sum(unsent.values()), lost)
    named = words["streams"]
    assert len(named) <= 20
    assert all(unsent[name] == n > 0 for name, n in named.items())
    left_out = [n for name, n in unsent.items() if name not in named]
    assert not named or max(left_out, default=0) <= min(named.values())


@pytest.mark.parametrize(
    ("linger", "now", "unsent", "goodbye", "over"),
    [
        (0, 0.0, 0, True, False),  # all durable: say it, then go when that is durable too
        (0, 0.5, 7, False, False),
        (0, 1.2, 7, True, False),  # time for the last event
        (0, 1.5, 7, True, True),
        (30, 1.6, 7, False, False),  # lingers while bytes are unsent
        (30, 1.6, 0, True, False),
        (30, 30.0, 7, True, True),
        (0.5, 1.0, 7, False, False),  # never less than the kubelet leaves in any case
    ],
)
def test_the_window(linger: float, now: float, unsent: int, goodbye: bool, over: bool) -> None:
    """`source.end` when all is durable or time runs out; the end when that is durable too or time is up."""
    window = Window(0.0, linger)
    assert window.says_goodbye(now, unsent) is goodbye
    assert window.is_over(now, unsent, said_goodbye=False) is over
    assert window.is_over(now, 0, said_goodbye=True)


def test_later_words_replace_earlier_ones(tmp_path: Path) -> None:
    """In place: the termination log is a mount that cannot be renamed over."""
    log = tmp_path / "log"
    write_message(str(log), b"first, longer")
    inode = log.stat().st_ino
    write_message(str(log), b"second")
    assert (log.read_bytes(), log.stat().st_ino) == (b"second", inode)
