"""An AdmissionReview, answered: bytes in, bytes out, no I/O.

Every path answers "allowed". What goes wrong is a warning and a counter, never a refused or delayed pod.
"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from outrider_operator.api.base import clip
from outrider_operator.core.injection import Injection, Skip, inject
from outrider_operator.core.injection_config import InjectionConfig

log = logging.getLogger(__name__)

_API_VERSION: Final = "admission.k8s.io/v1"
_MAX_WARNING: Final = 256  # characters; the API server cuts longer ones
_encode: Final = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
_POD: Final = {"group": "", "version": "v1", "resource": "pods"}


class Outcome(StrEnum):
    """What became of a review; the label of the counter."""

    INJECTED = "injected"
    PRESENT = "present"
    """Injected already, or nobody asked: an empty patch."""
    SKIPPED = "skipped"
    """The pod cannot or may not be injected; it says why."""
    DOUBTED = "doubted"
    """Our own patch would have made the pod invalid: a defect."""
    FOREIGN = "foreign"
    """Not the creation of a pod: the webhook is registered for more than it answers."""
    FAILED = "failed"
    """The review or the pod could not be understood."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The HTTP body, and what became of the review."""

    body: bytes
    outcome: Outcome


def answer(body: bytes, config: InjectionConfig, *, by_namespace: bool) -> Answer:
    """Answer a review. Never raises for any body."""
    uid = ""
    try:
        request = json.loads(body)["request"]
        uid = str(request["uid"])
        if not _is_pod_creation(request):
            return Answer(_response(uid), Outcome.FOREIGN)
        result = inject(request["object"], config, by_namespace=by_namespace)
    except Exception as error:  # noqa: BLE001  fail-open: whatever it is, the pod must be created
        log.warning("review %s could not be answered, its pod stays as it is: %r", uid or "without uid", error)
        warning = f"outrider: the sidecar was not added: {type(error).__name__}: {error}"
        return Answer(_response(uid, warnings=(warning,)), Outcome.FAILED)
    return _answer(uid, request, result)


def _answer(uid: str, request: Mapping[str, Any], result: Injection | Skip) -> Answer:
    if isinstance(result, Injection):
        warnings = tuple(f"outrider: {note}" for note in result.notes)
        return Answer(_response(uid, list(result.patch), warnings), Outcome.INJECTED)
    if result.doubt:
        where = f"{request.get('namespace')}/{request.get('name') or request['object']['metadata'].get('generateName')}"
        log.error("pod %s stays as it is, because the patch would make it invalid: %s", where, result.reason)
    warnings = (f"outrider: {result.reason}",) if result.reason else ()
    outcome = Outcome.DOUBTED if result.doubt else Outcome.SKIPPED if result.reason else Outcome.PRESENT
    return Answer(_response(uid, list(result.patch), warnings), outcome)


def _is_pod_creation(request: Mapping[str, Any]) -> bool:
    return request.get("operation") == "CREATE" and request.get("resource") == _POD and not request.get("subResource")


def _response(uid: str, patch: list[dict[str, Any]] | None = None, warnings: tuple[str, ...] = ()) -> bytes:
    response: dict[str, Any] = {"uid": uid, "allowed": True}
    if patch:
        encoded = base64.b64encode(_encode(patch).encode())
        response |= {"patchType": "JSONPatch", "patch": encoded.decode()}
    if warnings:
        response["warnings"] = [clip(" ".join(warning.split()), _MAX_WARNING) for warning in warnings]
    review = {"apiVersion": _API_VERSION, "kind": "AdmissionReview", "response": response}
    return _encode(review).encode()
