"""Conditions of a Run, one function each: Accepted, Injected, Collecting, RankFailed, Complete."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from outrider_operator.api.states import TERMINAL, RunState
from outrider_operator.core.collection import Collection, last_words
from outrider_operator.core.failure import Verdict
from outrider_operator.core.observed import JobView, PodView
from outrider_operator.core.refusals import Refusal
from outrider_operator.core.state import Standing
from outrider_operator.core.times import rfc3339
from outrider_sidecar import contract

ACCEPTED: Final = "Accepted"
INJECTED: Final = "Injected"
COLLECTING: Final = "Collecting"
RANK_FAILED: Final = "RankFailed"
COMPLETE: Final = "Complete"

PULL_REASONS: Final = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
HOOK_REASONS: Final = frozenset({"PostStartHookError", "FailedPostStartHook"})
HOLD_REASONS: Final = frozenset(
    {"CrashLoopBackOff", "RunContainerError", "CreateContainerError", "CreateContainerConfigError"}
)
UNTRACKED_AFTER: Final = 5.0
"""Seconds that a Job may have active pods before one without a sidecar is taken for missed."""
SILENT_AFTER: Final = 30.0
"""Seconds after which a sidecar that the tracker has not heard is said to have no contact."""


@dataclass(frozen=True, slots=True)
class Said:
    """What one condition says now."""

    type: str
    status: str
    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Untracked:
    """What a look at a Job's pods without our label found: how many, and the sentence of one that was skipped."""

    count: int
    skipped: str = ""


def accepted(problems: Sequence[tuple[str, str]]) -> Said:
    """Whether everything that was asked for can be done; problems are (reason, sentence)."""
    if not problems:
        return Said(ACCEPTED, "True", "Accepted", "")
    return Said(ACCEPTED, "False", problems[0][0], " ".join(sentence for _, sentence in problems))


def _held(pod: PodView) -> tuple[str, str] | None:
    """Why a pod's sidecar keeps it from starting: (reason, sentence)."""
    sidecar = pod.sidecar
    if sidecar is None or pod.started or not sidecar.waiting:
        return None
    where = f"pod {pod.name} waits for its sidecar: {sidecar.waiting}"
    detail = f": {sidecar.waiting_message}" if sidecar.waiting_message else ""
    if sidecar.waiting in PULL_REASONS:
        return (
            "SidecarImagePull",
            f"{where}{detail}. Make the sidecar's image reachable from the nodes, or set its pull secret.",
        )
    if sidecar.waiting in HOOK_REASONS:
        return (
            "HookFailed",
            f"{where}{detail}. The wrapper was not installed on the pod's volume; the kubelet tries again.",
        )
    if sidecar.waiting in HOLD_REASONS:
        return "SidecarNotStarting", f"{where}{detail}. The kubelet tries again."
    return None


def injected(
    pods: Sequence[PodView], *, untracked: Untracked | None, refusal: Refusal | None, skipped_template: str
) -> Said:
    """Whether the sidecars are in the pods and let them start."""
    if skipped_template:
        return Said(INJECTED, "False", "Skipped", skipped_template)
    for pod in sorted(pods, key=lambda p: p.name):
        if not pod.ended and (held := _held(pod)) is not None:
            return Said(INJECTED, "False", *held)
    if refusal is not None:
        return Said(INJECTED, "False", refusal.reason, refusal.message)
    if untracked is not None and untracked.count:
        if untracked.skipped:
            return Said(INJECTED, "False", "Skipped", untracked.skipped)
        message = (
            f"{untracked.count} of the workload's pods run without the sidecar: the webhook was not asked, or did "
            "not answer, when they were made. Their state is tracked; "
            "their output is not. Pods that are made from now on are injected."
        )
        return Said(INJECTED, "False", "WebhookMissed", message)
    if not pods:
        return Said(INJECTED, "Unknown", "NoPods", "the workload has no pods yet")
    notes = next((f"pod {p.name}: {p.skipped}" for p in sorted(pods, key=lambda p: p.name) if p.skipped), "")
    return Said(INJECTED, "True", "Injected", notes)


