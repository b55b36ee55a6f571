"""Files: ask, PUT to a staging file by a signed address, commit by length and SHA-256."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import re
import secrets
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from outrider_sidecar import contract
from outrider_tracker import failpoints, http
from outrider_tracker.core.errors import RefusedError
from outrider_tracker.ingest.context import Ingest, check_owner
from outrider_tracker.ingest.watermarks import FILES, RETRY_AFTER
from outrider_tracker.store import files
from outrider_tracker.store.errors import StorageFullError
from outrider_tracker.store.files import UploadRow, WantedFile
from outrider_tracker.store.folder import sync_folder

SHA256: Final = re.compile(r"[0-9a-f]{64}")
MAX_PATH: Final = 4096
MAX_SIZE: Final = 1 << 50
MAX_MTIME: Final = 1 << 53  # Unix seconds, either side
POLICIES: Final = ("live", "end")
PURPOSE: Final = "upload PUT"


def routes(ingest: Ingest) -> list[Route]:
    """The doors."""
    doors = Uploads(ingest)
    return [
        Route("/ingest/v1/sources/{source}/files", http.door(doors.ask), methods=["POST"]),
        Route("/ingest/v1/uploads/{upload}", http.door(doors.put), methods=["PUT"]),
        Route("/ingest/v1/uploads/{upload}/commit", http.door(doors.commit), methods=["POST"]),
    ]


class Uploads:
    """Handlers over one Ingest."""

    def __init__(self, ingest: Ingest) -> None:
        self._ingest = ingest

    async def ask(self, request: Request) -> Response:
        """`POST /ingest/v1/sources/{source}/files`: stored already, or where to put it."""
        ingest = self._ingest
        _, _, row = await ingest.own_source(request)
        ingest.limits.admit(row.entity, 0)
        wanted = _wanted(await http.read_json(request))
        now = ingest.clock()
        if await ingest.work(
            ingest.store.readers.read, lambda connection: files.find_stored(connection, row.id, wanted)
        ):
            job = ingest.store.writer.submit(
                lambda connection: files.add_file(connection, row.id, wanted, now), tenant=row.entity
            )
            return http.answer({"state": "stored", "file": await asyncio.wrap_future(job)})
        self._refuse_when_full(wanted)
        over = ingest.limits.over_storage(row.entity, wanted.size)
        if over is not None:
            accepts = [kind for kind in ingest.gauge.accepts() if kind != FILES]
            raise RefusedError(contract.ERROR_STORAGE_FULL, over, retry_after=RETRY_AFTER, accepts=accepts)
        made = ingest.store.writer.submit(
            lambda connection: files.add_upload(connection, row.id, wanted, now), tenant=row.entity
        )
        upload = await asyncio.wrap_future(made)
        expires = int(now + files.UPLOAD_SECONDS)
        token = ingest.signer.sign(PURPOSE, f"{upload}:{wanted.size}", expires)
        return http.answer(
            {
                "state": "upload",
                "method": "PUT",
                "url": f"/ingest/v1/uploads/{upload}?signature={quote(token)}",
                "expires": expires,
            }
        )

    async def put(self, request: Request) -> Response:
        """`PUT /ingest/v1/uploads/{upload}?signature=…`: the address itself is the permission, for these bytes only."""
        ingest = self._ingest
        upload = request.path_params["upload"]
        signed = ingest.signer.verify(PURPOSE, request.query_params.get("signature", ""))
        row = None if signed is None else await self._row(upload)
        if row is None or signed != f"{upload}:{row.wanted.size}":
            raise RefusedError(
                contract.ERROR_FORBIDDEN, "this address is not one that the tracker gave, or its time is over: ask anew"
            )
        announced = http.content_length(request)
        if announced is not None and announced != row.wanted.size:
            raise _digest(f"the file has {row.wanted.size} bytes, the request {announced}")
        self._refuse_when_full(row.wanted)
        owner = await ingest.work(self._owner, row.source)
        if owner is not None:
            ingest.limits.admit(owner[1].entity, row.wanted.size)
        digest = await self._receive(request, row)
        job = ingest.store.writer.submit(lambda connection: files.set_received(connection, upload, digest))
        await asyncio.wrap_future(job)
        return Response(status_code=204)

    async def commit(self, request: Request) -> Response:
        """`POST /ingest/v1/uploads/{upload}/commit`: the file, if the bytes are the announced ones."""
        ingest = self._ingest
        principal = await ingest.gate.principal(request)
        row = await self._row(request.path_params["upload"])
        owner = None if row is None else await ingest.work(self._owner, row.source)
        if row is None or owner is None:
            raise RefusedError(contract.ERROR_UNDECLARED, "there is no such upload: ask for the file anew")
        uid, source = owner
        check_owner(principal, uid, source)
        if row.file is not None:
            return http.answer({"file": row.file})
        staged = self._staged(row.id, row.wanted.sha256)
        if row.received != row.wanted.sha256:
            job = ingest.store.writer.submit(lambda connection: files.drop_upload(connection, row.id))
            await asyncio.wrap_future(job)
            if row.received is not None:
                await ingest.work(self._staged(row.id, row.received).unlink, missing_ok=True)
            raise _digest("the uploaded bytes do not have the announced SHA-256, or never came: nothing was kept")
        await ingest.work(self._adopt, row, staged)
        failpoints.passing(failpoints.FILE_AFTER_RENAME)
        now = ingest.clock()
        done = ingest.store.writer.submit(
            lambda connection: files.finish_upload(connection, row, now), tenant=source.entity
        )
        return http.answer({"file": await asyncio.wrap_future(done)})

    def _adopt(self, row: UploadRow, staged: Path) -> None:
        """Moves the staged bytes to their key. A repeated commit finds them there already."""
        try:
            self._ingest.store.blobs.adopt(row.wanted.sha256, staged)
        except FileNotFoundError:
            if not self._ingest.store.blobs.location(row.wanted.sha256).exists():
                raise _digest("the uploaded bytes are gone: ask for the file anew") from None

    def _owner(self, source: int) -> tuple[str, Any] | None:
        uid = self._ingest.store.readers.read(
            lambda connection: connection.execute("SELECT uid FROM source WHERE id = ?", (source,)).fetchone()
        )
        if uid is None:
            return None
        row = self._ingest.find_source(uid[0])
        return None if row is None else (uid[0], row)

    async def _row(self, upload: str) -> UploadRow | None:
        read = self._ingest.store.readers.read
        return await self._ingest.work(read, lambda connection: files.get_upload(connection, upload))

    def _staged(self, upload: str, sha256: str) -> Path:
        """The digest is in the name, so that a second PUT cannot slip other bytes under what the first one recorded."""
        return self._ingest.store.folder.staging / f"{upload}.{sha256}"

    async def _receive(self, request: Request, row: UploadRow) -> str:
        """Writes the body to staging, durably; its SHA-256. RefusedError (digest) if it has another length."""
        part = self._ingest.store.folder.staging / f"{row.id}.{secrets.token_hex(8)}.part"
        digest = hashlib.sha256()
        size = 0
        file = await self._ingest.work(open, part, "xb")
        try:
            async for piece in http.body_pieces(request):
                size += len(piece)
                if size > row.wanted.size:
                    raise _digest(f"the request is longer than the file's {row.wanted.size} bytes")
                digest.update(piece)
                await self._ingest.work(file.write, piece)
            if size != row.wanted.size:
                raise _digest(f"the file has {row.wanted.size} bytes, the request {size}")
            await self._ingest.work(_settle, file, part, self._staged(row.id, digest.hexdigest()))
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise StorageFullError(f"no room for the file: {error.strerror}") from error
            raise
        finally:
            file.close()
            part.unlink(missing_ok=True)
        return digest.hexdigest()

    def _refuse_when_full(self, wanted: WantedFile) -> None:
        gauge = self._ingest.gauge
        disk = gauge.disk()
        after = 1.0 - (disk.free - wanted.size) / disk.total if disk.total else 1.0
        if FILES not in gauge.accepts() or after >= gauge.marks.logs:
            raise RefusedError(
                contract.ERROR_STORAGE_FULL,
                f"the tracker's disk is {disk.used:.0%} full: it takes no file of {wanted.size} bytes until there is "
                "room",
                retry_after=RETRY_AFTER,
                accepts=[kind for kind in gauge.accepts() if kind != FILES],
            )


def _settle(file: BinaryIO, part: Path, staged: Path) -> None:
    """Makes the written bytes durable under their staging name."""
    file.flush()
    os.fsync(file.fileno())
    part.rename(staged)
    sync_folder(staged.parent)


def _wanted(body: dict[str, Any]) -> WantedFile:
    """What is asked for. RefusedError (frame) says which field is wrong."""
    path, size, sha256, policy = body.get("path"), body.get("size"), body.get("sha256"), body.get("policy")
    mtime, container = body.get("mtime"), body.get("container")
    if not isinstance(path, str) or not 0 < len(path) <= MAX_PATH or "\0" in path:
        raise RefusedError(contract.ERROR_FRAME, f"path is a text of 1 to {MAX_PATH} characters")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= MAX_SIZE:
        raise RefusedError(contract.ERROR_FRAME, f"size is a number of bytes up to {MAX_SIZE}")
    if not isinstance(sha256, str) or SHA256.fullmatch(sha256) is None:
        raise RefusedError(contract.ERROR_FRAME, "sha256 is 64 hexadecimal digits in lower case")
    if policy not in POLICIES:
        raise RefusedError(contract.ERROR_FRAME, "policy is live or end")
    known = isinstance(mtime, (int, float)) and abs(mtime) <= MAX_MTIME  # neither NaN nor beyond what doubles can say
    if not (mtime is None or known) or not isinstance(container, (str, type(None))):
        raise RefusedError(contract.ERROR_FRAME, "mtime is a number of seconds, container a text")
    return WantedFile(path, size, sha256, None if mtime is None else float(mtime), str(policy), container)


def _digest(message: str) -> RefusedError:
    return RefusedError(contract.ERROR_DIGEST, message)
