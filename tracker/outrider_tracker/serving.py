"""One process, one or two listeners: plain for the UI behind an ingress, TLS for pods. Certificates reload in place."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import ssl
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvicorn

from outrider_tracker.app import Tracker
from outrider_tracker.log import say

CERTIFICATE_SECONDS: Final = 5.0
GRACE_SECONDS: Final = 10
KEEP_ALIVE_SECONDS: Final = 75
BACKLOG: Final = 2048


@dataclass(frozen=True, slots=True)
class Address:
    """Where a listener binds; port 0 = any free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """`HOST:PORT`, `[V6]:PORT`. ValueError says what is expected."""
        host, _, port = text.rpartition(":")
        if not port.isdigit() or int(port) > 65535:
            raise ValueError(f"{text!r} is no HOST:PORT")
        return cls(host.strip("[]") or "0.0.0.0", int(port))  # noqa: S104  an empty host asks for all interfaces


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM files of the TLS listener."""

    cert: Path
    key: Path

    def read(self) -> bytes:
        """The present chain and key, in one text."""
        return self.cert.read_bytes() + b"\n" + self.key.read_bytes()


def server_context(pem: bytes) -> ssl.SSLContext:
    """A server's context with this chain and key. ssl.SSLError: they are none, or do not belong together."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(context, pem)
    return context


def _load(context: ssl.SSLContext, pem: bytes) -> None:
    """OpenSSL reads it from a path; it never lies on a disk."""
    descriptor = os.memfd_create("outrider-pem")
    try:
        os.write(descriptor, pem)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to us, since there may be two of them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def bind(address: Address) -> socket.socket:
    """A listening socket. OSError if the address cannot be had."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    # The protocol is named: only then asyncio switches Nagle's algorithm off, which holds answers back for 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address.host, address.port))
        # Before the address is announced: who reads it may connect at once, and waits in the queue.
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    listener.set_inheritable(True)
    return listener


async def reload_certificate(certificate: Certificate, known: bytes, context: ssl.SSLContext) -> None:
    """Loads changed files into the living context: new handshakes use them, connections go on. Runs until cancelled."""
    while True:
        await asyncio.sleep(CERTIFICATE_SECONDS)
        try:
            pem = certificate.read()
            if pem == known:
                continue
            server_context(pem)  # what is tried and what is loaded are the same bytes, whoever writes the files now
            _load(context, pem)
        except OSError as error:  # ssl.SSLError is one
            say("tls.reload.failed", cert=str(certificate.cert), reason=str(error))
            continue
        known = pem
        say("tls.reloaded", cert=str(certificate.cert))


async def serve(tracker: Tracker, plain: socket.socket, tls: tuple[socket.socket, Certificate] | None) -> int:
    """Serves until SIGTERM or SIGINT (0), or until the store breaks (1)."""
    async with tracker.running() as app:
        servers = [_server(app, None)]
        sockets = [plain]
        tasks: list[asyncio.Task[None]] = []
        if tls is not None:
            pem = tls[1].read()
            context = server_context(pem)
            servers.append(_server(app, context))
            sockets.append(tls[0])
            tasks.append(asyncio.create_task(reload_certificate(tls[1], pem, context)))
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        running = [
            asyncio.create_task(server.serve(sockets=[listener]))
            for server, listener in zip(servers, sockets, strict=True)
        ]
        _announce(plain, tls[0] if tls else None)
        ends = [asyncio.create_task(stopping.wait()), asyncio.create_task(tracker.failed.wait())]
        await asyncio.wait([*ends, *running], return_when=asyncio.FIRST_COMPLETED)
        tracker.stop_waiting()
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*running)
        for task in (*tasks, *ends):
            task.cancel()
        await asyncio.gather(*tasks, *ends, return_exceptions=True)
    return 1 if tracker.failed.is_set() else 0


def _server(app: object, context: ssl.SSLContext | None) -> _Server:
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        proxy_headers=False,
        ws="none",
        ssl_context_factory=None if context is None else lambda _config, _default: context,
    )
    return _Server(config)


def _announce(plain: socket.socket, tls: socket.socket | None) -> None:
    """One line of JSON on stdout: where we listen."""
    line: dict[str, str] = {"event": "listening", "http": f"http://{_show(plain)}"}
    if tls is not None:
        line["https"] = f"https://{_show(tls)}"
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _show(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
