"""Who failed first: classes before clocks.

An exit is a *suspect* (it can be where it began: an exception, a fatal signal, an OOM kill, an eviction, a lost node)
or a *victim* (it follows from another one: SIGTERM by the agent, a collective time-out, a reset connection). Any
suspect comes before every victim. Between suspects the earlier one counts, but only beyond the error of their clocks:
inside it the verdict is undecided. All of this is a function of the set of exits, not of the order in which they were
heard of.
"""

from __future__ import annotations

import re
import signal as signals
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from outrider_operator.core.attempts import Attempts
from outrider_operator.core.observed import PodView, Termination
from outrider_operator.core.ranks import EXITED, RankRecord, newest

SETTLE: Final = 1.5
"""Seconds that an exit which looks like a victim waits for the suspect that it follows from."""
CLOCK_ERROR: Final = 0.5
"""Seconds by which the clock of a node may differ from another node's."""
WHOLE_SECONDS: Final = 1.0
"""Further error of the times in pod statuses, which are whole seconds."""
MAX_LINES: Final = 20
MAX_LINE_BYTES: Final = 256
MAX_VICTIMS: Final = 16

NODE_LOSSES: Final = frozenset({"DeletionByTaintManager", "DeletionByPodGC"})
_COLLECTIVE: Final = re.compile(
    r"watchdog caught collective operation timeout|collective operation timeout|nccl.{0,80}(time[d ]?.?out)"
    r"|timed out waiting \d+ ?ms|processgroup(?:nccl|gloo).{0,120}time[d ]?.?out|barrier.{0,40}timed? ?out|"
    r"diststoreerror|wait timeout after \d+ms"
)
_CONNECTION: Final = re.compile(
    r"connection closed by peer|connection reset by peer|broken pipe|socket closed|connectionreseterror|"
    r"recvbytes|sendbytes|failed to recv|remote process exited|ncclremoteerror|connection refused|"
    r"nccl communicator was aborted|unhandled system error"
)
_AGENT: Final = re.compile(
    r"Received (?:signal )?(?:Signals\.)?SIG(?:TERM|INT)|SignalException|death signal|closing signal SIGTERM"
)
_EXCEPTION: Final = re.compile(
    r"^(?:\[rank\d+\]:\s*)?([A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit|Failure))\b", re.MULTILINE
)
# A plain search for one of these words is a hundred times cheaper than the expressions, and most last words have none.
_NETWORK_WORDS: Final = (
    "timeout",
    "timed out",
    "connection",
    "nccl",
    "gloo",
    "socket",
    "broken pipe",
    "diststore",
    "recv",
    "sendbytes",
    "remote process",
)
_CONTROL: Final = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Exit:
    """One end that was no success, of a rank, a container or a pod; times in Unix seconds."""

    pod: PodView
    attempt: int
    reason: str
    suspect: bool
    sure: bool
    """Whether the class is beyond doubt, so that a time can decide."""
    evidence: str
    rank: int | None = None
    container: str = ""
    code: int | None = None
    signal: int | None = None
    at: float | None = None
    coarse: bool = False
    """Its time is one of whole seconds."""
    last_words: tuple[str, ...] = ()

    @property
    def order(self) -> tuple[bool, float, int, str, str]:
        """Earliest first; what has no time comes last; a total order whatever the set."""
        return (
            self.at is None,
            self.at or 0.0,
            1 << 30 if self.rank is None else self.rank,
            self.pod.name,
            self.container,
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What failed first; ``confidence`` is high, medium, low or undecided."""

    exit: Exit
    confidence: str
    others: tuple[Exit, ...]
    """Suspects that cannot be told from it by time."""
    victims: tuple[Exit, ...]

    @property
    def summary(self) -> str:
        """``rank 3 OOMKilled``."""
        who = f"rank {self.exit.rank}" if self.exit.rank is not None else f"pod {self.exit.pod.name}"
        return f"{who} {self.exit.reason}"


def clean_words(lines: Iterable[str]) -> tuple[str, ...]:
    """The last 20 lines without terminal escapes and control characters, each at most 256 bytes of UTF-8."""
    cleaned = [
        _CONTROL.sub("", line).encode("utf-8", "replace")[:MAX_LINE_BYTES].decode("utf-8", "ignore") for line in lines
    ]
    return tuple(cleaned[-MAX_LINES:])


def signal_name(number: int) -> str:
    """``SIGSEGV`` for 11; ``signal 99`` where there is no such name."""
    try:
        return signals.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _split(code: int | None, signal: int | None) -> tuple[int | None, int | None]:
    """Exit code and signal, with 128+n read as signal n where a shell or a kubelet spells it so."""
    if signal is None and code is not None and 128 < code <= 128 + 64:
        return code, code - 128
    return code, signal


def _taken_away(pod: PodView, at: float | None) -> bool:
    """Whether the pod had been told to go before this end."""
    if pod.disruption:
        return True
    return pod.deletion is not None and (at is None or at >= pod.deletion - CLOCK_ERROR - WHOLE_SECONDS)


def classify(
    code: int | None, signal: int | None, *, oom: bool, words: Sequence[str], taken_away: bool
) -> tuple[str, bool, bool, str]:
    """Reason, whether it is a suspect, whether that is sure, and the sentence of evidence, of one process's end."""
    code, signal = _split(code, signal)
    text = "\n".join(words)
    low = text.lower()
    network = any(word in low for word in _NETWORK_WORDS)
    if oom:
        return "OOMKilled", True, True, "the kernel killed it because its container's memory limit was reached"
    if signal in {signals.SIGTERM, signals.SIGINT} or (code == 1 and _AGENT.search(text)):
        return (
            signal_name(signal or 15),
            False,
            True,
            "it was told to end by SIGTERM, by its launcher or by the kubelet",
        )
    if taken_away:
        return "Terminated", False, True, "its pod had been told to end"
    if network and (found := _COLLECTIVE.search(low)):
        return "CollectiveTimeout", False, True, f"it waited for others in vain: {found.group(0)!r}"
    if network and (found := _CONNECTION.search(low)):
        return "ConnectionLost", False, True, f"another rank went away under it: {found.group(0)!r}"
    if signal == signals.SIGKILL:
        return "SIGKILL", True, False, "it was killed by SIGKILL, and no OOM kill was counted in its container"
    if signal is not None:
        return signal_name(signal), True, True, f"it died of {signal_name(signal)}"
    if found := _EXCEPTION.search(text):
        return "Error", True, True, f"it ended with exit code {code} after {found.group(1)}"
    return "Error", True, bool(words), f"it ended with exit code {code}"


def _pod_exit(pod: PodView, attempt: int) -> Exit | None:
    """The end of a pod as a whole: evicted, preempted, lost with its node."""
    reason = ""
    if pod.disruption in NODE_LOSSES or pod.reason == "NodeLost":
        reason, text = "NodeLost", pod.disruption_message or pod.message or "its node is gone"
    elif pod.reason == "Evicted":
        reason, text = "Evicted", pod.message
    elif pod.disruption == "PreemptionByScheduler":
        reason, text = "Preempted", pod.disruption_message
    elif pod.disruption == "EvictionByEvictionAPI":
        reason, text = "Drained", pod.disruption_message
    elif pod.disruption == "TerminationByKubelet":
        reason, text = "NodeShutdown" if pod.reason != "Evicted" else "Evicted", pod.disruption_message or pod.message
    if not reason or pod.succeeded:
        return None
    at = pod.end_time or pod.deletion
    return Exit(pod, attempt, reason, suspect=True, sure=True, evidence=text or reason, at=at, coarse=True)


def _container_exits(pod: PodView, attempt: int, spoken: set[str], attempts: Attempts) -> list[Exit]:
    """Ends of containers whose ranks said nothing themselves."""
    found = []
    for container in pod.trainers:
        end: Termination | None = container.final
        if end is None or end.exit_code == 0 or container.name in spoken:
            continue
        if end.finished_at is not None and attempts.at(end.finished_at) < attempt:
            continue
        words = tuple(end.message.splitlines()[-MAX_LINES:])
        away = _taken_away(pod, end.finished_at)
        if end.reason in {"StartError", "ContainerCannotRun"}:
            verdict = (end.reason, True, True, end.message[-MAX_LINE_BYTES:] or "its command could not be started")
        else:
            verdict = classify(end.exit_code, end.signal, oom=end.reason == "OOMKilled", words=words, taken_away=away)
        reason, suspect, sure, evidence = verdict
        code, signal = _split(end.exit_code, end.signal)
        found.append(
            Exit(
                pod,
                attempt,
                reason,
                suspect=suspect,
                sure=sure and reason != "Error",
                evidence=f"container {container.name}: {evidence}",
                container=container.name,
                code=code,
                signal=signal,
                at=end.finished_at,
                coarse=True,
                last_words=words,
            )
        )
    return found


def exits(pods: Iterable[PodView], records: Iterable[RankRecord], attempts: Attempts) -> list[Exit]:
    """Every failed end of the newest attempt that still stands: none that an in-place restart has overtaken."""
    attempt = attempts.current
    by_source: dict[str, list[RankRecord]] = {}
    for record in newest(records):
        by_source.setdefault(record.source, []).append(record)
    found: list[Exit] = []
    for pod in pods:
        if not attempts.covers(pod, attempt):
            continue
        whole = _pod_exit(pod, attempt)
        oom_container = {c.name for c in pod.trainers if c.final is not None and c.final.reason == "OOMKilled"}
        spoken: set[str] = set()
        mine: list[Exit] = []
        for record in by_source.get(pod.uid, ()):
            if record.launcher or record.state != EXITED or record.ok:
                continue
            if record.ended_at is not None and attempts.at(record.ended_at) < attempt:
                continue
            _code, signal = _split(record.code, record.signal)
            killed = signal == signals.SIGKILL
            oom = killed and (record.oom_kills > 0 or record.container in oom_container)
            reason, suspect, sure, evidence = classify(
                record.code,
                record.signal,
                oom=oom,
                words=record.last_words,
                taken_away=_taken_away(pod, record.ended_at),
            )
            mine.append(
                Exit(
                    pod,
                    attempt,
                    reason,
                    suspect=suspect,
                    # Without a count of its own, the container's OOM kill may have been that of another rank beside it.
                    sure=sure and (not oom or record.oom_kills > 0),
                    evidence=evidence,
                    rank=record.rank,
                    container=record.container,
                    code=record.code,
                    signal=signal,
                    at=record.ended_at,
                    last_words=record.last_words,
                )
            )
            spoken.add(record.container)
        # A launcher ends with 1 after a clean stop of its ranks: where they spoke, its own exit code says nothing more.
        spoke_well = {r.container for r in by_source.get(pod.uid, ()) if not r.launcher and r.ok}
        mine += _container_exits(pod, attempt, spoken | (spoke_well if not oom_container else set()), attempts)
        if whole is not None and not any(e.suspect for e in mine):
            found.append(_with_rank(whole, by_source.get(pod.uid, ()), mine))
        found += mine
    return found


def _with_rank(whole: Exit, records: Iterable[RankRecord], mine: Sequence[Exit]) -> Exit:
    """A pod's end, with the rank where the pod had just one and the last words of the first that ended."""
    known = {r.rank for r in records if r.rank is not None}
    words = next((e.last_words for e in sorted(mine, key=lambda e: e.order) if e.last_words), ())
    return Exit(
        whole.pod,
        whole.attempt,
        whole.reason,
        suspect=True,
        sure=True,
        evidence=whole.evidence,
        rank=known.pop() if len(known) == 1 else None,
        at=whole.at,
        coarse=True,
        last_words=words,
    )


def _overlap(a: Exit, b: Exit) -> bool:
    """Whether the clocks cannot tell which of two came first."""
    if a.at is None or b.at is None:
        return True
    if a.pod.uid == b.pod.uid and a.coarse == b.coarse and not a.coarse:
        return False
    error = 0.0 if a.pod.node and a.pod.node == b.pod.node else 2 * CLOCK_ERROR
    error += WHOLE_SECONDS * (a.coarse or b.coarse)
    return abs(a.at - b.at) <= error


def judge(found: Iterable[Exit], now: float) -> tuple[Verdict | None, float | None]:
    """The verdict over a set of exits, and when to look again (Unix seconds) where one is held back.

    Exits that only follow from the pod's own deletion are no failure. Where all are victims, the verdict waits for the
    suspect that they point to, at most SETTLE seconds; then the first victim stands in for it, with low confidence.
    """
    ordered = sorted(found, key=lambda e: e.order)
    suspects = [e for e in ordered if e.suspect]
    if not suspects:
        hurt = [e for e in ordered if not _taken_away(e.pod, e.at)]
        if not hurt:
            return None, None
        age = now - (hurt[0].at or 0.0)
        if 0 <= age < SETTLE:
            return None, now + SETTLE - age
        rest = tuple(e for e in ordered if e is not hurt[0])
        return Verdict(hurt[0], "low", (), rest), None
    first = suspects[0]
    # A rank's own word is better than the kubelet's about the same container, whose time is coarser.
    for other in suspects[1:]:
        if other.pod.uid == first.pod.uid and first.rank is None and other.rank is not None:
            first = other
            break
    rivals = tuple(e for e in suspects if e is not first and e.pod.uid != first.pod.uid and _overlap(first, e))
    rivals += tuple(
        e
        for e in suspects
        if e is not first and e.pod.uid == first.pod.uid and e.rank != first.rank and _overlap(first, e)
    )
    stronger = [e for e in rivals if e.sure]
    if not first.sure and stronger:
        # What may be a consequence (an unexplained SIGKILL, a bare exit code) yields to what cannot be one.
        first, rivals = stronger[0], tuple(e for e in stronger[1:] if _overlap(stronger[0], e))
    elif first.sure:
        rivals = tuple(stronger)
    apart = {id(first), *map(id, rivals)}
    victims = tuple(e for e in ordered if id(e) not in apart and (e.rank is not None or e.pod.uid != first.pod.uid))
    if rivals:
        confidence = "undecided"
    elif not first.sure:
        confidence = "medium"
    else:
        confidence = (
            "high"
            if first.rank is not None or first.reason in {"NodeLost", "Evicted", "Preempted", "Drained"}
            else "medium"
        )
    return Verdict(first, confidence, rivals, victims), None
