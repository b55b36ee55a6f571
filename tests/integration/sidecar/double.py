"""A tracker for tests: docs/protocol.md section 5 over real HTTP, strict about every rule, with faults on request.

What it stores survives `stop` and `start`: that is a tracker that was restarted. It is written from the protocol's
text alone and shares no code with the sidecar or the tracker.
"""

from __future__ import annotations

import hashlib
import json
import socket
import ssl
import struct
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KINDS = {"stdout", "stderr", "events", "metrics", "user"}


class RefusedError(Exception):
    """An error answer."""

    def __init__(self, status: int, code: str, message: str = "", **more: Any) -> None:
        super().__init__(message or code)
        self.status = status
        self.body = {"error": {"code": code, "message": message or code, **more}}


@dataclass
class Generation:
    data: bytearray = field(default_factory=bytearray)
    lost: list[tuple[int, int, str]] = field(default_factory=list)

    def lost_bytes(self) -> int:
        return sum(end - start for start, end, _ in self.lost)

    def without_lost(self) -> bytes:
        """The received bytes, in order."""
        out, at = bytearray(), 0
        for start, end, _ in self.lost:
            out += self.data[at:start]
            at = end
        return bytes(out + self.data[at:])


@dataclass
class Stream:
    labels: dict[str, Any]
    generations: list[Generation] = field(default_factory=lambda: [Generation()])

    def copy(self) -> Stream:
        generations = [Generation(bytearray(g.data), list(g.lost)) for g in self.generations]
        return Stream(dict(self.labels), generations)

    def put(self, name: str, generation: int, offset: int, raw: bytes) -> None:
        newest = len(self.generations) - 1
        if generation == newest + 1:
            if offset:
                raise RefusedError(409, "gap", "a generation begins at 0", stream=name, generation=generation, end=0)
            self.generations.append(Generation())
        elif generation > newest + 1 or generation < 0:
            raise RefusedError(400, "frame", f"generation {generation} after {newest}")
        kept = self.generations[generation].data
        if generation < newest and offset + len(raw) > len(kept):
            raise RefusedError(
                409, "mismatch", "closed", stream=name, generation=newest, end=len(self.generations[-1].data)
            )
        if offset > len(kept):
            raise RefusedError(409, "gap", stream=name, generation=generation, end=len(kept))
        known = raw[: len(kept) - offset]
        if not self._same(generation, offset, known):
            raise RefusedError(409, "mismatch", stream=name, generation=generation, end=len(kept))
        kept += raw[len(known) :]

    def _same(self, generation: int, offset: int, known: bytes) -> bool:
        """Equal but where bytes were said to be lost."""
        mask = bytearray(known)
        for start, end, _ in self.generations[generation].lost:
            low, high = max(start - offset, 0), min(end - offset, len(mask))
            if low < high:
                mask[low:high] = bytes(high - low)
        return bytes(mask) == bytes(self.generations[generation].data[offset : offset + len(known)])

    def lose(self, name: str, generation: int, start: int, end: int, reason: str) -> None:
        if end < start:
            raise RefusedError(400, "frame", "a lost range that ends before it begins")
        newest = len(self.generations) - 1
        if generation == newest + 1:
            self.generations.append(Generation())
        elif not 0 <= generation <= newest:
            raise RefusedError(400, "frame", f"generation {generation} after {newest}")
        kept = self.generations[generation]
        if start > len(kept.data):
            raise RefusedError(409, "gap", stream=name, generation=generation, end=len(kept.data))
        if end > len(kept.data):
            kept.lost.append((len(kept.data), end, reason))
            kept.data += bytes(end - len(kept.data))


@dataclass
class Source:
    epoch: int = 0
    instance: str = ""
    declaration: dict[str, Any] = field(default_factory=dict)
    streams: dict[str, Stream] = field(default_factory=dict)
    files: dict[str, tuple[dict[str, Any], bytes]] = field(default_factory=dict)  # path -> (question, content)


