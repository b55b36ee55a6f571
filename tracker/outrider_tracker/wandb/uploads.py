"""Bytes of runs' files: PUT to a signed address, GET from one. The address itself is the permission."""

from __future__ import annotations

import base64
import errno
import hashlib
import os
import secrets
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from outrider_sidecar import contract
from outrider_tracker import failpoints, http
from outrider_tracker.core import ranges
from outrider_tracker.core.errors import RefusedError
from outrider_tracker.core.user_bytes import USER_BYTES, attachment
from outrider_tracker.notifier import sdk_run_topic
from outrider_tracker.store import run_files, sdk_runs
from outrider_tracker.store.errors import StorageFullError
from outrider_tracker.store.folder import sync_folder
from outrider_tracker.store.run_files import RunFile
from outrider_tracker.store.sdk_runs import SdkRun
from outrider_tracker.wandb import signed
from outrider_tracker.wandb.composition import Wandb
from outrider_tracker.wandb.errors import answer, door

MAX_SIZE: Final = 1 << 40
FILES: Final = "files"


def routes(wandb: Wandb) -> list[Route]:
    """The doors."""
    doors = Uploads(wandb)
    return [
        Route("/wandb/upload/{token}", door(doors.put), methods=["PUT"]),
        Route("/wandb/files/{token}", door(doors.get), methods=["GET", "HEAD"]),
    ]


@dataclass(frozen=True, slots=True)
class _Received:
    """Bytes that are durable in staging."""

    staged: Path
    sha256: str
    md5: str
    size: int


@dataclass(frozen=True, slots=True)
class Uploads:
    """Handlers over one Wandb."""

    wandb: Wandb

    async def put(self, request: Request) -> Response:
        """`PUT /wandb/upload/{token}`: the file has these bytes from now on. They are durable when this is answered."""
        wandb = self.wandb
        run, name = await self._named(request, signed.PUT)
        announced = http.content_length(request)
        if announced is not None and announced > MAX_SIZE:
            raise http.too_large(MAX_SIZE)
        self._refuse_when_full()
        wandb.limits.admit(run.entity, announced or 0)
        wandb.limits.check_storage(run.entity, announced or 0)
        received = await self._receive(request, announced)
        try:
            await wandb.work(wandb.store.blobs.adopt, received.sha256, received.staged)
        finally:
            await wandb.work(received.staged.unlink, missing_ok=True)
        failpoints.passing(failpoints.FILE_AFTER_RENAME)
        file = RunFile(name, received.sha256, received.size, wandb.store.clock(), received.md5)

        def put(connection: sqlite3.Connection) -> None:
            if sdk_runs.run_by_id(connection, run.id) is None:
                raise _gone()
            run_files.put_file(connection, run.id, file)

        await wandb.write(put, tenant=run.entity)
        failpoints.passing(failpoints.BEFORE_ANSWER)
        wandb.notifier.publish([sdk_run_topic(run.id)])
        return answer({})

    async def get(self, request: Request) -> Response:
        """`GET /wandb/files/{token}`: the bytes, as an attachment; `Range` gives a part."""
        wandb = self.wandb
        run, name = await self._named(request, signed.GET)
        read = wandb.store.readers.read
        file = await wandb.work(read, lambda connection: run_files.get_file(connection, run.id, name))
        if file is None:
            raise RefusedError(contract.ERROR_FRAME, f"the run {run.name!r} has no file {name[:200]!r}", status=404)
        tag = f'"{file.sha256}"'
        sent = {
            **USER_BYTES,
            "Content-Disposition": attachment(name),
            "Accept-Ranges": "bytes",
            "ETag": tag,
        }
        asked = request.headers.get("range") if request.headers.get("if-range", tag) == tag else None
        try:
            span = ranges.parse(asked, file.size)
        except ranges.UnsatisfiableError:
            raise RefusedError(
                contract.ERROR_FRAME,
                f"the range lies beyond the file's end: it has {file.size} bytes",
                status=416,
                headers={"Content-Range": f"bytes */{file.size}"},
            ) from None
        start, stop = (span.start, span.stop) if span else (0, file.size)
        sent["Content-Length"] = str(stop - start)
        if span:
            sent["Content-Range"] = span.content_range
        # Opened before the answer begins: a sweep from now on does not take the bytes away.
        try:
            opened = await wandb.work(open, wandb.store.blobs.location(file.sha256), "rb")
        except FileNotFoundError:
            raise _gone() from None
        body = http.file_pieces(wandb.work, opened, start, 0 if request.method == "HEAD" else stop)
        return StreamingResponse(body, 206 if span else 200, sent, media_type="application/octet-stream")

    async def _named(self, request: Request, purpose: str) -> tuple[SdkRun, str]:
        """The run and the file's name that the address stands for. RefusedError: 403, 404."""
        wandb = self.wandb
        found = signed.read(wandb.signer, purpose, request.path_params["token"])
        if found is None:
            raise RefusedError(
                contract.ERROR_FORBIDDEN, "this address is not one that the tracker gave, or its hour is over: ask anew"
            )
        read = wandb.store.readers.read
        run = await wandb.work(read, lambda connection: sdk_runs.run_by_id(connection, found[0]))
        if run is None:
            raise _gone()
        return run, found[1]

    async def _receive(self, request: Request, announced: int | None) -> _Received:
        """Writes the body to staging, durably."""
        wandb = self.wandb
        staged = wandb.store.folder.staging / f"{secrets.token_hex(16)}.part"
        digests = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
        size = 0
        file = await wandb.work(open, staged, "xb")
        complete = False
        try:
            async for piece in http.body_pieces(request):
                size += len(piece)
                if size > MAX_SIZE:
                    raise http.too_large(MAX_SIZE)
                await wandb.work(_take, file, piece, digests)
            if announced is not None and size != announced:
                raise RefusedError(contract.ERROR_FRAME, f"{announced} bytes were announced, {size} came")
            await wandb.work(_settle, file, staged)
            complete = True
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise StorageFullError(f"no room for the file: {error.strerror}") from error
            raise
        finally:
            file.close()
            if not complete:
                staged.unlink(missing_ok=True)
        return _Received(staged, digests[0].hexdigest(), base64.b64encode(digests[1].digest()).decode(), size)

    def _refuse_when_full(self) -> None:
        if FILES not in self.wandb.gauge.accepts():
            raise RefusedError(
                contract.ERROR_STORAGE_FULL,
                "the tracker's disk is nearly full: it takes no files until there is room",
                retry_after=30,
            )


def _take(file: BinaryIO, piece: bytes, digests: tuple[hashlib._Hash, ...]) -> None:
    for digest in digests:
        digest.update(piece)
    file.write(piece)


def _settle(file: BinaryIO, staged: Path) -> None:
    """Makes the written bytes durable."""
    file.flush()
    os.fsync(file.fileno())
    sync_folder(staged.parent)


def _gone() -> RefusedError:
    return RefusedError(contract.ERROR_UNDECLARED, "the run or its file was deleted meanwhile", status=404)
