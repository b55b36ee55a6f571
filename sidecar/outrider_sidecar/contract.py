"""Every name that two parts of Outrider share, once, each with a sentence. Standard library only.

The prose that goes with it (layout of the volume, frames on the wire, doors of the tracker) is docs/protocol.md.
"""

from __future__ import annotations

from typing import Final

# ---------------------------------------------------------------- Kubernetes group
GROUP: Final = "outrider.dev"
API_VERSION: Final = "outrider.dev/v1alpha1"
FIELD_MANAGER: Final = "outrider"

# ---------------------------------------------------------------- annotations that users write (on pod templates)
INJECT: Final = (
    "outrider.dev/inject"  # "true" asks for the sidecar, "false" always wins; also as a label, also on namespaces
)
PROJECT: Final = "outrider.dev/project"  # project of the Run; on a namespace: the default of its Runs
RUN_ID: Final = "outrider.dev/run-id"  # continue this Run of the namespace as its next attempt
DISPLAY_NAME: Final = "outrider.dev/name"  # the Run's name for people
GROUP_NAME: Final = "outrider.dev/group"  # the Run's group
JOB_TYPE: Final = "outrider.dev/job-type"  # train, eval, ...
TAGS: Final = "outrider.dev/tags"  # comma separated
NOTES: Final = "outrider.dev/notes"  # free text
CONFIG: Final = "outrider.dev/config"  # a JSON object
FILES: Final = "outrider.dev/files"  # "checkpoints/**=live, out/report.json=end"
CAPTURE: Final = "outrider.dev/capture"  # auto | wrap | env | none
CONTAINER: Final = "outrider.dev/container"  # comma separated names of the trainer containers
LINGER: Final = "outrider.dev/linger"  # "30s": how long the sidecar may wait at the end for a tracker that is away
METRICS_INTERVAL: Final = "outrider.dev/metrics-interval"  # "10s": how often system metrics are sampled


# ---------------------------------------------------------------- what Outrider itself writes
INJECTED: Final = "outrider.dev/injected"  # annotation of a pod: what was added, with the version
SKIPPED: Final = "outrider.dev/skipped"  # annotation of a pod: what was not done and why
TRACKED: Final = "outrider.dev/tracked"  # label "true" of every injected pod: the controller's server-side selector
RUN_NAME: Final = "outrider.dev/run"  # label of a workload (and its pods) that a Run made: the Run's name
AUTO: Final = "outrider.dev/auto"  # label "true" of every Run that the controller made for a workload that it found
WORKLOAD_UID: Final = "outrider.dev/workload-uid"  # annotation of a Run: UID of the workload that it is bound to
FORGOTTEN: Final = "outrider.dev/forgotten"  # annotation of a workload whose Run a person deleted: make none again
SUBMITTER: Final = "outrider.dev/submitter"  # annotation of a Run: who created it, stamped by admission policy

# ---------------------------------------------------------------- inside the pod
SIDECAR_CONTAINER: Final = "outrider"  # name of the native sidecar
VOLUME: Final = "outrider"  # name of the shared emptyDir
TOKEN_VOLUME: Final = "outrider-token"  # noqa: S105  name of the projected token volume, mounted in the sidecar alone
MOUNT_PATH: Final = "/outrider"  # where the shared volume is mounted, in the trainer and in the sidecar
RIDER_PATH: Final = "/outrider/bin/rider"  # the installed wrapper
RIDER_IN_IMAGE: Final = "/rider"  # the same program in the sidecar's image
TOKEN_MOUNT: Final = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105  over the API token's own place
AUDIENCE: Final = "outrider"  # audience of every projected token that the tracker accepts
FILES_MOUNT: Final = "/outrider-files"  # trainer volumes that files are read from: FILES_MOUNT/<volume name>, read only

# Folders of the shared volume, relative to it.
DIR_CONTAINERS: Final = "containers"  # containers/<container>/<start>/: written by `rider wrap` of that container start
DIR_USER: Final = "user"  # user/*.jsonl: one object a line, written by training code
DIR_SIDECAR: Final = "sidecar"  # the collector's own: cursors, its events and metrics
DIR_FREED: Final = "sidecar/freed"  # freed/<container>.<start>: offsets below which the rider may punch holes

# Files of one container start.
FILE_STDOUT: Final = "stdout.log"
FILE_STDERR: Final = "stderr.log"
FILE_EVENTS: Final = "events.jsonl"
FILE_SAMPLES: Final = "samples.jsonl"
DIR_TORCH: Final = "torch"  # PET_LOG_DIR of the container start

# ---------------------------------------------------------------- environment of the trainer
ENV_DIR: Final = "OUTRIDER_DIR"  # the shared volume
ENV_ATTEMPT: Final = "OUTRIDER_ATTEMPT"  # set on attempts > 1