class Double:
    """`fault(method, path)` is asked before each request: None, or one of
    "hang", "drop" (closed unanswered, nothing done), "drop-after" (done, then closed unanswered), or a RefusedError."""

    def __init__(self, token: str = "secret") -> None:
        self.token = token
        self.incarnation = "store-1"
        self.pace = 0.05
        self.directives: list[dict[str, Any]] = []
        self.sources: dict[str, Source] = {}
        self.appends: list[dict[str, Any]] = []  # of each accepted append: headers and frame counts
        self.fault: Callable[[str, str], str | RefusedError | None] = lambda _method, _path: None
        self.requests = 0
        self.changed = threading.Condition()
        self.released = threading.Event()  # hanging requests return
        self._uploads: dict[str, dict[str, Any]] = {}
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        # Bound and never listening: nobody else gets the port while this tracker is stopped.
        self._held = socket.socket()
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._held.bind(("127.0.0.1", 0))
        self.port: int = self._held.getsockname()[1]
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, context: ssl.SSLContext | None = None) -> None:
        double = self

        class Handler(_Handler):
            pass

        Handler.double = double
        self._server = _Server(("127.0.0.1", self.port), Handler)
        if context is not None:
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def stop(self) -> None:
        """Nobody listens any more, and open connections are cut."""
        assert self._server is not None
        assert self._thread is not None
        self._server.shutdown()
        self._server.server_close()
        self._server.cut()
        self._thread.join()
        self._server = None

    def close(self) -> None:
        self.released.set()
        if self._server is not None:
            self.stop()
        self._held.close()

    def wait_for(self, condition: Callable[[], bool], timeout: float = 30.0) -> None:
        """Until the condition holds; it is looked at after each request."""
        with self.changed:
            if not self.changed.wait_for(condition, timeout):
                raise AssertionError(f"not within {timeout} s; {self.requests} requests, {self.summary()}")

    def summary(self) -> dict[str, Any]:
        return {
            name: [(len(g.data), g.lost_bytes()) for g in stream.generations]
            for source in self.sources.values()
            for name, stream in source.streams.items()
        }

    def stream(self, name: str, source: str = "pod-1") -> Stream:
        return self.sources[source].streams[name]

    def data(self, name: str, source: str = "pod-1") -> bytes:
        """The only generation's bytes, none of which is lost; empty where the stream is not known."""
        if source not in self.sources or name not in self.sources[source].streams:
            return b""
        (generation,) = self.stream(name, source).generations
        assert not generation.lost, generation.lost
        return bytes(generation.data)

    def events(self, name: str = "sidecar/events", source: str = "pod-1") -> list[dict[str, Any]]:
        if source not in self.sources or name not in self.sources[source].streams:
            return []
        text = b"".join(g.without_lost() for g in self.stream(name, source).generations)
        return [json.loads(line) for line in text.splitlines()]

    # -------------------------------------------------------------- the doors

    def declare(self, source: str, body: dict[str, Any]) -> dict[str, Any]:
        if body.get("protocol") != 1 or not body.get("instance") or not isinstance(body.get("pod"), dict):
            raise RefusedError(400, "frame", f"declaration {body}")
        kept = self.sources.setdefault(source, Source())
        if body["instance"] != kept.instance:
            kept.epoch += 1
        kept.instance, kept.declaration = body["instance"], body
        streams = [
            {"name": name, "generation": len(s.generations) - 1, "end": len(s.generations[-1].data)}
            for name, s in kept.streams.items()
        ]
        return self._answer(epoch=kept.epoch, incarnation=self.incarnation, streams=streams)

    def append(self, source: str, headers: Any, body: bytes) -> dict[str, Any]:
        kept = self.sources.get(source)
        if kept is None:
            raise RefusedError(409, "undeclared")
        if headers["Outrider-Incarnation"] != self.incarnation:
            raise RefusedError(409, "incarnation")
        if int(headers["Outrider-Epoch"]) != kept.epoch:
            raise RefusedError(409, "fenced")
        if headers["Content-Type"] != "application/x-outrider-frames" or len(body) > 8 << 20:
            raise RefusedError(400, "frame", "content type or size")
        int(headers["Outrider-Wall"]), int(headers["Outrider-Mono"]), int(headers["Outrider-Unsent"])
        trial: dict[str, Stream] = {}
        unknown = 0
        frames = parse(body)
        for header, payload in frames:
            unknown += self._apply(kept, trial, header, payload)
        kept.streams.update(trial)  # whole or not at all
        self.appends.append({"unsent": int(headers["Outrider-Unsent"]), "frames": [header for header, _ in frames]})
        ends = {name: [len(s.generations) - 1, len(s.generations[-1].data)] for name, s in trial.items()}
        return self._answer(ends=ends, unknownFrames=unknown)

    def _apply(self, kept: Source, trial: dict[str, Stream], header: dict[str, Any], payload: bytes) -> int:
        if header["t"] not in {"stream", "data", "lost"}:
            return 1
        name = header["s"]
        if len(name) > 255:
            raise RefusedError(400, "frame", "name too long")
        if name not in trial and name in kept.streams:
            trial[name] = kept.streams[name].copy()
        if header["t"] == "stream":
            if header["labels"].get("kind") not in KINDS:
                raise RefusedError(400, "frame", f"labels of {name}: {header['labels']}")
            trial.setdefault(name, Stream({})).labels |= header["labels"]
            return 0
        if name not in trial:
            raise RefusedError(409, "undeclared", stream=name)
        if header["t"] == "lost":
            trial[name].lose(name, header["g"], header["from"], header["to"], header["reason"])
        else:
            trial[name].put(name, header["g"], header["o"], unpack(header, payload))
        return 0

    def ask_file(self, source: str, body: dict[str, Any]) -> dict[str, Any]:
        if set(body) - {"container"} != {"path", "size", "sha256", "mtime", "policy"}:
            raise RefusedError(400, "frame", f"fields {sorted(body)}")
        kept = self.sources.setdefault(source, Source())
        for _, content in kept.files.values():
            if hashlib.sha256(content).hexdigest() == body["sha256"]:
                kept.files[body["path"]] = (body, content)
                return {"state": "stored", "file": "f"}
        upload = f"u{len(self._uploads)}"
        self._uploads[upload] = {"question": body, "source": source}
        url = f"/ingest/v1/uploads/{upload}?signature=1"
        return {"state": "upload", "method": "PUT", "url": url, "expires": 1}

    def put_file(self, upload: str, content: bytes) -> None:
        if len(content) != self._uploads[upload]["question"]["size"]:
            raise RefusedError(422, "digest", "length")
        self._uploads[upload]["content"] = content

    def commit_file(self, upload: str) -> dict[str, Any]:
        kept = self._uploads.pop(upload)
        question = kept["question"]
        if hashlib.sha256(kept["content"]).hexdigest() != question["sha256"]:
            raise RefusedError(422, "digest")
        self.sources[kept["source"]].files[question["path"]] = (question, kept["content"])
        return {"file": "f"}

    def _answer(self, **more: Any) -> dict[str, Any]:
        directives, self.directives = self.directives, []
        return {**more, "pace": {"interval": self.pace}, "directives": directives}


