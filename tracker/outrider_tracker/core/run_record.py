"""Parts of the record of a Run: what the controller may write is what readers can read.

Known fields are typed, further ones pass through, and none is required, so that an older record stays readable. Times
are RFC 3339.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class Record(BaseModel):
    """A wire object written by the controller. A null where we have a default means that default."""

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: each for name, each in value.items() if each is not None}


class OpenModel(Record):
    """A part of a record, of which unknown fields pass through."""

    model_config = ConfigDict(extra="allow")


class RankCounts(OpenModel):
    """How many ranks of the newest attempt are in which state."""

    expected: int | None = None
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    lost: int = 0


class Failure(OpenModel):
    """What failed first, as the controller judged it."""

    rank: int | None = None
    pod: str | None = None
    node: str | None = None
    container: str | None = None
    attempt: int | None = None
    reason: str | None = None
    exitCode: int | None = None  # noqa: N815  as on the wire
    signal: int | None = None
    confidence: str | None = None
    message: str | None = None
    lastWords: list[str] = []  # noqa: N815


class Workload(OpenModel):
    """The Kubernetes object that makes the pods."""

    apiVersion: str | None = None  # noqa: N815
    kind: str | None = None
    name: str | None = None
    uid: str | None = None


class Attempt(OpenModel):
    """One execution of the workload's pods."""

    number: int = 0
    state: str | None = None
    reason: str | None = None
    startedAt: str | None = None  # noqa: N815
    endedAt: str | None = None  # noqa: N815


class Condition(OpenModel):
    """A condition of the Run as Kubernetes knows it."""

    type: str = ""
    status: str = ""
    reason: str | None = None
    message: str | None = None
    lastTransitionTime: str | None = None  # noqa: N815
