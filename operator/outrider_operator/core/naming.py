"""Names that follow from what exists already, so that the same object is found again after any crash."""

from __future__ import annotations

import hashlib
import re
from typing import Final

MAX_LABEL: Final = 63
AUTO_CUT: Final = 54
JOB_LIMIT: Final = 52
"""Longest name of a Job that we make: its pods' host names append a completion index."""
_BAD: Final = re.compile(r"[^a-z0-9-]+")


def hex8(uid: str) -> str:
    """Eight hex digits of a UID: its own first eight where it is a UUID, else of its digest."""
    head = uid.replace("-", "")[:8].lower()
    if len(head) == 8 and all(c in "0123456789abcdef" for c in head):
        return head
    return hashlib.sha256(uid.encode()).hexdigest()[:8]


def label(text: str, limit: int) -> str:
    """The text as a DNS label of at most limit characters: lower case, every other character a dash, ``x`` if nothing
    is left.
    """
    return _BAD.sub("-", text.lower())[:limit].strip("-") or "x"


def auto_run_name(workload: str, uid: str) -> str:
    """Name of the Run that is made for a workload: at most 63 characters, another one for every UID."""
    return f"{label(workload, AUTO_CUT)}-{hex8(uid)}"


def run_id(run: str, uid: str, *, auto: bool) -> str:
    """Id of a Run at the tracker: an auto-made Run's name ends in a UID already, any other gets its own."""
    return run if auto else f"{label(run, AUTO_CUT)}-{hex8(uid)}"


def job_name(run: str, uid: str, wanted: str | None) -> str:
    """Name of the Job that a Run makes: the one that was asked for, else the Run's own, cut where pods could not bear
    it.
    """
    if wanted:
        return wanted
    return run if len(run) <= JOB_LIMIT else f"{label(run, JOB_LIMIT - 9)}-{hex8(uid)}"


def event_name(run: str, *parts: str) -> str:
    """Name of a Kubernetes Event: the same fact gets the same name, so a repeated pass makes no second one."""
    return f"{label(run, MAX_LABEL)}.{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:16]}"