def parse(body: bytes) -> list[tuple[dict[str, Any], bytes]]:
    if body[:4] != b"ORF1":
        raise RefusedError(400, "frame", "magic")
    frames, at = [], 4
    while at < len(body):
        (length,) = struct.unpack_from("<I", body, at)
        if length > 4096 or at + 4 + length > len(body):
            raise RefusedError(400, "frame", f"header of {length} bytes")
        header = json.loads(body[at + 4 : at + 4 + length])
        at += 4 + length
        size = header.get("c", 0)
        if at + size > len(body):
            raise RefusedError(400, "frame", "short payload")
        frames.append((header, body[at : at + size]))
        at += size
    return frames


def unpack(header: dict[str, Any], payload: bytes) -> bytes:
    raw = zlib.decompress(payload) if header["z"] == "zlib" else payload
    if not 0 < len(raw) <= 1 << 20 or len(raw) != header["n"] or zlib.crc32(raw) != header["crc"]:
        raise RefusedError(400, "frame", "length or crc")
    return raw


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, *args: Any) -> None:
        self.sockets: set[socket.socket] = set()
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.sockets.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.sockets.discard(request)
        super().shutdown_request(request)

    def cut(self) -> None:
        for sock in list(self.sockets):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it was closed already

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections that tests cut are no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    double: Double

    def log_message(self, *args: Any) -> None:
        """Quiet."""

    def do_PUT(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        double = self.double
        body = self.rfile.read(int(self.headers["Content-Length"]))
        fault = double.fault(self.command, self.path)
        if fault == "hang":
            double.released.wait()
        if fault in {"hang", "drop"}:
            self.close_connection = True
            return
        with double.changed:
            double.requests += 1
            try:
                if isinstance(fault, RefusedError):
                    raise fault
                status, answer = self._route(body)
            except RefusedError as refused:
                status, answer = refused.status, refused.body
            double.changed.notify_all()
        if fault == "drop-after":
            self.close_connection = True
            return
        data = b"" if status == 204 else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        if status in {429, 503, 507}:
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(data)

    def _route(self, body: bytes) -> tuple[int, Any]:
        path = self.path.partition("?")[0].strip("/").split("/")
        if path[:2] != ["ingest", "v1"]:
            raise RefusedError(404, "not_found")
        if path[2] == "uploads" and self.command == "PUT":
            self.double.put_file(path[3], body)
            return 204, None
        if self.headers["Authorization"] != f"Bearer {self.double.token}":
            raise RefusedError(401, "unauthenticated")
        match self.command, path[2:]:
            case "PUT", ["sources", source]:
                return 200, self.double.declare(source, json.loads(body))
            case "POST", ["sources", source, "append"]:
                return 200, self.double.append(source, self.headers, body)
            case "POST", ["sources", source, "files"]:
                return 200, self.double.ask_file(source, json.loads(body))
            case "POST", ["uploads", upload, "commit"]:
                return 200, self.double.commit_file(upload)
        raise RefusedError(404, "not_found")
