"""A verdict as status.failure: the sentence for the person who must act, the evidence, the victims, the last words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from outrider_operator.core.failure import Verdict, clean_words
from outrider_operator.core.times import rfc3339


def describe(verdict: Verdict, namespace: str) -> dict[str, Any]:
    """A verdict as status.failure."""
    first = verdict.exit
    who = f"rank {first.rank}" if first.rank is not None else f"container {first.container or '?'}"
    where = f"of pod {namespace}/{first.pod.name}" + (f" on node {first.pod.node}" if first.pod.node else "")
    message = f"{who} {where}: {first.evidence}."
    if verdict.others:
        names = ", ".join(_who(e.rank, e.pod.name) for e in verdict.others[:4])
        message += f" It cannot be told from {names} by time: they failed within the error of their clocks."
    if verdict.victims:
        message += f" {len(verdict.victims)} more ended after it."
    if verdict.confidence == "low":
        message += " It looks like the consequence of another failure that nobody saw."
    message += ADVICE.get(first.reason, "")
    evidence = [first.evidence] + [f"{_who(e.rank, e.pod.name)}: {e.evidence}" for e in verdict.others[:4]]
    evidence += [f"{_who(e.rank, e.pod.name)} is a victim: {e.evidence}" for e in verdict.victims[:4]]
    wire = {
        "summary": verdict.summary,
        "rank": first.rank,
        "pod": first.pod.name,
        "node": first.pod.node or None,
        "container": first.container or None,
        "attempt": first.attempt,
        "reason": first.reason,
        "exitCode": first.code,
        "signal": first.signal,
        "time": rfc3339(first.at),
        "confidence": verdict.confidence,
        "message": message,
        "evidence": evidence,
        "victims": [{"rank": e.rank, "pod": e.pod.name, "reason": e.reason} for e in verdict.victims[:16]],
        "lastWords": list(clean_words(first.last_words)),
    }
    return {key: value for key, value in wire.items() if value not in (None, [])}


ADVICE: Final[Mapping[str, str]] = {
    "OOMKilled": " Raise the container's memory limit, or use less: a smaller batch, fewer loader workers.",
    "Evicted": " The message says which limit was exceeded.",
    "NodeLost": " Nothing in the training caused it.",
    "StartError": " Check the command and the image of the container.",
}


def _who(rank: int | None, pod: str) -> str:
    return f"rank {rank}" if rank is not None else f"pod {pod}"
