"""What each answer of the ingest door means."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider_sidecar.declaring import Declared, read_declared
from outrider_sidecar.door import Reply
from outrider_sidecar.sending import At, Verdict, backoff, judge


def error(status: int, code: str, retry_after: float | None = None, **more: Any) -> Verdict:
    return judge(Reply(status, json.dumps({"error": {"code": code, "message": "m", **more}}).encode(), retry_after))


def test_durable() -> None:
    """200: the ends, the pace, the directives."""
    body = {"ends": {"a": [1, 20]}, "pace": {"interval": 2.5}, "directives": [{"type": "flush"}, {"type": "x"}]}
    verdict = judge(Reply(200, json.dumps(body).encode()))
    assert verdict == Verdict(
        done=True, ends={"a": (1, 20)}, pace=2.5, flush=True, directives='[{"type": "flush"}, {"type": "x"}]'
    )


@pytest.mark.parametrize(("given_pace", "pace"), [(0.001, 0.05), (1e9, 60.0), (0, None), ("1", None), (True, None)])
def test_a_pace_is_bounded(given_pace: object, pace: float | None) -> None:
    """A tracker can neither stop a sidecar for good nor make it spin."""
    assert judge(Reply(200, json.dumps({"pace": {"interval": given_pace}}).encode())).pace == pace


def test_a_gap_and_a_mismatch_say_where_the_tracker_stands() -> None:
    """409 with stream, generation and end."""
    assert error(409, "gap", stream="a", generation=2, end=7).gap == At("a", 2, 7)
    assert error(409, "mismatch", stream="a", generation=2, end=7).mismatch == At("a", 2, 7)


@pytest.mark.parametrize("code", ["gap", "mismatch", "incarnation", "undeclared", "something new"])
def test_every_other_conflict_asks_anew(code: str) -> None:
    """Also one whose answer does not say where."""
    verdict = error(409, code)
    assert verdict.declare
    assert verdict.failed
    assert not verdict.fenced


def test_fenced_waits_thirty_seconds() -> None:
    """The newer writer is given time to be the only one."""
    assert (error(409, "fenced").fenced, error(409, "fenced").wait) == (True, 30.0)


@pytest.mark.parametrize(
    ("status", "code"), [(401, "unauthenticated"), (403, "forbidden"), (429, "busy"), (503, "unavailable"), (500, "x")]
)
def test_nothing_is_given_up_where_the_tracker_cannot_or_may_not_take_it(status: int, code: str) -> None:
    """All of these are tried again; Retry-After is obeyed, up to a minute."""
    verdict = error(status, code, retry_after=7.0)
    assert (verdict.failed, verdict.wait, verdict.smaller) == (True, 7.0, False)
    assert error(status, code, retry_after=1e6).wait == 60.0


@pytest.mark.parametrize(("status", "code"), [(401, "TokenRefused"), (403, "TokenForbidden"), (507, "StoreFull")])
def test_what_a_person_must_mend_is_said(status: int, code: str) -> None:
    """As a warning on the Run."""
    warning = error(status, "x", accepts=["events"]).warning
    assert warning is not None
    assert warning[0] == code


def test_a_full_store_names_the_kinds_it_takes() -> None:
    """507: none named, none taken."""
    assert error(507, "storage_full", 3.0, accepts=["events", "user"]).accepts == frozenset({"events", "user"})
    assert error(507, "storage_full").accepts == frozenset()
    assert error(507, "storage_full").wait == 5.0


@given(st.integers(1, 60), st.floats(0, 1, exclude_max=True))
def test_back_off_grows_to_five_seconds_and_never_to_nothing(failures: int, chance: float) -> None:
    """Doubled from a quarter of a second, spread over its upper half."""
    full = min(5.0, 0.25 * 2 ** (failures - 1))
    assert full / 2 <= backoff(failures, chance) <= full


@given(st.sampled_from([200, 204, 301, 400, 401, 403, 404, 409, 413, 422, 429, 500, 502, 503, 507]), st.binary())
def test_any_answer_has_a_verdict(status: int, body: bytes) -> None:
    """A proxy in between may answer anything."""
    verdict = judge(Reply(status, body))
    assert verdict.done == (status == 200)


def test_a_declaration_is_understood_or_refused() -> None:
    """What is not as the protocol says is not half believed."""
    good = {"epoch": 3, "incarnation": "i", "streams": [{"name": "a", "generation": 1, "end": 5, "crc": 9}]}
    assert read_declared(good) == Declared(3, "i", {"a": (1, 5)})
    for bad in (
        {},
        good | {"epoch": "3"},
        good | {"incarnation": "a\r\nb"},
        good | {"streams": [{"name": "a"}]},
        good | {"streams": [{"name": "a", "generation": -1, "end": 5}]},
    ):
        assert read_declared(bad) is None
