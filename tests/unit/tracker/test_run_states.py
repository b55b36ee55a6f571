"""States of SDK runs, their names, their config, their files' names: what is pure of them."""

from __future__ import annotations

import base64
import posixpath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider_tracker.core import sdk_config
from outrider_tracker.core.file_names import is_file_name
from outrider_tracker.core.run_names import is_name, new_display_name, new_name, parse_storage_id, storage_id
from outrider_tracker.core.run_states import ALIVE, LOST_SECONDS, Event, State, after, completed, state_of
from outrider_tracker.core.sdk_config import BranchPoint

STATES = st.sampled_from(State)
EVENTS = st.sampled_from(Event)


@pytest.mark.parametrize(
    ("before", "event", "expected"),
    [
        ("pending", Event.STARTED, "running"),
        ("finished", Event.STARTED, "running"),
        ("crashed", Event.STARTED, "running"),
        ("running", Event.PREEMPTING, "preempting"),
        ("preempting", Event.HEARTBEAT, "preempting"),
        ("crashed", Event.HEARTBEAT, "running"),
        ("pending", Event.HEARTBEAT, "running"),
        ("finished", Event.HEARTBEAT, "finished"),
        ("failed", Event.HEARTBEAT, "failed"),
        ("running", Event.LOST, "crashed"),
        ("preempting", Event.LOST, "preempted"),
        ("pending", Event.LOST, "pending"),
        ("finished", Event.LOST, "finished"),
    ],
)
def test_what_happens_to_a_run(before: str, event: Event, expected: str) -> None:
    assert after(State(before), event) == expected


def test_ends() -> None:
    assert completed(State.RUNNING, 0) == "finished"
    assert completed(State.RUNNING, 1) == "failed"
    assert completed(State.RUNNING, 255, stopped=True) == "killed"
    assert completed(State.RUNNING, 0, stopped=True) == "finished"
    assert completed(State.PREEMPTING, 1) == "preempted"
    assert completed(State.PREEMPTING, 0) == "finished"
    assert completed(State.CRASHED, 0) == "finished"
    assert after(State.RUNNING, Event.LOST, stopped=True) == "killed"


@given(STATES, EVENTS, st.booleans())
def test_the_same_word_twice_is_as_good_as_once(state: State, event: Event, stopped: bool) -> None:
    once = after(state, event, stopped=stopped)
    assert after(once, event, stopped=stopped) == once


@given(STATES, st.integers(-255, 255))
def test_an_end_is_an_end(state: State, code: int) -> None:
    assert completed(state, code) not in ALIVE
    assert completed(completed(state, code), code) == completed(state, code)


@given(STATES, st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e6))
def test_silence_counts_only_while_the_tracker_served(state: State, heartbeat: float, now: float, since: float) -> None:
    found = state_of(state, heartbeat, now, since)
    if state not in ALIVE or now - heartbeat <= LOST_SECONDS or now - since <= LOST_SECONDS:
        assert found is state
    else:
        assert found in {State.CRASHED, State.PREEMPTED}


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30).filter(is_name)


@given(NAMES, NAMES, NAMES)
def test_a_storage_id_is_the_address(entity: str, project: str, name: str) -> None:
    text = storage_id(entity, project, name)
    assert base64.b64decode(text).decode() == f"Run:v1:{name}:{project}:{entity}"
    assert parse_storage_id(text) == (entity, project, name)


@given(st.text(max_size=40))
def test_what_is_no_storage_id_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="no id of a run"):
        parse_storage_id(text)


@pytest.mark.parametrize("name", ["", " ", "a/b", "a:b", "a?b", "a#b", "a%b", "a\\b", "a\nb", "x" * 129])
def test_names_that_no_run_has(name: str) -> None:
    """The SDK refuses these characters itself (wandb/sdk/wandb_settings.py: run_id)."""
    assert not is_name(name)


def test_invented_names() -> None:
    assert is_name(new_name())
    adjective, noun, number = new_display_name(12).split("-")
    assert adjective.isalpha()
    assert noun.isalpha()
    assert number == "12"


@pytest.mark.parametrize(
    "name", ["a", "media/images/x y.png", "ü/日本/e\u0301.txt", ".hidden", "a..b", "a/...", "code/a.py"]
)
def test_names_that_files_have(name: str) -> None:
    assert is_file_name(name)


@pytest.mark.parametrize(
    "name",
    ["", "/etc/passwd", "../x", "a/../b", "a/..", "..", ".", "a//b", "a/", "a\\b", "C:x", "a\0b", "a\nb", "\ud800"],
)  # fmt: skip
def test_names_that_are_refused(name: str) -> None:
    assert not is_file_name(name)


@given(st.text(max_size=40))
def test_a_name_stays_in_its_folder(name: str) -> None:
    """Clients join names to a folder of theirs."""
    if is_file_name(name):
        assert posixpath.normpath(posixpath.join("/root", name)).startswith("/root/")


OWN = {"_wandb": {"value": {"t": {"1": [1]}, "m": [{"1": "x"}], "e": {"w1": {"host": "a"}}}}}


def test_what_the_client_keeps_for_itself() -> None:
    assert sdk_config.selected({**OWN, "lr": {"value": 1}}, ["t", "zz"]) == {"t": {"1": [1]}}
    assert sdk_config.selected({"lr": {"value": 1}}, ["t"]) == {}
    assert sdk_config.own({"_wandb": "nonsense"}) == {}


def test_an_edit_keeps_it() -> None:
    """`wandb.Api`'s update() sends the user's keys only."""
    assert sdk_config.replaced({**OWN, "lr": {"value": 1}}, {"lr": {"value": 2}}) == {**OWN, "lr": {"value": 2}}
    new: dict[str, Any] = {"_wandb": {"value": {"t": {}}}}
    assert sdk_config.replaced({**OWN, "lr": {"value": 1}}, new) == new


def test_writers_of_one_run_keep_each_others_keys() -> None:
    second = {"_wandb": {"value": {"t": {"2": [2]}, "m": [], "e": {"w2": {"host": "b"}}}}, "b": {"value": 2}}
    both = sdk_config.merged({**OWN, "a": {"value": 1}}, second)
    assert both["a"] == {"value": 1}
    assert both["b"] == {"value": 2}
    assert both["_wandb"]["value"] == {
        "t": {"2": [2]},
        "m": [{"1": "x"}],
        "e": {"w1": {"host": "a"}, "w2": {"host": "b"}},
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"run_id": "r", "step": 3}, BranchPoint("r", 3)),
        ({"run_id": "r", "step": 3.0}, BranchPoint("r", 3)),
        ({"run_id": "r"}, None),
        ({"run_id": 1, "step": 3}, None),
        ({"run_id": "r", "step": 1.5}, None),
        ({"run_id": "r", "step": True}, None),
        ("r", None),
        (None, None),
    ],
)
def test_where_a_run_was_forked(value: Any, expected: BranchPoint | None) -> None:
    assert sdk_config.branch_point({"_wandb": {"value": {"branch_point": value}}}) == expected
