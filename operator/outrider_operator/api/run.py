"""The Run: what a user writes in spec, what the controller answers in status."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, ConfigDict, Field

from outrider_operator.api.base import Between, Clip, Last, Model, list_map
from outrider_operator.api.states import Capture, Confidence, FilePolicy, RunState
from outrider_sidecar.contract import API_VERSION

NAME_PATTERN: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
PROJECT_PATTERN: Final = r"^[A-Za-z0-9_][A-Za-z0-9._-]*$"
MAX_ATTEMPTS: Final = 10
MAX_LAST_WORDS: Final = 20
DEFAULT_PROJECT: Final = "uncategorized"
PRESERVE: Final[dict[str, Any]] = {"x-kubernetes-preserve-unknown-fields": True}

Label = Annotated[str, Field(max_length=63)]
Line = Annotated[str, Clip(256)]
Sentence = Annotated[str, Clip(1024)]
Word = Annotated[str, Clip(128)]
ObjectName = Annotated[str, Clip(253)]


def immutable(what: str) -> dict[str, Any]:
    """The CEL rule of a field that stays as it was created; the whole tree below it is compared."""
    message = f"{what} cannot be changed after creation: delete this Run or make another one"
    return {"x-kubernetes-validations": [{"rule": "self == oldSelf", "message": message}]}


# ------------------------------------------------------------------------------------------------ spec
class WorkloadMeta(Model):
    """Metadata of a workload. The controller names the workload after the Run where no name is given."""

    model_config = ConfigDict(extra="allow", json_schema_extra=PRESERVE)

    name: Annotated[str, Field(max_length=253)] | None = None
    """Name of the workload; the Run's name if absent."""
    namespace: Label | None = None
    """Only the Run's own namespace, or absent."""
    labels: Annotated[dict[str, Label], Field(max_length=64)] | None = None
    """Labels of the workload."""
    annotations: Annotated[dict[str, Annotated[str, Field(max_length=65536)]], Field(max_length=64)] | None = None
    """Annotations of the workload."""


class Workload(Model):
    """A whole Kubernetes object of a known workload kind, such as a batch/v1 Job."""

    model_config = ConfigDict(extra="allow", json_schema_extra=PRESERVE)

    api_version: Annotated[str, Field(min_length=1, max_length=128)]
    """API version of the workload, such as batch/v1."""
    kind: Annotated[str, Field(min_length=1, max_length=63)]
    """Kind of the workload, such as Job. You need the right to create it yourself."""
    metadata: WorkloadMeta | None = None
    """Metadata of the workload."""
    spec: Annotated[dict[str, Any], Field(json_schema_extra=PRESERVE)]
    """Spec of the workload, as its own kind defines it."""


class WorkloadRef(Model):
    """A workload of the Run's namespace that exists, or will."""

    api_version: Annotated[str, Field(min_length=1, max_length=128)]
    """API version of the workload, such as batch/v1."""
    kind: Annotated[str, Field(min_length=1, max_length=63)]
    """Kind of the workload, such as Job. You need the right to get it yourself."""
    name: Annotated[str, Field(min_length=1, max_length=253)]
    """Name of the workload."""
    uid: Annotated[str, Field(min_length=1, max_length=63)] | None = None
    """UID of the workload: another object of the same name is then never taken for it."""


class Logs(Model):
    """What is done about the output of the ranks."""

    capture: Capture = Capture.AUTO
    """How output is captured: auto, wrap, env or none."""


class Metrics(Model):
    """What is done about system metrics."""

    interval: Annotated[str, Between("1s", "1h")] = "10s"
    """How often system metrics are sampled, such as 10s."""


class FileRule(Model):
    """Files to keep."""

    path: Annotated[str, Field(min_length=1, max_length=512)]
    """A path or glob; relative ones start at the trainer's working directory. Only mounted volumes are visible."""
    policy: FilePolicy = FilePolicy.END
    """live: uploaded whenever it has changed; end: once, after the trainer has ended."""


class Collect(Model):
    """What is collected beside exit codes and container states."""

    logs: Logs = Logs()
    """Output of the ranks."""
    metrics: Metrics = Metrics()
    """System metrics."""
    files: Annotated[tuple[FileRule, ...], Field(max_length=64, json_schema_extra=list_map("path"))] = ()
    """Files to keep."""


