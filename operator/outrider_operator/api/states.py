"""The words for where a Run is, once."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class RunState(StrEnum):
    """State of a Run; docs/states.md draws how one follows another."""

    PENDING = "Pending"
    """No pod of the workload runs yet."""
    STARTING = "Starting"
    """Some pods run, but not all expected ranks."""
    RUNNING = "Running"
    """All expected ranks run, or have run."""
    STOPPING = "Stopping"
    """The workload is being deleted or suspended; ranks may still save."""
    FINISHED = "Finished"
    """The workload succeeded."""
    FAILED = "Failed"
    """A rank failed and no attempt follows."""
    CRASHED = "Crashed"
    """The pods vanished or were lost with their nodes, and nobody asked for it."""
    KILLED = "Killed"
    """A person or a deadline ended it."""
    PREEMPTED = "Preempted"
    """The scheduler took its place away and no attempt follows."""


TERMINAL: Final = frozenset({RunState.FINISHED, RunState.FAILED, RunState.CRASHED, RunState.KILLED, RunState.PREEMPTED})


class Capture(StrEnum):
    """How a rank's output is captured."""

    AUTO = "auto"
    """``wrap`` where the container has a command, else ``none`` with the reason said."""
    WRAP = "wrap"
    """The command runs under the wrapper; torchrun's own files are not asked for."""
    ENV = "env"
    """The command is left alone; the launcher writes its logs to the shared volume (``PET_LOG_DIR``)."""
    NONE = "none"
    """No output is captured; exit codes and container metrics still are."""


class FilePolicy(StrEnum):
    """When a matching file is uploaded."""

    LIVE = "live"
    """Whenever it has changed, and at the end."""
    END = "end"
    """Once, after the trainer has ended."""


class Confidence(StrEnum):
    """How sure the named failure is the cause and no consequence."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    UNDECIDED = "undecided"
    """Several ranks failed within the error of their clocks."""