def collecting(
    pods: Sequence[PodView],
    *,
    collection: Collection | None,
    heard: frozenset[str],
    tracker_away: str,
    record_refused: str,
    warnings: Sequence[tuple[str, str]],
    now: float,
) -> Said:
    """Whether the tracker hears the sidecars.

    Args:
        pods: of the Run, in any order.
        collection: the tracker's newest answer; None before the first.
        heard: pod UIDs that the tracker has heard of.
        tracker_away: why the tracker cannot be asked; empty where it answers.
        record_refused: why the tracker does not take the Run's record; empty where it does.
        warnings: (code, message) that sidecars and wrappers sent, newest last.
        now: Unix seconds.

    """
    if record_refused and not tracker_away:
        message = (
            f"the tracker refuses this Run's record: {record_refused}. It keeps what the pods send, and shows nothing "
            "of this Run until what it names is changed."
        )
        return Said(COLLECTING, "False", "RunRefused", message)
    if not pods:
        return Said(COLLECTING, "Unknown", "NoPods", "the workload has no pods yet")
    by_uid = {p.uid: p for p in pods}
    live = [p for p in pods if not p.ended and p.sidecar is not None and p.sidecar.running]
    if tracker_away:
        unsent = sum(w.unsent_bytes for w in map(last_words, pods) if w is not None)
        message = (
            f"the tracker cannot be reached: {tracker_away}. The sidecars keep what they have on their volumes and "
            "send it later."
        )
        if unsent:
            message += f" {unsent} bytes were still unsent when their pods ended."
        return Said(COLLECTING, "Unknown", "TrackerUnreachable", message)
    silent = set(collection.silent) if collection is not None else set()
    mute = [
        p
        for p in live
        if p.uid in silent
        or (
            collection is not None
            and p.uid not in heard
            and p.sidecar is not None
            and p.sidecar.started_at is not None
            and now - p.sidecar.started_at >= SILENT_AFTER
            and not collection.sources
        )
    ]
    mute = [p for p in mute if p.sidecar is not None and now - (p.sidecar.started_at or p.created) >= SILENT_AFTER - 2]
    if mute:
        names = ", ".join(sorted(p.name for p in mute)[:4]) + (" …" if len(mute) > 4 else "")
        message = (
            f"{len(mute)} of {len(live)} running sidecars have not reached the tracker for {SILENT_AFTER:.0f} s: "
            f"{names}. Check network policies and DNS between the pods and the "
            "tracker; nothing is lost while their volumes have room."
        )
        return Said(COLLECTING, "False", "NoContact", message)
    missing = collection.lost_bytes if collection is not None else 0
    if missing and not live:
        message = (
            f"{missing} bytes of what the pods wrote never reached the tracker: it was away when they ended, or their "
            "volumes were full. The Run's page marks the gaps. outrider.dev/linger lets pods wait for a tracker."
        )
        return Said(COLLECTING, "False", "DataLost", message)
    if warnings:
        code, text = warnings[-1]
        more = f" ({len(warnings)} warnings in all)" if len(warnings) > 1 else ""
        return Said(COLLECTING, "False" if code in STOPPERS else "True", _camel(code), f"{text}{more}")
    if heard & by_uid.keys() or (collection is not None and collection.sources):
        return Said(COLLECTING, "True", "Collecting", "")
    return Said(COLLECTING, "Unknown", "Waiting", "no sidecar has spoken yet")


STOPPERS: Final = frozenset({"PathNotVisible", "VolumeFull", "SpoolFull", "SourceLost"})
"""Warnings that say that something asked for is not collected."""


def _camel(code: str) -> str:
    kept = "".join(c for c in code if c.isascii() and c.isalnum())
    return kept if kept[:1].isalpha() else "Warning"


def rank_failed(verdict: Verdict | None, standing: Standing, attempt: int) -> Said:
    """Whether a rank of the newest attempt has failed, in whatever state the Run is."""
    if verdict is not None:
        return Said(RANK_FAILED, "True", verdict.exit.reason, verdict.summary)
    if standing.state in TERMINAL:
        return Said(RANK_FAILED, "False", "NoRankFailed", "")
    return Said(RANK_FAILED, "False", "NoRankFailed", f"no rank of attempt {attempt} has failed")


def complete(standing: Standing) -> Said:
    """Whether the Run has come to its end, and to which."""
    if standing.state is RunState.FINISHED:
        return Said(COMPLETE, "True", "Finished", standing.message)
    if standing.state in TERMINAL:
        return Said(COMPLETE, "True", standing.state.value, f"{standing.reason}: {standing.message}")
    return Said(COMPLETE, "False", standing.reason or standing.state.value, standing.message)


def merge(
    previous: Iterable[Mapping[str, Any]], said: Iterable[Said], *, generation: int, now: float
) -> list[dict[str, Any]]:
    """The conditions on the wire: lastTransitionTime moves only where the status does."""
    before = {c.get("type"): c for c in previous}
    out: list[dict[str, Any]] = []
    for one in said:
        old = before.get(one.type, {})
        since = old.get("lastTransitionTime") if old.get("status") == one.status else None
        out.append(
            {
                "type": one.type,
                "status": one.status,
                "reason": one.reason or "Unknown",
                "message": one.message,
                "lastTransitionTime": since or rfc3339(float(int(now))),
                "observedGeneration": generation,
            }
        )
    return out


def untracked_of(pods: Iterable[Mapping[str, Any]]) -> Untracked:
    """What a list of a Job's pods says about those without our label."""
    missed = 0
    skipped = ""
    for pod in pods:
        meta = pod.get("metadata") or {}
        if (meta.get("labels") or {}).get(contract.TRACKED) == "true" or meta.get("deletionTimestamp"):
            continue
        missed += 1
        skipped = skipped or str((meta.get("annotations") or {}).get(contract.SKIPPED) or "")
    return Untracked(missed, skipped)


def may_be_missed(job: JobView, tracked: int, now: float) -> bool:
    """Whether a Job runs pods of which none carries our label, long enough to look for them."""
    return job.active > 0 and tracked == 0 and not job.gone and now - (job.start_time or job.created) >= UNTRACKED_AFTER