# ---------------------------------------------------------------- environment of the sidecar (OUTRIDER_DIR too)
ENV_TRACKER_URL: Final = "OUTRIDER_TRACKER_URL"  # https://host:port, no path
ENV_CA: Final = "OUTRIDER_CA"  # PEM text of the CAs that the tracker's certificate may be signed by
ENV_TOKEN_FILE: Final = "OUTRIDER_TOKEN_FILE"  # noqa: S105  file with the bearer token, read anew before it expires
ENV_POD_UID: Final = "OUTRIDER_POD_UID"
ENV_POD_NAME: Final = "OUTRIDER_POD_NAME"
ENV_NAMESPACE: Final = "OUTRIDER_NAMESPACE"
ENV_NODE_NAME: Final = "OUTRIDER_NODE_NAME"
ENV_OWNER: Final = (
    "OUTRIDER_OWNER"  # JSON object: what the webhook saw: {"kind", "apiVersion", "name", "uid", "labels": {...}}
)
ENV_CONTAINERS: Final = (
    "OUTRIDER_CONTAINERS"  # JSON list: {"name", "capture", "workingDir"?, "mounts": [{"path", "at"}]}
)
ENV_FILES: Final = "OUTRIDER_FILES"  # JSON list: {"path", "policy"}
ENV_LINGER: Final = "OUTRIDER_LINGER"  # seconds
ENV_METRICS_INTERVAL: Final = "OUTRIDER_METRICS_INTERVAL"  # seconds; read by the rider of the trainer too
ENV_SPOOL_LIMIT: Final = "OUTRIDER_SPOOL_LIMIT"  # bytes that may wait on the volume before data is shed and counted
ENV_TERMINATION_LOG: Final = "OUTRIDER_TERMINATION_LOG"  # default /dev/termination-log

# ---------------------------------------------------------------- on the wire (docs/protocol.md)
PROTOCOL: Final = 1
FRAMES_TYPE: Final = "application/x-outrider-frames"
FRAMES_MAGIC: Final = b"ORF1"
HEADER_EPOCH: Final = "Outrider-Epoch"
HEADER_INCARNATION: Final = "Outrider-Incarnation"
HEADER_WALL: Final = "Outrider-Wall"  # sender's wall clock, nanoseconds since 1970
HEADER_MONO: Final = "Outrider-Mono"  # sender's monotonic clock, nanoseconds
HEADER_UNSENT: Final = "Outrider-Unsent"  # bytes that still wait on the volume after this request

FRAME_STREAM: Final = "stream"  # declares a stream and its labels
FRAME_DATA: Final = "data"
FRAME_LOST: Final = "lost"

KIND_STDOUT: Final = "stdout"
KIND_STDERR: Final = "stderr"
KIND_EVENTS: Final = "events"
KIND_METRICS: Final = "metrics"
KIND_USER: Final = "user"
# What is shed last comes first: exit records before logs before metrics.
KINDS_BY_WORTH: Final = (KIND_EVENTS, KIND_USER, KIND_STDERR, KIND_STDOUT, KIND_METRICS)

# Frames: bounds that the tracker enforces and the sidecar keeps.
MAX_FRAME_HEADER: Final = 4096  # bytes
MAX_FRAME_RAW: Final = 1 << 20  # uncompressed bytes of one data frame
MAX_BODY: Final = 8 << 20  # bytes of one append request
MAX_STREAM_NAME: Final = 255
MAX_LINE: Final = 64 << 10  # bytes of one JSON line of user data, events or metrics

# Error codes of the ingest door, in {"error": {"code", "message", ...}}.
ERROR_GAP: Final = "gap"  # 409: offset beyond the durable end and no lost frame explains it
ERROR_MISMATCH: Final = "mismatch"  # 409: the overlap's bytes differ from what is stored: open the next generation
ERROR_FENCED: Final = "fenced"  # 409: a newer writer epoch exists
ERROR_INCARNATION: Final = "incarnation"  # 409: the store was restored or is another: declare the source anew
ERROR_UNDECLARED: Final = "undeclared"  # 409: source or stream was never declared here
ERROR_FRAME: Final = "frame"  # 400: malformed frame, wrong CRC, wrong length
ERROR_TOO_LARGE: Final = "too_large"  # 413: body, frame or decompressed size over the bound
ERROR_STORAGE_FULL: Final = "storage_full"  # 507: watermark reached; "accepts" lists the kinds still taken
ERROR_BUSY: Final = "busy"  # 429 or 503 with Retry-After
ERROR_UNAUTHENTICATED: Final = "unauthenticated"  # 401
ERROR_FORBIDDEN: Final = "forbidden"  # 403
ERROR_UNAVAILABLE: Final = "unavailable"  # 503: the check cannot be made now; try again
ERROR_DIGEST: Final = "digest"  # 422: uploaded bytes do not have the announced length or SHA-256
