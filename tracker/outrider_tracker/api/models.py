"""What the read API answers: the shapes of docs/protocol.md section 7, camelCase as on the wire.

Records that the controller wrote (failure, conditions, attempts) are shown as they were accepted: their known fields
are typed for the UI, further ones pass through, and none is required, so that an older record stays readable. Times in
those records are RFC 3339; times that the tracker itself took are Unix seconds.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from outrider_tracker.core.run_record import Attempt, Condition, Failure, RankCounts, Record, Workload

RunState = Literal[
    "Queued",
    "Pending",
    "Starting",
    "Running",
    "Stopping",
    "Preempting",
    "Finished",
    "Failed",
    "Crashed",
    "Killed",
    "Preempted",
]
"""States of a Run (design: what a user writes). Lists filter by them; records carry them as plain text."""

NonFinite = Literal["NaN", "Infinity", "-Infinity"]
Number = float | NonFinite


class Model(BaseModel):
    """A wire object of which only the documented fields leave the tracker."""

    model_config = ConfigDict(extra="ignore")


class ErrorBody(Model):
    """`code` is for programs, `message` is a sentence for the person who must act."""

    code: str
    message: str


class ErrorAnswer(Model):
    """The body of every answer that is no success."""

    error: ErrorBody


class Login(Model):
    """`POST /api/v1/session`."""

    key: str = Field(min_length=1, max_length=512, description="An API key.")


class User(Model):
    """Who asks."""

    name: str
    admin: bool
    entities: list[str]


class SessionAnswer(Model):
    """Who is logged in, and the tracker's version."""

    user: User
    version: str


class Collection(Model):
    """How complete the record is: bytes that wait, bytes that are gone, and how far behind we are."""

    unsentBytes: int  # noqa: N815
    lostBytes: int  # noqa: N815
    lagSeconds: float | None = None  # noqa: N815


class RunLink(Model):
    """Where another run stands: `url` is its page."""

    id: str
    name: str
    url: str


class SdkRunSummary(Model):
    """An SDK run as lists show it. `id` is the client's id of it, unique in its project."""

    kind: Literal["sdk"]
    id: str
    entity: str
    project: str
    url: str
    displayName: str  # noqa: N815
    state: str
    group: str
    jobType: str  # noqa: N815
    tags: list[str]
    sweep: str
    createdAt: float  # noqa: N815
    heartbeatAt: float  # noqa: N815
    endedAt: float | None  # noqa: N815
    exitCode: int | None  # noqa: N815
    host: str
    run: RunLink | None = Field(description="The Run whose pod made it.")


class RunSummary(Record):
    """A Run as lists show it."""

    kind: Literal["run"]
    id: str
    entity: str
    project: str
    url: str
    namespace: str = ""
    name: str = ""
    displayName: str | None = None  # noqa: N815
    group: str | None = None
    jobType: str | None = None  # noqa: N815
    tags: list[str] = Field([])
    state: str = ""
    reason: str | None = None
    createdAt: str | None = None  # noqa: N815
    startedAt: str | None = None  # noqa: N815
    endedAt: str | None = None  # noqa: N815
    attempt: int | None = None
    ranks: RankCounts = RankCounts()
    failure: Failure | None = None
    workload: Workload | None = None
    collection: Collection
    sdk: SdkRunSummary | None = Field(None, description="The one SDK run that its pods made, which is shown as it.")


class Run(RunSummary):
    """A Run in full."""

    notes: str | None = None
    config: dict[str, JsonValue] = Field({})
    attempts: list[Attempt] = Field([])
    conditions: list[Condition] = Field([])


class StreamOfRank(Model):
    """A stream of a rank, by its kind (stdout, stderr, events, metrics, user)."""

    id: int
    kind: str
    end: int
    lostBytes: int  # noqa: N815


class Rank(Model):
    """One process of one attempt, joined from the rider's events and the controller's record of its pod."""

    rank: int | None
    nodeRank: int | None  # noqa: N815
    localRank: int | None  # noqa: N815
    worldSize: int | None  # noqa: N815
    role: Literal["rank", "launcher"]
    attempt: int | None
    restart: int | None
    source: str
    pod: str | None
    node: str | None
    container: str | None
    start: int | None
    pid: int | None
    state: Literal["running", "exited", "unknown"]
    exitCode: int | None  # noqa: N815
    signal: int | None
    oomKills: int  # noqa: N815
    startedAt: float | None  # noqa: N815
    endedAt: float | None  # noqa: N815
    lastSeen: float | None  # noqa: N815
    streams: list[StreamOfRank]
    lastWords: list[str] | None = None  # noqa: N815


class RankList(Model):
    """All ranks of all attempts of a Run."""

    items: list[Rank]


class Series(Model):
    """One metric key of a Run."""

    key: str
    kind: Literal["system", "user"]
    scope: str
    lines: int
    points: int
    last: Number | None
    x: str | None = Field(None, description="The metric that stands on x, where the training code named one.")
    hidden: bool = Field(default=False, description="The training code asked to show no chart of it.")


class SeriesList(Model):
    """The metric keys of a Run."""

    items: list[Series]


class SeriesLine(Model):
    """One rank's (or container's, or node's) line of a chart: buckets with their smallest, largest and mean value."""

    label: str
    rank: int | None
    nodeRank: int | None  # noqa: N815
    attempt: int | None
    run: str | None = Field(None, description="The SDK run, where several are asked for.")
    x: list[float]
    min: list[Number]
    max: list[Number]
    mean: list[Number]


class SeriesData(Model):
    """A chart's lines. `x`: Unix seconds for time, the step's number for step, seconds since the start for relative."""

    key: str
    x: Literal["time", "step", "relative", "metric"]
    lines: list[SeriesLine]


class FileEntry(Model):
    """The newest version of a saved file. Files of SDK runs have no id: `path` names them."""

    id: str | None
    path: str
    size: int
    sha256: str
    policy: str
    pod: str | None
    rank: int | None
    storedAt: float  # noqa: N815
    versions: int


class FileList(Model):
    """The files of a Run."""

    items: list[FileEntry]


class Stream(Model):
    """One append-only stream of bytes of one source."""

    id: int
    source: str
    name: str
    labels: dict[str, JsonValue]
    generation: int
    end: int
    lostBytes: int  # noqa: N815
    lastAppend: float | None  # noqa: N815


class StreamList(Model):
    """The streams of all pods of a Run."""

    items: list[Stream]


class Line(Model):
    """One line of text, or (`lost`) a range of bytes that never reached the tracker.

    `offset` is where it begins in the stream; a line longer than 64 KiB comes as several. `ts`: when it reached us.
    """

    offset: int
    text: str | None = None
    ts: float | None = None
    lost: int | None = None
    reason: str | None = None


class Lines(Model):
    """A window of a stream: bytes `start` to `end` of `generation`.

    `partial`: the last line is not finished; ask again from its offset, with `seen` set to `end`.
    """

    generation: int
    start: int
    end: int
    lines: list[Line]
    partial: bool
