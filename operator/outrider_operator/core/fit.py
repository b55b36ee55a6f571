"""A status of at most 16 KiB, whatever ranks wrote and however many there are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

LIMIT: Final = 16 << 10


def size(status: Mapping[str, Any]) -> int:
    """Bytes of the status as JSON."""
    return len(json.dumps(status, ensure_ascii=False, separators=(",", ":")).encode())


def fit(status: Mapping[str, Any], limit: int = LIMIT) -> dict[str, Any]:
    """The status, with what matters least cut until it fits: victims, evidence, old attempts, messages, then the oldest
    last words.
    """
    out = dict(status)
    if size(out) <= limit:
        return out
    failure = dict(out.get("failure") or {})
    out["failure"] = failure
    for key, keep in (("victims", 4), ("evidence", 2)):
        if failure.get(key):
            failure[key] = failure[key][:keep]
    if size(out) > limit and out.get("attempts"):
        out["attempts"] = out["attempts"][-3:]
    if size(out) > limit:
        out["conditions"] = [{**c, "message": _cut(c.get("message", ""), 256)} for c in out.get("conditions", ())]
    while size(out) > limit and failure.get("lastWords"):
        failure["lastWords"] = failure["lastWords"][1:]
    if not failure:
        del out["failure"]
    return out


def _cut(text: str, limit: int) -> str:
    raw = text.encode()
    return text if len(raw) <= limit else raw[: limit - 3].decode("utf-8", "ignore") + "…"