class RunSpec(Model):
    """What to track, and how it is shown. Exactly one of workload and workloadRef."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                {
                    "rule": "[has(self.workload), has(self.workloadRef)].filter(x, x).size() == 1",
                    "message": "exactly one of workload and workloadRef must be set: workload for a job that this Run "
                    "makes, workloadRef for one that exists",
                },
                {
                    "rule": "has(self.workload) == has(oldSelf.workload) && "
                    "has(self.workloadRef) == has(oldSelf.workloadRef)",
                    "message": "workload and workloadRef cannot be added, removed or swapped after creation: delete "
                    "this Run or make another one",
                },
            ]
        }
    )

    project: Annotated[str, Field(min_length=1, max_length=128, pattern=PROJECT_PATTERN)] | None = None
    """Project that the Run is shown in; else the namespace's outrider.dev/project annotation, else uncategorized."""
    group: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    """Runs of one group are shown together, such as the seeds of one experiment."""
    job_type: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """What kind of job it is, such as train or eval."""
    display_name: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    """The Run's name for people; else its Kubernetes name."""
    tags: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=64)], ...],
        Field(max_length=64, json_schema_extra={"x-kubernetes-list-type": "set"}),
    ] = ()
    """Words to find it by."""
    notes: Annotated[str, Field(max_length=8192)] | None = None
    """Free text."""
    config: Annotated[dict[str, Any], Field(max_length=512, json_schema_extra=PRESERVE)] | None = None
    """Settings of the training, such as its learning rate: any JSON object."""
    workload: Annotated[Workload, Field(json_schema_extra=immutable("workload"))] | None = None
    """The workload that this Run makes and owns; deleted with it."""
    workload_ref: Annotated[WorkloadRef, Field(json_schema_extra=immutable("workloadRef"))] | None = None
    """A workload that somebody else makes; never changed or deleted by this Run."""
    collect: Collect = Collect()
    """What is collected."""
    linger: Annotated[str, Between("0s", "1h")] = "0s"
    """How long a sidecar may wait at its end for a tracker that is away, while data is unsent. It delays the end of
    the pod, of the workload and of its retries by as long, and holds the pod's GPUs."""
    ttl_after_finished: Annotated[str, Between("0s", "87600h")] | None = None
    """How long the Run stays in Kubernetes after its end; absent: as long as the administrator has set, 168h if nothing
    was set, 24h for a Run that was made for a found workload. The tracker's record stays in any case."""


# ------------------------------------------------------------------------------------------------ status
class Ranks(Model):
    """How many ranks are where."""

    summary: Word | None = None
    """Ranks that run or have succeeded, of those expected, such as 4/4."""
    expected: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    """Ranks that the workload should have; absent while unknown."""
    running: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Ranks whose process runs."""
    succeeded: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Ranks that ended with exit code 0."""
    failed: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Ranks that ended with another code or by a signal."""
    lost: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Ranks whose pod vanished before their end was seen."""


class Victim(Model):
    """A rank that failed because another one had."""

    rank: int | None = None
    """Global rank, where known."""
    pod: ObjectName | None = None
    """Name of the pod."""
    reason: Word | None = None
    """What it died of."""


class Failure(Model):
    """What failed first, as far as the evidence goes."""

    summary: Word
    """One line, such as: rank 3 OOMKilled."""
    rank: int | None = None
    """Global rank, where known."""
    pod: ObjectName | None = None
    """Name of the pod."""
    node: ObjectName | None = None
    """Node that the pod ran on."""
    container: Label | None = None
    """Container that failed."""
    attempt: Annotated[int, Field(ge=1)] | None = None
    """Attempt in which it failed."""
    reason: Word
    """Why, in one word, such as OOMKilled, Error, Evicted, NodeLost."""
    exit_code: int | None = None
    """Exit code, where the process had one."""
    signal: int | None = None
    """Signal that ended it, where one did."""
    time: AwareDatetime | None = None
    """When it failed, by the clock of its node."""
    confidence: Confidence
    """How sure it is that this came first: high, medium, low or undecided."""
    message: Sentence | None = None
    """What happened, to what, and what to do."""
    evidence: Annotated[tuple[Line, ...], Last(10)] = ()
    """What the verdict rests on."""
    victims: Annotated[tuple[Victim, ...], Last(16)] = ()
    """Ranks that failed because of it."""
    last_words: Annotated[tuple[Line, ...], Last(MAX_LAST_WORDS)] = ()
    """The last lines that the rank wrote."""


