"""People, their API keys and roles. Keys are 160 random bits (W&B's form: 40 hex digits), only hashes are kept."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import sqlite3
from collections.abc import Mapping
from typing import Final

from outrider_tracker.core.principals import Person, Role
from outrider_tracker.store.database import Readers

# Given keys must be as long as ours, since a plain hash protects only what cannot be guessed.
KEY: Final = re.compile(r"[A-Za-z0-9_-]{40,128}")
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,62}")


def new_key() -> str:
    """A fresh API key."""
    return secrets.token_hex(20)


def put_person(connection: sqlite3.Connection, person: Person, key: str | None, now: float) -> None:
    """Makes the person or changes what is given; roles are added to those already there. `key` is added if given.

    ValueError: the name or the key has not our form, or the key is somebody else's.
    """
    if NAME.fullmatch(person.name) is None:
        raise ValueError(f"{person.name!r} is no user name: letters, digits and . _ @ - are allowed, at most 63")
    connection.execute(
        "INSERT INTO user (name, admin, created) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET admin = "
        "max(admin, excluded.admin)",
        (person.name, int(person.admin), now),
    )
    user = int(connection.execute("SELECT id FROM user WHERE name = ?", (person.name,)).fetchone()[0])
    for entity, role in person.roles.items():
        connection.execute("INSERT OR IGNORE INTO entity (name, created) VALUES (?, ?)", (entity, now))
        connection.execute(
            "INSERT OR REPLACE INTO member (user, entity, role) VALUES (?, ?, ?)", (user, entity, role.value)
        )
    if key is not None:
        _put_key(connection, user, key, now)


def has_people(connection: sqlite3.Connection) -> bool:
    """Whether anybody could log in."""
    return connection.execute("SELECT 1 FROM api_key LIMIT 1").fetchone() is not None


def _put_key(connection: sqlite3.Connection, user: int, key: str, now: float) -> None:
    if KEY.fullmatch(key) is None:
        raise ValueError("an API key is 40 to 128 characters of A-Z a-z 0-9 _ -; make one with: openssl rand -hex 20")
    digest = _digest(key)
    owner = connection.execute("SELECT user FROM api_key WHERE lookup = ?", (digest[:8],)).fetchone()
    if owner is not None and owner[0] != user:
        raise ValueError("this API key belongs to another user: choose another one")
    connection.execute(
        "INSERT OR IGNORE INTO api_key (lookup, hash, user, created) VALUES (?, ?, ?, ?)",
        (digest[:8], digest, user, now),
    )


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


class SqlitePeople:
    """See services.People."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    def authenticate_key(self, key: str) -> Person | None:
        """The person whose key this is. What the key is like shows in no difference of time but that of an index."""
        if len(key) > 128:
            return None
        digest = _digest(key)
        with self._readers.snapshot() as connection:
            row = connection.execute("SELECT hash, user FROM api_key WHERE lookup = ?", (digest[:8],)).fetchone()
            if not hmac.compare_digest(row[0] if row else bytes(32), digest) or row is None:
                return None
            return self._person(connection, "id", row[1])

    def find_person(self, name: str) -> Person | None:
        """The person of that name with today's roles."""
        with self._readers.snapshot() as connection:
            return self._person(connection, "name", name)

    @staticmethod
    def _person(connection: sqlite3.Connection, column: str, value: int | str) -> Person | None:
        row = connection.execute(f"SELECT id, name, admin FROM user WHERE {column} = ?", (value,)).fetchone()  # noqa: S608
        if row is None:
            return None
        roles: Mapping[str, Role] = {
            entity: Role(role)
            for entity, role in connection.execute("SELECT entity, role FROM member WHERE user = ?", (row[0],))
        }
        return Person(row[1], bool(row[2]), roles)
