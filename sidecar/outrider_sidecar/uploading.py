"""One file to the tracker: ask with its digest, put its bytes where the answer says, commit."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urljoin, urlsplit

from outrider_sidecar.door import READ_TIMEOUT, Door, Reply, Request
from outrider_sidecar.walking import Match, signature

CHUNK: Final = 256 << 10
COMMIT_TIMEOUT: Final = 60.0  # the tracker makes it durable before it answers
_JSON: Final = {"Content-Type": "application/json"}


class ChangedError(Exception):
    """The file is not what it was when its digest was taken: try again when it rests."""


class RefusedError(Exception):
    """The tracker does not take this file. `status` is its answer's; the text says what it said."""

    def __init__(self, reply: Reply) -> None:
        error = reply.json().get("error")
        message = error.get("message") if isinstance(error, dict) else None
        super().__init__(f"the tracker answered {reply.status}{f': {str(message)[:300]}' if message else ''}")
        self.status = reply.status
        self.retry_after = reply.retry_after


@dataclass(slots=True)
class Pace:
    """Bytes a second on average; 0 is no bound. `wait` sleeps, and may come back early."""

    rate: float
    wait: Callable[[float], object]
    owed: float = 0.0
    since: float = 0.0

    def spend(self, n: int) -> None:
        """Account for n bytes, and wait where they came too fast."""
        now = time.monotonic()
        if not self.rate:
            return
        self.owed = max(0.0, self.owed - (now - self.since) * self.rate) + n
        self.since = now
        if self.owed > self.rate / 10:
            self.wait(self.owed / self.rate)


class Uploader:
    """Uploads through one connection to the tracker. For one thread."""

    def __init__(self, url: str, source: str, new_door: Callable[..., Door], pace: Pace) -> None:
        self._url = url
        self._path = f"/ingest/v1/sources/{quote(source, safe='')}/files"
        self._new_door = new_door
        self._door = new_door(url, authorized=True)
        self._pace = pace

    def upload(self, match: Match) -> None:
        """Returns when the file is stored. Raises OSError (away or unreadable), ChangedError, RefusedError."""
        fd = match.open()
        try:
            if signature(os.fstat(fd)) != match.signature:
                raise ChangedError(match.name)
            digest = self._digest(fd, match)
            answer = self._ask(match, digest)
            if answer.get("state") == "upload":
                self._put(fd, match, digest, str(answer.get("url", "")))
        finally:
            os.close(fd)

    def _digest(self, fd: int, match: Match) -> str:
        digest = hashlib.sha256()
        for chunk in self._chunks(fd, match):
            digest.update(chunk)
        if signature(os.fstat(fd)) != match.signature:
            raise ChangedError(match.name)
        return digest.hexdigest()

    def _ask(self, match: Match, digest: str) -> dict[str, object]:
        body = {
            "path": match.name,
            "size": match.size,
            "sha256": digest,
            "mtime": match.signature[2] / 1e9,
            "policy": match.policy,
            "container": match.container,
        }
        reply = self._door.ask(Request("POST", self._path, (json.dumps(body).encode(),), _JSON))
        if reply.status != 200:
            raise RefusedError(reply)
        return reply.json()

    def _put(self, fd: int, match: Match, digest: str, url: str) -> None:
        target = urlsplit(urljoin(self._url, url))
        own = (target.scheme, target.netloc) == urlsplit(self._url)[:2]
        if not own and target.scheme != "https":
            raise RefusedError(Reply(400, b'{"error": {"message": "the upload address is not https"}}'))
        # The pod's token is for the tracker alone: another host gets the signed address and no more.
        door = self._door if own else self._new_door(f"{target.scheme}://{target.netloc}", authorized=False)
        where = target.path + (f"?{target.query}" if target.query else "")
        reply = door.send(Request("PUT", where), self._checked(fd, match, digest), match.size, timeout=READ_TIMEOUT)
        if reply.status not in {200, 201, 204}:
            raise RefusedError(reply)
        commit = Request("POST", f"{urlsplit(url).path}/commit", (b"{}",), _JSON)
        reply = self._door.ask(commit, timeout=COMMIT_TIMEOUT)
        if reply.status == 422:
            raise ChangedError(match.name)
        if reply.status != 200:
            raise RefusedError(reply)

    def _checked(self, fd: int, match: Match, digest: str) -> Iterator[bytes]:
        """The bytes, the last of them only if all are what was announced."""
        seen = hashlib.sha256()
        held = b""
        for chunk in self._chunks(fd, match):
            seen.update(chunk)
            if held:
                yield held
            held = chunk
        if seen.hexdigest() != digest:
            raise ChangedError(match.name)
        if held:
            yield held

    def _chunks(self, fd: int, match: Match) -> Iterator[bytes]:
        offset = 0
        while offset < match.size:
            chunk = os.pread(fd, min(CHUNK, match.size - offset), offset)
            if not chunk:
                raise ChangedError(match.name)
            self._pace.spend(len(chunk))
            offset += len(chunk)
            yield chunk
