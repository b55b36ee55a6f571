"""What a run logged: rows of history and events, whole or sampled, and the lines of its console."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any, Final

from outrider_sidecar import contract
from outrider_tracker.core import jsontext
from outrider_tracker.core.errors import RefusedError
from outrider_tracker.store import console_lines, read_rows, read_sdk_series
from outrider_tracker.store.line_blocks import LineFile
from outrider_tracker.store.lines import line_counts, tail_lines
from outrider_tracker.wandb.context import Resolver, Resolvers
from outrider_tracker.wandb.nodes import RunNode

Info = Any
Node = dict[str, Any]
SAMPLES: Final = 500  # rows, where a client names no number
MAX_SAMPLES: Final = 10_000
MAX_SPECS: Final = 50
MAX_KEYS: Final = 1000
MAX_RANGE: Final = 10_000  # rows that one range of steps gives; a client asks for a thousand steps at once
MAX_STEP: Final = (1 << 62) - 1
TAIL: Final = 1  # lines from which a client that resumes learns the last step and its running time
LOG_LINES: Final = 1000
MAX_LOG_LINES: Final = 10_000


# W&B's names of arguments.
def history(
    parent: RunNode,
    _info: Info,
    minStep: int | None = None,  # noqa: N803
    maxStep: int | None = None,  # noqa: N803
    samples: int | None = None,
) -> list[str]:
    """Rows as they were logged: those of a range of steps, all of them; or a sample of all rows."""
    run = parent.run.id
    if minStep is None and maxStep is None:
        rows = parent.context.read(
            lambda connection: read_rows.sample_rows(connection, run, LineFile.HISTORY, _samples(samples))
        )
        return [json.dumps(row) for row in rows]
    low = 0 if minStep is None else minStep
    high = MAX_STEP if maxStep is None else maxStep
    return parent.context.read(lambda connection: read_rows.rows_between(connection, run, low, high, MAX_RANGE))


def events(parent: RunNode, _info: Info, samples: int | None = None) -> list[str]:
    """A sample of the rows of system metrics."""
    rows = parent.context.read(
        lambda connection: read_rows.sample_rows(connection, parent.run.id, LineFile.EVENTS, _samples(samples))
    )
    return [json.dumps(row) for row in rows]


def sampled_history(parent: RunNode, _info: Info, specs: list[str]) -> list[list[Any]]:
    """For each spec a list of rows that have all of its keys."""
    if len(specs) > MAX_SPECS:
        raise RefusedError(contract.ERROR_FRAME, f"at most {MAX_SPECS} specs are answered at once")
    wanted = [_read_spec(text) for text in specs]

    def read(connection: sqlite3.Connection) -> list[list[Any]]:
        return [
            read_rows.sample_rows(connection, parent.run.id, LineFile.HISTORY, samples, keys, low, high)
            for keys, samples, low, high in wanted
        ]

    return parent.context.read(read)


def _read_spec(text: str) -> tuple[list[str], int, int | None, int | None]:
    """Keys, number of samples, steps [low, high)."""
    try:
        spec = json.loads(text)
    except (ValueError, RecursionError):
        spec = None
    if not isinstance(spec, Mapping):
        raise RefusedError(contract.ERROR_FRAME, 'a spec is a JSON object such as {"keys": ["loss"], "samples": 500}')
    keys = spec.get("keys") or []
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or len(keys) > MAX_KEYS:
        raise RefusedError(contract.ERROR_FRAME, f"a spec's keys are at most {MAX_KEYS} texts")
    low, high, samples = (_whole(spec, name) for name in ("minStep", "maxStep", "samples"))
    if high is not None and not _ends_before(low or 0, high, samples):
        high += 1
    return keys, _samples(samples), low, high


def _ends_before(low: int, high: int, samples: int | None) -> bool:
    """Whether a spec's range ends before its `maxStep`.

    It includes that step, and a client that scans asks for as many samples as its page has steps. Clients up to 0.26
    thought otherwise: they ask for a page of `samples` steps (or a shorter last one) that ends before `maxStep`, and
    would get the rows there twice.
    """
    return samples is not None and samples >= high - low and samples != high - low + 1


def _whole(spec: Mapping[str, Any], name: str) -> int | None:
    value = spec.get(name)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise RefusedError(contract.ERROR_FRAME, f"a spec's {name} is a whole number")
    return None if value is None else max(-MAX_STEP, min(value, MAX_STEP))


def _samples(wanted: int | None) -> int:
    return SAMPLES if wanted is None else max(0, min(wanted, MAX_SAMPLES))


def parquet_history(parent: RunNode, _info: Info, liveKeys: list[str]) -> Node:  # noqa: N803
    """History is never exported: the first row is "live", and so are all behind it.

    Clients up to 0.28 read no pages at all where nothing is live.
    """

    def read(connection: sqlite3.Connection) -> list[str]:
        return read_rows.rows_between(connection, parent.run.id, 0, MAX_STEP, 1)

    rows = [json.loads(text) for text in parent.context.read(read)]
    live = [{key: row[key] for key in liveKeys if key in row} for row in rows]
    return {"parquetUrls": [], "liveData": live}


def history_keys(parent: RunNode, _info: Info) -> Node:
    """Which keys there are, of which types, and the last step: a client scans history no further."""
    found = parent.context.read(lambda connection: read_rows.key_statistics(connection, parent.run.id))
    return {**found, "keys": {key: jsontext.portion(entry) for key, entry in found["keys"].items()}}


def system_metrics(parent: RunNode, _info: Info) -> Node:
    """The newest value of each system metric."""
    return parent.context.read(lambda connection: read_sdk_series.newest_system(connection, parent.run.id))


def line_count(file: LineFile) -> Resolver:
    """A resolver for the number of lines: of the writer who asks, of all writers for others."""

    def resolve(parent: RunNode, _info: Info) -> int:
        client = parent.context.client or None
        return parent.context.read(lambda connection: line_counts(connection, parent.run.id, client))[file]

    return resolve


def tail(file: LineFile) -> Resolver:
    """A resolver for the newest lines, as a JSON list of texts."""

    def resolve(parent: RunNode, _info: Info) -> str:
        return json.dumps(parent.context.read(lambda connection: tail_lines(connection, parent.run.id, file, TAIL)))

    return resolve


def log_lines(
    parent: RunNode,
    _info: Info,
    first: int | None = None,
    after: str | None = None,
    last: int | None = None,
    **_: Any,
) -> Node:
    """Lines of the console from the beginning, page by page, or the newest ones."""
    run, context = parent.run.id, parent.context
    try:
        if last is not None:
            part = context.read(lambda connection: console_lines.last_lines(connection, run, min(last, MAX_LOG_LINES)))
        else:
            limit = LOG_LINES if first is None else min(first, MAX_LOG_LINES)
            part = context.read(lambda connection: console_lines.first_lines(connection, run, limit, after))
    except ValueError as error:
        raise RefusedError(contract.ERROR_FRAME, f"{error}.") from None
    edges = [
        {
            "node": {
                "number": each.number,
                "timestamp": each.line.timestamp or None,
                "level": each.line.level or None,
                "label": each.line.label or None,
                "line": each.line.text,
            }
        }
        for each in part.lines
    ]
    return {
        "edges": edges,
        "pageInfo": {"hasNextPage": part.more, "hasPreviousPage": False, "endCursor": part.cursor},
    }


RESOLVERS: Final[Resolvers] = {
    "Run.history": history,
    "Run.events": events,
    "Run.sampledHistory": sampled_history,
    "Run.parquetHistory": parquet_history,
    "Run.historyKeys": history_keys,
    "Run.systemMetrics": system_metrics,
    "Run.historyLineCount": line_count(LineFile.HISTORY),
    "Run.eventsLineCount": line_count(LineFile.EVENTS),
    "Run.logLineCount": line_count(LineFile.CONSOLE),
    "Run.historyTail": tail(LineFile.HISTORY),
    "Run.eventsTail": tail(LineFile.EVENTS),
    "Run.logLines": log_lines,
}
