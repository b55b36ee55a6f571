"""The controller's door of the tracker (docs/protocol.md section 6)."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self

import aiohttp
from prometheus_client import Counter

from outrider_operator import __version__

TIMEOUT: Final = 10.0
FEED_WAIT: Final = 25

TRACKER_CALLS = Counter("outrider_tracker_calls", "Requests to the tracker", ["door", "code"])


class TrackerAway(Exception):  # noqa: N818
    """The tracker does not answer, or cannot now: try again."""


class TrackerRefused(Exception):  # noqa: N818
    """The tracker answered and refused: HTTP status, code, sentence."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code


class FeedExpired(Exception):  # noqa: N818
    """The feed no longer has what comes after that position: read the ranks again, then begin anew."""


class Tracker(Protocol):
    """What the controller asks of the tracker. Raises TrackerAway or TrackerRefused."""

    async def put_run(self, run_id: str, record: Mapping[str, Any]) -> str:
        """Store a Run's whole record; the path or address at which it is shown."""
        ...

    async def put_source(self, uid: str, join: Mapping[str, Any]) -> None:
        """Join a pod to its Run."""
        ...

    async def feed(self, after: int | None) -> tuple[int, list[Mapping[str, Any]]]:
        """Events after a position (None: only the newest position, at once); FeedExpired where it is too old."""
        ...

    async def ranks(self, run_id: str) -> list[Mapping[str, Any]]:
        """The rank records of a Run; empty for one that the tracker does not know."""
        ...

    async def collection(self, run_id: str) -> Mapping[str, Any] | None:
        """How complete the tracker's copy is; None for a Run that it does not know."""
        ...


class HttpTracker:
    """The tracker over HTTPS. Use as an async context manager."""

    def __init__(self, url: str, *, ca: str = "", token_file: Path | None = None, public_url: str = "") -> None:
        self._url, self._ca, self._token_file = url.rstrip("/"), ca, token_file
        self._public = (public_url or url).rstrip("/")
        self._tls = self._context(ca)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=32), headers={"User-Agent": f"outrider-controller/{__version__}"}
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    def _context(self, ca: str) -> ssl.SSLContext | bool:
        return ssl.create_default_context(cadata=ca or None) if self._url.startswith("https://") else True

    def trust(self, ca: str) -> None:
        """Trust another bundle of CAs (PEM) from the next connection on."""
        if ca != self._ca:
            # The session stays: closing it would cancel the tasks that wait for an answer, the feed's among them.
            self._ca, self._tls = ca, self._context(ca)

    async def _call(
        self,
        door: str,
        method: str,
        path: str,
        *,
        body: Any = None,
        params: Mapping[str, str] | None = None,
        wait: float = 0.0,
    ) -> Any:
        assert self._session is not None, "the tracker client is used outside its context"
        headers = {"Content-Type": "application/json"}
        code = "none"
        try:
            if self._token_file is not None:
                # Read anew each time: the kubelet renews it in place.
                token = self._token_file.read_text(encoding="utf-8").strip()
                headers["Authorization"] = f"Bearer {token}"
            async with self._session.request(
                method,
                f"{self._url}{path}",
                params=params,
                headers=headers,
                data=None if body is None else json.dumps(body),
                timeout=aiohttp.ClientTimeout(total=TIMEOUT + wait, connect=5.0),
                ssl=self._tls,
            ) as response:
                code = str(response.status)
                text = await response.text(errors="replace")
        except (aiohttp.ClientError, TimeoutError, OSError, RuntimeError) as error:
            raise TrackerAway(f"{self._url}: {error or type(error).__name__}") from error
        finally:
            TRACKER_CALLS.labels(door, code).inc()
        return self._answer(response.status, text)

    def _answer(self, status: int, text: str) -> Any:
        try:
            answer = json.loads(text) if text else {}
        except ValueError:
            answer = None
        if status < 300:
            if answer is None:
                raise TrackerAway(f"{self._url}: the answer is no JSON; is this the tracker's address?")
            return answer
        error = answer.get("error") if isinstance(answer, Mapping) else None
        error = error if isinstance(error, Mapping) else {}
        message = str(error.get("message") or text[:200])
        if status in {401, 408, 429} or status >= 500:
            # A token that cannot be verified now, or yet: the tracker's keys may be on their way.
            raise TrackerAway(f"{self._url}: {status} {message}")
        raise TrackerRefused(status, str(error.get("code") or ""), message)

    async def put_run(self, run_id: str, record: Mapping[str, Any]) -> str:
        """Store a Run's whole record."""
        answer = await self._call("run", "PUT", f"/api/v1/control/runs/{run_id}", body=record)
        url = str(answer.get("url") or "")
        return f"{self._public}{url}" if url.startswith("/") else url

    async def put_source(self, uid: str, join: Mapping[str, Any]) -> None:
        """Join a pod to its Run."""
        await self._call("source", "PUT", f"/api/v1/control/sources/{uid}", body=join)

    async def feed(self, after: int | None) -> tuple[int, list[Mapping[str, Any]]]:
        """Events after a position."""
        params = {"wait": str(FEED_WAIT)} | ({} if after is None else {"after": str(after)})
        try:
            answer = await self._call("feed", "GET", "/api/v1/control/feed", params=params, wait=FEED_WAIT)
        except TrackerRefused as error:
            if error.status == 410:
                raise FeedExpired(str(error)) from error
            raise
        return int(answer.get("next") or 0), list(answer.get("items") or ())

    async def ranks(self, run_id: str) -> list[Mapping[str, Any]]:
        """The rank records of a Run."""
        try:
            answer = await self._call("ranks", "GET", f"/api/v1/control/runs/{run_id}/ranks")
        except TrackerRefused as error:
            if error.status == 404:
                return []
            raise
        return list(answer.get("items") or ()) if isinstance(answer, Mapping) else list(answer)

    async def collection(self, run_id: str) -> Mapping[str, Any] | None:
        """How complete the tracker's copy is."""
        try:
            answer = await self._call("collection", "GET", f"/api/v1/control/runs/{run_id}/collection")
        except TrackerRefused as error:
            if error.status == 404:
                return None
            raise
        return answer if isinstance(answer, Mapping) else None
