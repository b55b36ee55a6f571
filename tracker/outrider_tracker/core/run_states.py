"""States of an SDK run, and what moves it from one to another. Pure.

| | Started | Heartbeat | Preempting | Complete 0 | Complete else | Lost |
|---|---|---|---|---|---|---|
| pending | running | running | preempting | finished | failed | |
| running | running | | preempting | finished | failed, or killed if it was stopped | crashed, or killed |
| preempting | running | | | finished | preempted | preempted |
| crashed, preempted | running | running | preempting | finished | failed | |
| finished, failed, killed | running | | | finished | failed, or killed | |

Started: a client began to log with this id. Lost: no heartbeat for five minutes of the tracker's service.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

LOST_SECONDS: Final = 300.0
# A run with several primary writers ends with the last of them: when one says that the run is over, those that say
# nothing of the kind are given so long to fall silent (a writer says something every 30 s).
OTHERS_SECONDS: Final = 60.0


class State(StrEnum):
    """As W&B names them."""

    PENDING = "pending"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CRASHED = "crashed"
    KILLED = "killed"
    PREEMPTING = "preempting"
    PREEMPTED = "preempted"


class Event(StrEnum):
    """What happened to a run. Complete is a function of its own, as it has an exit code."""

    STARTED = "started"
    HEARTBEAT = "heartbeat"
    PREEMPTING = "preempting"
    LOST = "lost"


ALIVE: Final = frozenset({State.RUNNING, State.PREEMPTING})
# What a client itself declared to be over: a late heartbeat does not undo it, a new start does.
_DECLARED: Final = frozenset({State.FINISHED, State.FAILED, State.KILLED})


def after(state: State, event: Event, *, stopped: bool = False) -> State:
    """The next state. `stopped`: a person asked the run to stop."""
    if event is Event.STARTED:
        return State.RUNNING
    if event is Event.LOST:
        if state is State.PREEMPTING:
            return State.PREEMPTED
        if state is State.RUNNING:
            return State.KILLED if stopped else State.CRASHED
        return state
    if state in _DECLARED:
        return state
    if event is Event.PREEMPTING:
        return State.PREEMPTING
    return state if state is State.PREEMPTING else State.RUNNING


def completed(state: State, exit_code: int, *, stopped: bool = False) -> State:
    """The state of a run whose client says that it is over."""
    if exit_code == 0:
        return State.FINISHED
    if state in {State.PREEMPTING, State.PREEMPTED}:
        return State.PREEMPTED
    return State.KILLED if stopped else State.FAILED


def state_of(state: State, heartbeat: float, now: float, serving_since: float, *, stopped: bool = False) -> State:
    """The state now, from the stored one. Silence counts only while the tracker could have heard (Unix seconds)."""
    if state in ALIVE and now - max(heartbeat, serving_since) > LOST_SECONDS:
        return after(state, Event.LOST, stopped=stopped)
    return state
