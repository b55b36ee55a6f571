"""Files of runs: asked for, listed, deleted. Their bytes: uploads.py."""

from __future__ import annotations

import base64
import binascii
import mimetypes
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from graphql import GraphQLResolveInfo

from outrider_sidecar import contract
from outrider_tracker.core.errors import RefusedError
from outrider_tracker.core.file_names import is_file_name
from outrider_tracker.core.rules import Action
from outrider_tracker.notifier import sdk_run_topic
from outrider_tracker.store import run_files, sdk_runs
from outrider_tracker.store.run_files import RunFile
from outrider_tracker.store.sdk_runs import SdkRun
from outrider_tracker.wandb import signed
from outrider_tracker.wandb.context import Context, Resolvers
from outrider_tracker.wandb.nodes import DEFAULT_PROJECT, RunNode, default_entity, demand_run

Info = GraphQLResolveInfo[Any]
MAX_ASKED: Final = 10_000  # names in one request
MAX_LISTED: Final = 10_000  # files of a list that is not asked for in pages
MAX_PATTERN: Final = 1000
MAX_WILDCARDS: Final = 8  # each multiplies the work of LIKE
_PREFIX: Final = "RunFile:v1:"


@dataclass(frozen=True, slots=True)
class FileNode:
    """A value of type File; `file` None: the run has none of this name."""

    graphql_type: ClassVar[str] = "File"
    run: RunNode
    name: str
    file: RunFile | None

    @property
    def id(self) -> str:
        """Names the run's storage id and the file."""
        return base64.b64encode(f"{_PREFIX}{self.run.run.storage_id}:{self.name}".encode()).decode()

    @property
    def sizeBytes(self) -> int:  # noqa: N802
        """0 if there is no such file: that is how clients know."""
        return 0 if self.file is None else self.file.size

    @property
    def mimetype(self) -> str:
        """What the name says."""
        return mimetypes.guess_type(self.name)[0] or "application/octet-stream"

    @property
    def updatedAt(self) -> float | None:  # noqa: N802
        """Unix seconds."""
        return None if self.file is None else self.file.updated

    @property
    def md5(self) -> str:
        """Base64; "0" if there is no such file: that is how `wandb.restore` knows."""
        return "0" if self.file is None else self.file.md5 or ""

    @property
    def digest(self) -> str:
        """The same."""
        return self.md5

    @property
    def directUrl(self) -> str:  # noqa: N802
        """Where to GET it."""
        return signed.download_url(self.run.context, self.run.run.id, self.name)

    @property
    def uploadUrl(self) -> str | None:  # noqa: N802
        """Where to PUT it, for those who may."""
        return signed.upload_url(self.run.context, self.run.run.id, self.name) if _may_upload(self) else None


def file_url(parent: FileNode, _info: Info, *, upload: bool | None = None) -> str | None:
    """File.url."""
    return parent.uploadUrl if upload else parent.directUrl


def file_count(parent: RunNode, info: Info) -> int:
    """Run.fileCount."""
    context: Context = info.context
    return context.read(lambda connection: run_files.count_files(connection, parent.run.id))


def files(  # noqa: PLR0917  the field's arguments
    parent: RunNode,
    info: Info,
    names: Sequence[str | None] | None = None,
    after: str | None = None,
    first: int | None = None,
    pattern: str | None = None,
    upload: bool | None = None,  # noqa: ARG001  older clients say it here; File.url has it, too
) -> dict[str, Any]:
    """Run.files."""
    context: Context = info.context
    wanted = [name for name in names or () if name is not None]
    if len(wanted) > MAX_ASKED:
        raise RefusedError(contract.ERROR_FRAME, f"at most {MAX_ASKED} files are asked for at once")
    limit = MAX_LISTED if first is None else first
    start = _read_cursor(after)
    if wanted:
        return context.read(lambda connection: _named(connection, parent, wanted, start, limit))
    if pattern is not None and (len(pattern) > MAX_PATTERN or pattern.count("%") > MAX_WILDCARDS):
        raise RefusedError(
            contract.ERROR_FRAME, f"a pattern has at most {MAX_PATTERN} characters, and {MAX_WILDCARDS} of them are %"
        )
    run = parent.run.id
    return context.read(
        lambda connection: _connection(
            parent,
            run_files.list_files(connection, run, after=start, pattern=pattern or None, limit=limit + 1),
            limit,
            run_files.count_files(connection, run),
            bool(start),
        )
    )


