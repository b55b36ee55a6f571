"""The tracker's door: one HTTP connection, requests with time limits, answers of bounded size.

`http.client` and not requests or urllib3: 10 MiB less resident memory in every training pod, and proxies or redirects,
which a bearer token must not follow, do not exist in it.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

CONNECT_TIMEOUT: Final = 5.0
READ_TIMEOUT: Final = 20.0
MAX_ANSWER: Final = 8 << 20
IDLE: Final = 4.0  # a connection quiet for longer is not trusted with what can be sent only once


class UnreachableError(OSError):
    """No answer came; whether the request had an effect is not known."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the tracker."""

    status: int
    body: bytes
    retry_after: float | None = None

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; empty where it is none."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask. The parts of the body are sent one after the other and may be sent twice."""

    method: str
    path: str
    parts: tuple[bytes, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


def tls_context(ca: str | None) -> ssl.SSLContext:
    """Verifies names and chains against `ca` (PEM text) alone, or the system's CAs. Raises ssl.SSLError for bad PEM."""
    return ssl.create_default_context(cadata=ca) if ca else ssl.create_default_context()


class Door:
    """One connection to one origin, opened when needed. Not for several threads."""

    def __init__(self, url: str, context: ssl.SSLContext | None, token_file: str | None) -> None:
        parts = urlsplit(url)
        self._tls = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._tls else 80)
        self._context = context
        self._token_file = token_file
        self._connection: http.client.HTTPConnection | None = None
        self._used = 0.0

    def ask(self, request: Request, *, timeout: float = READ_TIMEOUT) -> Reply:
        """Send and wait for the answer. Raises UnreachableError, with a sentence, where none comes."""
        length = sum(map(len, request.parts))
        reused = self._connection is not None
        try:
            return self._exchange(request, request.parts, length, timeout)
        except UnreachableError as error:
            # The other side may close a quiet connection at any time. What is asked may be asked twice.
            if not reused or not isinstance(error.__cause__, http.client.RemoteDisconnected | ConnectionError):
                raise
            return self._exchange(request, request.parts, length, timeout)

    def send(self, request: Request, body: Iterable[bytes], length: int, *, timeout: float = READ_TIMEOUT) -> Reply:
        """As `ask`, with a body of `length` bytes that is produced while it is sent, once."""
        if time.monotonic() - self._used > IDLE:
            self.close()
        return self._exchange(request, body, length, timeout)

    def _exchange(self, request: Request, body: Iterable[bytes], length: int, timeout: float) -> Reply:
        try:
            headers = {"Content-Length": str(length), **request.headers, **self._authorization()}
            connection = self._open(timeout)
            connection.request(request.method, request.path, body, headers)
            response = connection.getresponse()
            data = response.read(MAX_ANSWER + 1)
        except UnreachableError:
            raise
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise UnreachableError(f"{request.method} {self._host}:{self._port}: {_say(error)}") from error
        except BaseException:
            self.close()
            raise
        self._used = time.monotonic()
        if response.will_close or len(data) > MAX_ANSWER:
            self.close()
        return Reply(response.status, data, _retry_after(response.getheader("Retry-After")))

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self, timeout: float) -> http.client.HTTPConnection:
        if self._connection is None:
            limit = min(CONNECT_TIMEOUT, timeout)
            if self._tls:
                self._connection = http.client.HTTPSConnection(
                    self._host, self._port, timeout=limit, context=self._context
                )
            else:
                self._connection = http.client.HTTPConnection(self._host, self._port, timeout=limit)
            self._connection.connect()
        sock: socket.socket = self._connection.sock
        sock.settimeout(timeout)
        return self._connection

    def _authorization(self) -> dict[str, str]:
        if self._token_file is None:
            return {}
        try:
            # Read each time: the kubelet replaces the token long before it expires.
            with open(self._token_file, encoding="ascii") as file:
                token = file.read(16 << 10).strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UnreachableError(f"the token cannot be read from {self._token_file}: {_say(error)}") from error
        if not token or not token.isprintable() or " " in token:
            raise UnreachableError(f"{self._token_file} holds no bearer token")
        return {"Authorization": f"Bearer {token}"}


def _say(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _retry_after(value: str | None) -> float | None:
    """Seconds; a date is not used by the tracker and counts as none given."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None
