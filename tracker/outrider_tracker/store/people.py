"""People, their API keys and roles. Keys are 160 random bits (W&B's form: 40 hex digits), only hashes are kept."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import re
import secrets
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from outrider_sidecar import contract
from outrider_tracker.core.errors import RefusedError
from outrider_tracker.core.principals import Person, Place, Pod, Role
from outrider_tracker.store.database import Readers

# Given keys must be as long as ours, since a plain hash protects only what cannot be guessed. W&B's clients take what
# stands before the first `-` for a prefix that does not count.
KEY: Final = re.compile(r"(?=.{40,128}\Z)(?:[A-Za-z0-9_]*-[A-Za-z0-9_-]{40,}|[A-Za-z0-9_]{40,})", re.ASCII)
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,62}")
# First parts of addresses that are no entity's: pages, doors, and what clients and proxies look for.
RESERVED: Final = frozenset(
    {
        *(
            "api",
            "artifacts",
            "artifactsV2",
            "assets",
            "authorize",
            "docs",
            "favicon.ico",
            "files",
            "graphql",
            "healthz",
        ),
        *("ingest", "login", "logout", "metrics", "oidc", "projects", "ready", "readyz", "robots.txt", "runs", "sdk"),
        *("search", "settings", "signup", "static", "storage", "teams", "uploads", "users", "wandb"),
    }
)
_PERSON: Final = "id, name, admin, kind, email, default_entity"


class AccountError(ValueError):
    """What was asked of an account cannot be done; the message is a sentence for whoever asked."""


@dataclass(frozen=True, slots=True)
class Key:
    """An API key as it may be shown: `id` names it and opens nothing; `created` in Unix seconds."""

    id: str
    description: str
    created: float


def new_key() -> str:
    """A fresh API key."""
    return secrets.token_hex(20)


def put_person(connection: sqlite3.Connection, person: Person, key: str | None, now: float) -> int:
    """Makes the person or changes what is given; roles are added to those already there. `key` is added if given.

    With a person comes an entity of the same name, for runs of their own. The user's id. AccountError: a name or the
    key has not our form, or is somebody else's.
    """
    row = connection.execute("SELECT id FROM user WHERE name = ?", (person.name,)).fetchone()
    if row is None:
        user = _make(connection, person, now)
    else:
        user = int(row[0])
        connection.execute("UPDATE user SET admin = max(admin, ?) WHERE id = ?", (int(person.admin), user))
        if person.email:
            connection.execute("UPDATE user SET email = ? WHERE id = ?", (person.email, user))
    for entity, role in person.roles.items():
        put_role(connection, person.name, entity, role, now)
    if key is not None:
        add_key(connection, person.name, key, "", now)
    return user


def put_role(connection: sqlite3.Connection, name: str, entity: str, role: Role, now: float) -> None:
    """Gives a user a role in a team; a team that is not there is made. AccountError: that cannot be."""
    row = connection.execute("SELECT id, kind FROM user WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise unknown_user(name)
    found = connection.execute("SELECT kind FROM entity WHERE name = ?", (entity,)).fetchone()
    if found is None:
        make_team(connection, entity, now)
    elif found[0] == "user":
        if entity == name:
            raise AccountError(f"{entity} is the user's own entity: its role there does not change")
        raise _no_members(entity)
    if row[1] == "service":
        raise AccountError(f"{name} is a service account: it belongs to its team for good; make another one")
    _set_role(connection, int(row[0]), entity, role)


def make_team(connection: sqlite3.Connection, name: str, now: float) -> None:
    """A team without members. AccountError: the name is taken, or cannot be one."""
    check_new_name(connection, name)
    connection.execute("INSERT INTO entity (name, kind, created) VALUES (?, 'team', ?)", (name, now))


def make_service_account(connection: sqlite3.Connection, team: str, name: str, now: float) -> int:
    """A service account of a team, without a key; its id. AccountError: no such team, or the name cannot be one."""
    require_team(connection, team)
    user = _make(connection, Person(name, service=True, default_entity=team), now)
    _set_role(connection, user, team, Role.MEMBER)
    return user


def require_team(connection: sqlite3.Connection, name: str) -> None:
    """AccountError unless there is such a team."""
    kind = connection.execute("SELECT kind FROM entity WHERE name = ?", (name,)).fetchone()
    if kind is None:
        raise AccountError(f"there is no team {name!r}: make it with `outrider-tracker team add`")
    if kind[0] != "team":
        raise _no_members(name)


def check_new_name(connection: sqlite3.Connection, name: str) -> None:
    """AccountError unless a user or a team may be made under this name: both are entities, with one name each."""
    if NAME.fullmatch(name) is None:
        raise AccountError(f"{name!r} is no name: letters, digits and . _ @ - are allowed, at most 63")
    if name in RESERVED:
        raise AccountError(f"{name!r} is part of the tracker's own addresses: choose another name")
    if connection.execute("SELECT 1 FROM user WHERE name = ?", (name,)).fetchone() is not None:
        raise AccountError(f"there is already a user {name}: choose another name")
    if connection.execute("SELECT 1 FROM entity WHERE name = ?", (name,)).fetchone() is not None:
        raise AccountError(f"there is already an entity {name} (a team, or a namespace with runs): choose another name")


def unknown_user(name: str) -> AccountError:
    """The error for a name that no user has."""
    return AccountError(f"there is no user {name!r}: make it with `outrider-tracker user add`")


def _no_members(entity: str) -> AccountError:
    return AccountError(f"{entity} is the entity of a user and has no other members: make a team")


def has_people(connection: sqlite3.Connection) -> bool:
    """Whether anybody could log in."""
    return connection.execute("SELECT 1 FROM api_key LIMIT 1").fetchone() is not None


def add_key(connection: sqlite3.Connection, name: str, key: str, description: str, now: float) -> Key:
    """Lets the key open the tracker as that user. AccountError: the key has not our form, or is somebody else's."""
    row = connection.execute("SELECT id FROM user WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise unknown_user(name)
    if KEY.fullmatch(key) is None:
        raise AccountError("an API key is 40 to 128 characters of A-Z a-z 0-9 _ -; make one with: openssl rand -hex 20")
    digest = _digest(key)
    owner = connection.execute("SELECT user FROM api_key WHERE lookup = ?", (digest[:8],)).fetchone()
    if owner is not None and owner[0] != row[0]:
        raise AccountError("this API key belongs to another user: choose another one")
    connection.execute(
        "INSERT OR IGNORE INTO api_key (lookup, hash, user, created, description) VALUES (?, ?, ?, ?, ?)",
        (digest[:8], digest, row[0], now, description),
    )
    return Key(digest[:8].hex(), description, now)


def list_keys(connection: sqlite3.Connection, user: int) -> Sequence[Key]:
    """The keys of a user, oldest first."""
    rows = connection.execute(
        "SELECT lookup, description, created FROM api_key WHERE user = ? ORDER BY created, lookup", (user,)
    )
    return [Key(bytes(lookup).hex(), description, created) for lookup, description, created in rows]


def remove_key(connection: sqlite3.Connection, user: int, key: str) -> bool:
    """Ends a key of a user, by its id; false if that user has none such."""
    try:
        lookup = bytes.fromhex(key)
    except ValueError:
        return False
    return connection.execute("DELETE FROM api_key WHERE lookup = ? AND user = ?", (lookup, user)).rowcount > 0


def find_person(connection: sqlite3.Connection, name: str) -> Person | None:
    """The person of that name, unless disabled, with today's roles."""
    return _person(connection, "name", name)


def person_by_id(connection: sqlite3.Connection, user: int) -> Person | None:
    """The same by its row."""
    return _person(connection, "id", user)


def author_of(connection: sqlite3.Connection, principal: object, entity: str, named: str) -> int | None:
    """The user to whom a run is put down: who asks; None: a pod.

    A service account may name another one (by user name or e-mail address, as the client's headers do), who must have a
    role in the entity; else it is its own.
    """
    if not isinstance(principal, Person):
        return None
    if principal.service and named:
        row = connection.execute(
            "SELECT user.id FROM user JOIN member ON member.user = user.id AND member.entity = ? "
            "WHERE (user.name = ? OR (user.email != '' AND lower(user.email) = lower(?))) AND user.kind = 'person' "
            "AND user.disabled IS NULL ORDER BY user.name = ? DESC LIMIT 1",
            (entity, named, named, named),
        ).fetchone()
        if row is not None:
            return int(row[0])
    return principal.id or None


def _make(connection: sqlite3.Connection, person: Person, now: float) -> int:
    check_new_name(connection, person.name)
    made = connection.execute(
        "INSERT INTO user (name, admin, created, kind, email, default_entity) VALUES (?, ?, ?, ?, ?, ?)",
        (
            person.name,
            int(person.admin),
            now,
            "service" if person.service else "person",
            person.email,
            person.default_entity or None,
        ),
    )
    user = made.lastrowid or 0
    if not person.service:
        connection.execute("INSERT INTO entity (name, kind, created) VALUES (?, 'user', ?)", (person.name, now))
        _set_role(connection, user, person.name, Role.ADMIN)
    return user


def _set_role(connection: sqlite3.Connection, user: int, entity: str, role: Role) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO member (user, entity, role) VALUES (?, ?, ?)", (user, entity, role.value)
    )


