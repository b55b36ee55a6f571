"""What a door refuses: one exception that knows its answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from outrider_sidecar import contract

STATUS: Final = {
    contract.ERROR_GAP: 409,
    contract.ERROR_MISMATCH: 409,
    contract.ERROR_FENCED: 409,
    contract.ERROR_INCARNATION: 409,
    contract.ERROR_UNDECLARED: 409,
    contract.ERROR_FRAME: 400,
    contract.ERROR_TOO_LARGE: 413,
    contract.ERROR_STORAGE_FULL: 507,
    contract.ERROR_BUSY: 429,
    contract.ERROR_UNAUTHENTICATED: 401,
    contract.ERROR_FORBIDDEN: 403,
    contract.ERROR_UNAVAILABLE: 503,
    contract.ERROR_DIGEST: 422,
}


class RefusedError(Exception):
    """A request is refused whole. `code` is one of contract.ERROR_*; `detail` goes into the answer's error object."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int | None = None,
        retry_after: int | None = None,
        headers: Mapping[str, str] | None = None,
        **detail: Any,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = STATUS[code] if status is None else status
        self.retry_after = retry_after
        self.headers = dict(headers or {})
        self.detail = detail

    def body(self) -> dict[str, Any]:
        """The JSON object of the answer."""
        return {"error": {"code": self.code, "message": self.message, **self.detail}}