class Attempt(Model):
    """One execution of the workload's pods."""

    number: Annotated[int, Field(ge=1)]
    """1 for the first."""
    state: RunState
    """Where it is, or how it ended."""
    reason: Word | None = None
    """Why, in one word."""
    start_time: AwareDatetime | None = None
    """When its first rank started."""
    end_time: AwareDatetime | None = None
    """When its last rank ended."""


class Collection(Model):
    """How complete the tracker's copy is."""

    unsent_bytes: Annotated[int, Field(ge=0)] = 0
    """Bytes that wait in pods, or that a pod could not send before it ended."""
    lost_bytes: Annotated[int, Field(ge=0)] = 0
    """Bytes that will never come: shed on a full volume, or gone with a node."""
    lag_seconds: Annotated[int, Field(ge=0)] = 0
    """Age of the oldest data that still waits."""


class Condition(Model):
    """A standard Kubernetes condition."""

    type: Annotated[str, Field(min_length=1, max_length=63)]
    """Accepted, Injected, Collecting, RankFailed or Complete."""
    status: Literal["True", "False", "Unknown"]
    """True, False or Unknown."""
    reason: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")]
    """Why, in one CamelCase word."""
    message: Sentence = ""
    """Why, and what to do."""
    last_transition_time: AwareDatetime
    """When status last changed."""
    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """Generation of the spec that it speaks of."""


class RunStatus(Model):
    """What the controller knows; written by it alone."""

    state: RunState | None = None
    """Where the Run is."""
    reason: Word | None = None
    """Why, in one word."""
    run_id: Annotated[str, Field(max_length=128)] | None = None
    """Id of the Run at the tracker."""
    url: Annotated[str, Field(max_length=2048)] | None = None
    """Where the Run is shown."""
    project: Word | None = None
    """Project that the Run is shown in: the spec's, else the namespace's, else uncategorized."""
    workload: Annotated[str, Field(max_length=320)] | None = None
    """Kind and name of the workload, such as Job/resnet."""
    attempt: Annotated[int, Field(ge=1)] | None = None
    """Number of the newest attempt."""
    start_time: AwareDatetime | None = None
    """When the first rank of the first attempt started."""
    end_time: AwareDatetime | None = None
    """When the Run reached its last state."""
    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """Generation of the spec that this status speaks of."""
    ranks: Ranks | None = None
    """Ranks of the newest attempt."""
    failure: Failure | None = None
    """What failed first in the newest attempt that failed."""
    attempts: Annotated[tuple[Attempt, ...], Last(MAX_ATTEMPTS), Field(json_schema_extra=list_map("number"))] = ()
    """The last ten attempts, oldest first."""
    collection: Collection | None = None
    """How complete the tracker's copy is."""
    conditions: Annotated[tuple[Condition, ...], Field(max_length=16, json_schema_extra=list_map("type"))] = ()
    """Accepted, Injected, Collecting, RankFailed, Complete."""


# ------------------------------------------------------------------------------------------------ object
class ObjectMeta(Model):
    """The part of an object's metadata that Outrider reads."""

    name: str
    """Name: a DNS label of at most 63 characters."""
    namespace: str = ""
    """Namespace."""
    uid: str = ""
    """UID, given by the API server."""
    resource_version: str | None = None
    """Version that a guarded write names."""
    generation: int = 0
    """Counts the changes of spec."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Labels."""
    annotations: dict[str, str] = Field(default_factory=dict)
    """Annotations."""
    creation_timestamp: AwareDatetime | None = None
    """When it was created."""
    deletion_timestamp: AwareDatetime | None = None
    """When its deletion was asked for."""


class Run(Model):
    """One logical training job: all its ranks and all its attempts."""

    api_version: str = API_VERSION
    """outrider.dev/v1alpha1."""
    kind: str = "Run"
    """Run."""
    metadata: ObjectMeta
    """Standard metadata; the name is a DNS label of at most 63 characters."""
    spec: RunSpec
    """What to track, and how it is shown."""
    status: RunStatus = RunStatus()
    """What the controller knows; written by it alone."""