def _person(connection: sqlite3.Connection, column: str, value: int | str) -> Person | None:
    row: Sequence[Any] | None = connection.execute(
        f"SELECT {_PERSON} FROM user WHERE {column} = ? AND disabled IS NULL",  # noqa: S608  fixed texts
        (value,),
    ).fetchone()
    if row is None:
        return None
    user, name, admin, kind, email, default_entity = row
    roles: Mapping[str, Role] = {
        entity: Role(role)
        for entity, role in connection.execute("SELECT entity, role FROM member WHERE user = ?", (user,))
    }
    return Person(name, bool(admin), roles, user, kind == "service", email, default_entity or name)


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
            return _person(connection, "id", row[1])

    def find_person(self, name: str) -> Person | None:
        """The person of that name with today's roles."""
        with self._readers.snapshot() as connection:
            return _person(connection, "name", name)

    def placed(self, pod: Pod) -> Pod:
        """The pod with its place. RefusedError (401): the controller says that it is gone."""
        with self._readers.snapshot() as connection:
            row = connection.execute(
                "SELECT source.deleted, run.id, run.project, ifnull(json_extract(run.record_json, '$.group'), '') "
                "FROM source LEFT JOIN run ON run.id = source.run_id AND run.entity = source.entity "
                "WHERE source.uid = ? AND source.entity = ? AND source.issuer IN ('', ?)",
                (pod.uid, pod.entity, pod.issuer),
            ).fetchone()
        if row is None:
            return pod
        deleted, run, project, group = row
        if deleted:
            raise RefusedError(
                contract.ERROR_UNAUTHENTICATED, f"pod {pod.namespace}/{pod.name} ({pod.uid}) was deleted"
            )
        return pod if run is None else dataclasses.replace(pod, place=Place(run, project, str(group)))
