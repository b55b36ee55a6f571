"""The controller's feed: what happened to ranks, in the order it was decoded, with last words read when it is asked."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import Any, Final

from outrider_tracker.store.logs import Snapshot
from outrider_tracker.store.read_ranks import words_of_unit

MAX_ITEMS: Final = 500
KEEP_SECONDS: Final = 7 * 86400.0
_EXITS: Final = {"rank.exit", "container.exit"}


class FeedExpiredError(Exception):
    """The place is older than what is kept, or of another store."""


@dataclass(frozen=True, slots=True)
class Feed:
    """Items after the asked place; `next` is where to go on."""

    next: int
    items: list[dict[str, Any]]


def newest(connection: sqlite3.Connection) -> int:
    """The sequence number of the newest item ever, 0 before the first."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'feed'").fetchone()
    return 0 if row is None else int(row[0])


def read_feed(snapshot: Snapshot, after: int) -> Feed:
    """Items with seq > after, oldest first, at most MAX_ITEMS. FeedExpiredError if some of them are gone."""
    connection = snapshot.connection
    last = newest(connection)
    oldest = connection.execute("SELECT min(seq) FROM feed").fetchone()[0]
    if after > last or (after < last and (oldest is None or after < oldest - 1)):
        raise FeedExpiredError
    items: list[dict[str, Any]] = []
    rows = connection.execute(
        "SELECT feed.seq, source.uid, source.id, feed.type, feed.event_json FROM feed JOIN source "
        "ON source.id = feed.source WHERE feed.seq > ? ORDER BY feed.seq LIMIT ?",
        (after, MAX_ITEMS),
    )
    for seq, uid, source, kind, text in rows.fetchall():
        item = {"seq": seq, "source": uid, "event": json.loads(text)}
        if kind in _EXITS:
            item["lastWords"] = _words(snapshot, source, item["event"])
        items.append(item)
    return Feed(items[-1]["seq"] if items else last, items)


def trim(connection: sqlite3.Connection, now: float) -> int:
    """Forgets what is older than a week; the newest item stays, so that the numbering goes on. How many."""
    return connection.execute(
        "DELETE FROM feed WHERE received < ? AND seq < (SELECT max(seq) FROM feed)", (now - KEEP_SECONDS,)
    ).rowcount


def _words(snapshot: Snapshot, source: int, event: dict[str, Any]) -> list[str]:
    """The last words of the unit that an exit event speaks of."""
    row = snapshot.connection.execute(
        "SELECT id FROM unit WHERE source = ? AND container = ? AND start = ? AND (role = 'container' OR "
        "(pid = ? AND ifnull(rank, -1) = ? AND restart = ?)) AND role = ? ORDER BY id DESC LIMIT 1",
        (
            source,
            event.get("container"),
            event.get("start"),
            event.get("pid"),
            event.get("rank", -1),
            event.get("restart", 0),
            "container" if event["type"] == "container.exit" else "rank",
        ),
    ).fetchone()
    return words_of_unit(snapshot, row[0]) if row is not None else []
