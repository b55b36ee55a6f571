"""Accounts as commands and clients see and change them: who there is, members of teams, what ends an account."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from outrider_tracker.core.principals import Role
from outrider_tracker.store.people import AccountError, make_service_account, require_team, unknown_user

_COLUMNS: Final = (
    "user.id, user.name, user.admin, user.kind, user.email, user.default_entity, user.created, user.disabled"
)
_NO_SLUG: Final = re.compile(r"[^a-z0-9]+")
MAX_FOUND: Final = 500


@dataclass(frozen=True, slots=True)
class Account:
    """A user's row: a person or a service account. Times in Unix seconds; `disabled` None: it is in use."""

    id: int
    name: str
    admin: bool
    service: bool
    email: str
    default_entity: str
    created: float
    disabled: float | None


@dataclass(frozen=True, slots=True)
class Entity:
    """An entity's row; `team` false: a user's own."""

    name: str
    team: bool
    created: float


@dataclass(frozen=True, slots=True)
class Membership:
    """An account's role in an entity."""

    account: Account
    role: Role


def find_account(connection: sqlite3.Connection, name: str) -> Account | None:
    """The account of that name, disabled or not."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM user WHERE name = ?", (name,)).fetchone()  # noqa: S608
    return None if row is None else _account(row)


def account_by_id(connection: sqlite3.Connection, user: int) -> Account | None:
    """The account of this row, disabled or not."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM user WHERE id = ?", (user,)).fetchone()  # noqa: S608
    return None if row is None else _account(row)


def account_by_address(connection: sqlite3.Connection, name_or_email: str) -> Account | None:
    """The account of this user name, else of this e-mail address."""
    found = find_account(connection, name_or_email)
    if found is not None or not name_or_email:
        return found
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM user WHERE lower(email) = lower(?) AND email != '' ORDER BY id",  # noqa: S608
        (name_or_email,),
    )
    row = rows.fetchone()
    return None if row is None else _account(row)


def list_accounts(connection: sqlite3.Connection) -> Sequence[Account]:
    """All accounts by name."""
    return [_account(row) for row in connection.execute(f"SELECT {_COLUMNS} FROM user ORDER BY name")]  # noqa: S608


def search_accounts(
    connection: sqlite3.Connection, text: str, entities: Sequence[str] | None, limit: int
) -> Sequence[Account]:
    """People whose name or e-mail address has the text, exact ones first; only of these entities, None: of all."""
    where, values = "", [text, text]
    if entities is not None:
        marks = ",".join("?" * len(entities))
        where = f"AND id IN (SELECT user FROM member WHERE entity IN ({marks})) "  # noqa: S608  fixed texts
        values += entities
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM user WHERE kind = 'person' AND disabled IS NULL "  # noqa: S608  fixed texts
        f"AND (instr(lower(name), lower(?)) OR instr(lower(email), lower(?))) {where}"
        "ORDER BY (name = ? OR lower(email) = lower(?)) DESC, name LIMIT ?",
        (*values, text, text, min(limit, MAX_FOUND)),
    )
    return [_account(row) for row in rows]


def find_entity(connection: sqlite3.Connection, name: str) -> Entity | None:
    """The entity of that name."""
    row = connection.execute("SELECT name, kind, created FROM entity WHERE name = ?", (name,)).fetchone()
    return None if row is None else Entity(row[0], row[1] == "team", row[2])


def list_teams(connection: sqlite3.Connection) -> Sequence[Entity]:
    """All teams by name, those of namespaces with runs included."""
    rows = connection.execute("SELECT name, kind, created FROM entity WHERE kind = 'team' ORDER BY name")
    return [Entity(row[0], True, row[2]) for row in rows]


def list_members(connection: sqlite3.Connection, entity: str) -> Sequence[Membership]:
    """Who has a role in the entity, in the order in which the accounts were made."""
    rows = connection.execute(
        f"SELECT {_COLUMNS}, member.role FROM member JOIN user ON user.id = member.user "  # noqa: S608  fixed texts
        "WHERE member.entity = ? AND user.disabled IS NULL ORDER BY user.id",
        (entity,),
    )
    return [Membership(_account(row[:-1]), Role(row[-1])) for row in rows]


def list_roles(connection: sqlite3.Connection, user: int) -> Sequence[tuple[str, Role]]:
    """The entities of an account and its roles there, its own entity first."""
    rows = connection.execute(
        "SELECT member.entity, member.role FROM member JOIN user ON user.id = member.user WHERE user.id = ? "
        "ORDER BY member.entity != user.name, member.entity",
        (user,),
    )
    return [(entity, Role(role)) for entity, role in rows]


def remove_member(connection: sqlite3.Connection, team: str, name: str, now: float) -> None:
    """Ends a membership; a service account, which has only its team, ends with it. AccountError: there is none."""
    require_team(connection, team)
    account = find_account(connection, name)
    if account is None:
        raise unknown_user(name)
    removed = connection.execute("DELETE FROM member WHERE user = ? AND entity = ?", (account.id, team)).rowcount
    if not removed:
        raise AccountError(f"{name} has no role in team {team}")
    if account.service:
        set_disabled(connection, name, now)
    elif account.default_entity == team:
        connection.execute("UPDATE user SET default_entity = NULL WHERE id = ?", (account.id,))


def set_disabled(connection: sqlite3.Connection, name: str, since: float | None) -> None:
    """Closes an account (its keys and sessions open nothing); None opens it again. AccountError: not this one."""
    account = find_account(connection, name)
    if account is None:
        raise unknown_user(name)
    if since is not None and account.admin and account.disabled is None:
        others = connection.execute(
            "SELECT count(*) FROM user WHERE admin AND disabled IS NULL AND id != ?", (account.id,)
        ).fetchone()[0]
        if not others:
            raise AccountError(f"{name} is the last administrator of the tracker: make another one first")
    connection.execute("UPDATE user SET disabled = ? WHERE id = ?", (since, account.id))


def set_default_entity(connection: sqlite3.Connection, name: str, entity: str) -> None:
    """Where runs of that user go that name no entity. AccountError: it has no role there."""
    account = find_account(connection, name)
    if account is None:
        raise unknown_user(name)
    if entity not in {each for each, _ in list_roles(connection, account.id)}:
        raise AccountError(f"{name} has no role in {entity}: add it first with `outrider-tracker team add-member`")
    connection.execute("UPDATE user SET default_entity = ? WHERE id = ?", (entity, account.id))


def describe_service_account(connection: sqlite3.Connection, team: str, description: str, now: float) -> Account:
    """A service account that is named after its team and a description in words. AccountError: no such team."""
    require_team(connection, team)
    slug = _NO_SLUG.sub("-", description.lower()).strip("-")[:30] or "service"
    name = base = f"{team[:28]}-{slug}"
    number = 1
    while find_account(connection, name) is not None or find_entity(connection, name) is not None:
        number += 1
        name = f"{base}-{number}"
    made = account_by_id(connection, make_service_account(connection, team, name, now))
    assert made is not None  # in the same transaction
    return made


def owner_of_key(connection: sqlite3.Connection, key: str) -> Account | None:
    """Whose key this id names."""
    try:
        lookup = bytes.fromhex(key)
    except ValueError:
        return None
    row = connection.execute("SELECT user FROM api_key WHERE lookup = ?", (lookup,)).fetchone()
    return None if row is None else account_by_id(connection, int(row[0]))


def _account(row: Sequence[Any]) -> Account:
    user, name, admin, kind, email, default_entity, created, disabled = row
    return Account(user, name, bool(admin), kind == "service", email, default_entity or name, created, disabled)