def create_run_files(_parent: Any, info: Info, *, input: Mapping[str, Any]) -> dict[str, Any]:  # noqa: A002
    """Mutation.createRunFiles."""
    context: Context = info.context
    names = input["files"]
    if len(names) > MAX_ASKED:
        raise RefusedError(contract.ERROR_FRAME, f"at most {MAX_ASKED} files are asked for at once")
    run = _writable(context, input)
    return {
        "runID": run.storage_id,
        "uploadHeaders": [],
        "files": [
            {"name": name, "uploadUrl": signed.upload_url(context, run.id, name) if is_file_name(name) else None}
            for name in names
        ],
    }


def mark_uploaded(_parent: Any, info: Info, *, input: Mapping[str, Any]) -> dict[str, Any]:  # noqa: A002
    """Mutation.markRunFilesUploaded: a file is there as soon as its PUT was answered."""
    context: Context = info.context
    run = _writable(context, input)
    context.notifier.publish([sdk_run_topic(run.id)])
    return {"success": True}


def delete_files(_parent: Any, info: Info, *, input: Mapping[str, Any]) -> dict[str, Any]:  # noqa: A002
    """Mutation.deleteFiles."""
    context: Context = info.context
    wanted: dict[str, list[str]] = {}
    for file in input["files"][:MAX_ASKED]:
        run, name = _parse_id(file)
        wanted.setdefault(run, []).append(name)

    def delete(connection: sqlite3.Connection) -> list[int]:
        runs = []
        for storage_id, names in wanted.items():
            run = demand_run(connection, context, storage_id, Action.DELETE)
            run_files.delete_files(connection, run.id, names)
            runs.append(run.id)
        return runs

    context.notifier.publish([sdk_run_topic(run) for run in context.write(delete)])
    return {"success": True}


def _writable(context: Context, given: Mapping[str, Any]) -> SdkRun:
    """The run that the client names, which it may write. RefusedError: 403, 404."""
    entity = given.get("entityName") or default_entity(context.principal)
    address = sdk_runs.storage_id(entity, given.get("projectName") or DEFAULT_PROJECT, given["runName"])
    return context.read(lambda connection: demand_run(connection, context, address, Action.WRITE))


def _may_upload(node: FileNode) -> bool:
    context = node.run.context
    if not is_file_name(node.name):
        return False
    try:
        context.read(lambda connection: demand_run(connection, context, node.run.run.storage_id, Action.WRITE))
    except RefusedError:
        return False
    return True


def _named(
    connection: sqlite3.Connection, parent: RunNode, names: Sequence[str], after: str, limit: int
) -> dict[str, Any]:
    """Files by the order of their names in the question; what is not there is answered, too."""
    unique = list(dict.fromkeys(names))
    start = unique.index(after) + 1 if after in unique else 0
    part = unique[start : start + limit]
    found = {name: run_files.get_file(connection, parent.run.id, name) for name in part}
    edges = [{"node": FileNode(parent, name, file), "cursor": _cursor(name)} for name, file in found.items()]
    return _answer(edges, more=start + limit < len(unique), total=len(unique), before=start > 0)


def _connection(parent: RunNode, found: Sequence[RunFile], limit: int, total: int, before: bool) -> dict[str, Any]:
    edges = [{"node": FileNode(parent, file.name, file), "cursor": _cursor(file.name)} for file in found[:limit]]
    return _answer(edges, more=len(found) > limit, total=total, before=before)


def _answer(edges: Sequence[Mapping[str, Any]], *, more: bool, total: int, before: bool) -> dict[str, Any]:
    return {
        "edges": edges,
        "totalCount": total,
        "uploadHeaders": [],
        "pageInfo": {
            "hasNextPage": more,
            "hasPreviousPage": before,
            "startCursor": edges[0]["cursor"] if edges else None,
            "endCursor": edges[-1]["cursor"] if edges else None,
        },
    }


def _cursor(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def _read_cursor(cursor: str | None) -> str:
    if not cursor:
        return ""
    try:
        return base64.urlsafe_b64decode(cursor).decode()
    except (binascii.Error, ValueError):
        raise RefusedError(contract.ERROR_FRAME, "the cursor is not one that this list answered") from None


def _parse_id(text: str) -> tuple[str, str]:
    """(the run's storage id, name) of a file's id. RefusedError (404): it is none."""
    try:
        decoded = base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError):
        decoded = ""
    run, colon, name = decoded.removeprefix(_PREFIX).partition(":")
    if not decoded.startswith(_PREFIX) or not colon:
        raise RefusedError(contract.ERROR_FRAME, f"{text[:80]!r} is no id of a run's file", status=404)
    return run, name


RESOLVERS: Resolvers = {
    "Run.fileCount": file_count,
    "Run.files": files,
    "File.url": file_url,
    "Mutation.createRunFiles": create_run_files,
    "Mutation.markRunFilesUploaded": mark_uploaded,
    "Mutation.deleteFiles": delete_files,
}
