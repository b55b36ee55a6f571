"""What the read API answers about SDK runs: what one `wandb.init()` made. Times are Unix seconds, sizes bytes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from outrider_tracker.api.models import Model, Number, Run, RunLink, RunSummary, SdkRunSummary

# ruff: noqa: N815  names as on the wire


class Facts(Model):
    """What the client told of the machine it ran on; null where it did not."""

    host: str | None
    os: str | None
    python: str | None
    executable: str | None
    program: str | None
    folder: str | None
    command: str | None
    cliVersion: str | None
    gitRemote: str | None
    gitCommit: str | None
    cpu: str | None
    cpuCount: int | None
    cpuThreads: int | None
    memoryBytes: int | None
    gpus: list[str]
    cuda: str | None
    docker: str | None


class CustomChart(Model):
    """A chart of the client's `wandb.plot`: the table that has its data, and which column plays which part."""

    key: str
    preset: str
    table: str
    fields: dict[str, JsonValue]
    texts: dict[str, JsonValue]


class SdkRun(SdkRunSummary):
    """An SDK run in full. `config` and `summary` without what the client keeps for itself; odd numbers are texts."""

    notes: str
    user: str | None = Field(description="Who made it; null: a pod.")
    visibility: str
    config: dict[str, JsonValue]
    summary: dict[str, JsonValue]
    facts: Facts
    charts: list[CustomChart]
    forkedFrom: RunLink | None
    forkedAt: int | None = Field(description="The last step that was taken from there.")
    stopAsked: bool
    alone: bool = Field(description="Whether the page of `run` shows it: no other one was made by that Run's pods.")
    mayWrite: bool = Field(description="Whether the caller may edit it and ask it to stop.")


class SdkRunList(Model):
    """The SDK runs of a Run, newest first."""

    items: list[SdkRunSummary]


AnySummary = Annotated[RunSummary | SdkRunSummary, Field(discriminator="kind")]
AnyRun = Annotated[Run | SdkRun, Field(discriminator="kind")]


class AnyRunList(Model):
    """One page of Runs and SDK runs, newest first. `next` goes into `cursor` of the next call; null at the end."""

    items: list[AnySummary]
    next: str | None


class RunEdit(Model):
    """`PATCH` of an SDK run: what is left out stays."""

    displayName: str | None = Field(None, min_length=1, max_length=256)
    notes: str | None = Field(None, max_length=100_000)
    tags: list[Annotated[str, Field(min_length=1, max_length=64)]] | None = Field(None, max_length=100)


class HistoryRows(Model):
    """Rows as they were logged, by step; odd numbers are texts. `next`: the step to go on from, null at the end."""

    rows: list[dict[str, JsonValue]]
    next: int | None


class MediaKeyEntry(Model):
    """A key under which things to show were logged."""

    key: str
    kind: str
    count: int
    first: int | None
    last: int | None


class MediaList(Model):
    """The keys with media of an SDK run."""

    items: list[MediaKeyEntry]


class Overlay(Model):
    """A mask or boxes over an image: the run file that has them."""

    name: str
    path: str


class MediaEntry(Model):
    """One thing to show; `path` is the run file that has its bytes. Histograms have edges `bins` and `values`."""

    kind: str
    path: str | None
    caption: str | None
    width: int | None
    height: int | None
    rows: int | None
    columns: int | None
    bins: list[float] | None
    values: list[float] | None
    overlays: list[Overlay]


class MediaData(Model):
    """What was logged under a key at `step`, and at which steps there is something."""

    key: str
    step: int | None
    steps: list[int]
    items: list[MediaEntry]


class TableRows(Model):
    """Rows [first, first + len(rows)) of a table of `total`; cells are plain values, or objects with a `_type`."""

    columns: list[str]
    rows: list[list[JsonValue]]
    first: int
    total: int


class Writer(Model):
    """A process that prints: `client` is "" outside shared mode."""

    client: str
    lines: int


class ConsoleLine(Model):
    """A line of output. `level` "error": from stderr. `ts`: when it was written, by the client's clock."""

    number: int
    text: str
    ts: float | None
    level: str | None
    label: str | None


class Console(Model):
    """Lines [start, end) of `count`; lines may be written again, and then `version` moves."""

    client: str
    branch: int
    start: int
    end: int
    count: int
    version: int
    lines: list[ConsoleLine]
    writers: list[Writer]


class RunFileEntry(Model):
    """A file of an SDK run: the newest content of its name."""

    path: str
    size: int
    sha256: str
    storedAt: float


class AlertEntry(Model):
    """What the run wanted people to know."""

    title: str
    text: str
    severity: str
    createdAt: float


class AlertList(Model):
    """Alerts, newest first."""

    items: list[AlertEntry]


class Project(Model):
    """A project: the runs in it are a list of their own."""

    entity: str
    name: str
    visibility: str
    description: str
    createdAt: float


class ProjectUse(Project):
    """A project as the list of its entity shows it."""

    runs: int
    sdkRuns: int
    activeAt: float | None = Field(description="When one of its runs was last heard of; null: it has none.")
    mayWrite: bool = Field(description="Whether the caller may log to it.")


class ProjectList(Model):
    """Projects of an entity that the caller may see, by name. `next` goes into `cursor` of the next call."""

    items: list[ProjectUse]
    next: str | None


class ProjectSeries(Model):
    """A metric key of some of a project's SDK runs: `lines` of them have it."""

    key: str
    kind: Literal["system", "user"]
    lines: int
    last: Number | None
    x: str | None = Field(description="The metric on x, where a run's code named one.")
    hidden: bool = Field(description="All of them asked to show no chart of it.")


class ProjectSeriesList(Model):
    """The metric keys of chosen runs."""

    items: list[ProjectSeries]
