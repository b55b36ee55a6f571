"""`outrider-tracker user|team|key|project`: accounts, changed beside a running tracker or without one."""

from __future__ import annotations

import argparse
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from outrider_tracker.core.principals import Person, Role
from outrider_tracker.core.rules import Visibility
from outrider_tracker.store import accounts, people, projects
from outrider_tracker.store.database import open_database
from outrider_tracker.store.folder import DataFolder

ONCE: Final = "(shown once; its hash is kept)"
# argparse's own name of what `add_subparsers` answers is not public.
Parsers = Any
Declare = Callable[[argparse.ArgumentParser], None]


@contextmanager
def changing(data: Path) -> Iterator[sqlite3.Connection]:
    """One transaction on the store. Beside a running tracker, SQLite's lock orders the two; nothing is cached there."""
    folder = DataFolder(data, exclusive=False)
    try:
        connection = open_database(folder.database)
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        finally:
            connection.close()
    finally:
        folder.close()


def declare(parsers: Parsers, data: Declare) -> None:
    """Adds the commands; `data` adds --data to each."""

    def command(group: Parsers, name: str, run: Callable[[argparse.Namespace], int], about: str) -> Any:
        made = group.add_parser(name, help=about, description=about)
        made.set_defaults(run=run)
        data(made)
        return made

    def group(name: str, about: str, parent: Parsers = parsers) -> Parsers:
        return parent.add_parser(name, help=about).add_subparsers(required=True, metavar="COMMAND")

    _declare_users(group("user", "people who may use the tracker"), command)
    team = group("team", "entities of several people, and their roles in them")
    _declare_teams(team, command)
    _declare_service_accounts(group("service-account", "accounts of machines, each of one team", team), command)
    _declare_keys(group("key", "API keys: they open the UI, the API and W&B's clients"), command)
    _declare_projects(group("project", "who sees which project"), command)


def _declare_users(user: Parsers, command: Callable[..., Any]) -> None:
    add = command(user, "add", _add_user, "make a user, or give one more keys and roles; prints the API key")
    add.add_argument("name")
    add.add_argument("--key", help="an API key of your own making (40 hex digits); default: a fresh one")
    add.add_argument("--admin", action="store_true", help="rules the whole tracker")
    add.add_argument("--email", default="", metavar="ADDRESS", help="how W&B's clients may name the user, too")
    add.add_argument("--entity", action="append", default=[], metavar="ENTITY:ROLE", help="admin, member or viewer")
    add.add_argument(
        "--default-entity", metavar="ENTITY", help="where runs go that name none (default: the user's own)"
    )
    command(user, "list", _list_users, "all users with their entities and roles")
    command(user, "disable", _disable, "close an account: its keys and sessions open nothing").add_argument("name")
    command(user, "enable", _enable, "open a closed account again").add_argument("name")


def _declare_teams(team: Parsers, command: Callable[..., Any]) -> None:
    command(team, "add", _add_team, "make a team").add_argument("name")
    member = command(team, "add-member", _add_member, "give a user a role in a team, or another one")
    member.add_argument("team")
    member.add_argument("user")
    member.add_argument("--role", choices=[role.value for role in Role], default=Role.MEMBER.value)
    gone = command(team, "remove-member", _remove_member, "take a user's role in a team")
    gone.add_argument("team")
    gone.add_argument("user")
    command(team, "list", _list_teams, "all teams with their members")


def _declare_service_accounts(service: Parsers, command: Callable[..., Any]) -> None:
    add = command(service, "add", _add_service_account, "make a service account; prints its API key")
    add.add_argument("team")
    add.add_argument("name")


def _declare_keys(key: Parsers, command: Callable[..., Any]) -> None:
    add = command(key, "add", _add_key, "make one more API key of a user; prints it")
    add.add_argument("user")
    add.add_argument("--description", default="", metavar="TEXT", help="what it is for")
    command(key, "list", _list_keys, "the ids of a user's keys, and what they are for").add_argument("user")
    gone = command(key, "remove", _remove_key, "end an API key at once")
    gone.add_argument("user")
    gone.add_argument("id", metavar="KEYID", help="as `key list` shows it")


def _declare_projects(project: Parsers, command: Callable[..., Any]) -> None:
    change = command(project, "set", _set_project, "say who sees a project")
    change.add_argument("project", metavar="ENTITY/NAME")
    change.add_argument(
        "--visibility",
        required=True,
        choices=[each.value for each in Visibility],
        help="private: its creator and the entity's admins; team: who has a role in the entity; public: every user",
    )
    command(project, "list", _list_projects, "all projects of an entity").add_argument("entity")


def _add_user(chosen: argparse.Namespace) -> int:
    roles: dict[str, Role] = {}
    for item in chosen.entity:
        entity, _, role = item.rpartition(":")
        if not entity or role not in set(Role):
            raise ValueError(f"--entity {item}: ENTITY:ROLE is expected, with role admin, member or viewer")
        roles[entity] = Role(role)
    key = chosen.key or people.new_key()
    with changing(chosen.data) as connection:
        person = Person(chosen.name, chosen.admin, roles, email=chosen.email)
        people.put_person(connection, person, key, time.time())
        if chosen.default_entity is not None:
            accounts.set_default_entity(connection, chosen.name, chosen.default_entity)
    _say(f"User {chosen.name} is known. API key: {f'{key} {ONCE}' if chosen.key is None else 'as given'}")
    return 0


def _list_users(chosen: argparse.Namespace) -> int:
    with changing(chosen.data) as connection:
        for account in accounts.list_accounts(connection):
            roles = [f"{entity}:{role.value}" for entity, role in accounts.list_roles(connection, account.id)]
            notes = ["admin"] * account.admin + ["service account"] * account.service
            notes += [f"disabled since {_day(account.disabled)}"] if account.disabled is not None else []
            _say("\t".join([account.name, account.email or "-", ", ".join(notes) or "-", " ".join(roles)]))
    return 0


def _disable(chosen: argparse.Namespace) -> int:
    with changing(chosen.data) as connection:
        accounts.set_disabled(connection, chosen.name, time.time())
    _say(f"User {chosen.name} is disabled: its keys and sessions open nothing from now on.")
    return 0


def _enable(chosen: argparse.Namespace) -> int:
    with changing(chosen.data) as connection:
        accounts.set_disabled(connection, chosen.name, None)
    _say(f"User {chosen.name} is enabled: its keys open the tracker again.")
    return 0


def _add_team(chosen: argparse.Namespace) -> int:
    with changing(chosen.data) as connection:
        people.make_team(connection, chosen.name, time.time())
    _say(f"Team {chosen.name} is made. Add people with: outrider-tracker team add-member {chosen.name} USER")
    return 0


def _add_member(chosen: argparse.Namespace) -> int:
    with changing(chosen.data) as connection:
        people.require_team(connection, chosen.team)
        people.put_role(connection, chosen.user, chosen.team, Role(chosen.role), time.time())
    _say(f"User {chosen.user} is {chosen.role} of team {chosen.team}.")
    return 0


def _remove_member(chosen: argparse.Namespace) -> int:
    with changing(chosen.data) as connection:
        accounts.remove_member(connection, chosen.team, chosen.user, time.time())
    _say(f"User {chosen.user} has no role in team {chosen.team} any more.")
    return 0


def _list_teams(chosen: argparse.Namespace) -> int:
    with changing(chosen.data) as connection:
        for team in accounts.list_teams(connection):
            members = accounts.list_members(connection, team.name)
            shown = " ".join(f"{member.account.name}:{member.role.value}" for member in members)
            _say(f"{team.name}\t{shown or '-'}")
    return 0


def _add_service_account(chosen: argparse.Namespace) -> int:
    key = people.new_key()
    with changing(chosen.data) as connection:
        people.make_service_account(connection, chosen.team, chosen.name, time.time())
        people.add_key(connection, chosen.name, key, "", time.time())
    _say(f"Service account {chosen.name} of team {chosen.team} is made. API key: {key} {ONCE}")
    return 0


def _add_key(chosen: argparse.Namespace) -> int:
    key = people.new_key()
    with changing(chosen.data) as connection:
        made = people.add_key(connection, chosen.user, key, chosen.description, time.time())
    _say(f"API key {made.id} of user {chosen.user}: {key} {ONCE}")
    return 0


def _list_keys(chosen: argparse.Namespace) -> int:
    with changing(chosen.data) as connection:
        for key in people.list_keys(connection, _account(connection, chosen.user).id):
            _say(f"{key.id}\t{_day(key.created)}\t{key.description or '-'}")
    return 0


def _remove_key(chosen: argparse.Namespace) -> int:
    with changing(chosen.data) as connection:
        if not people.remove_key(connection, _account(connection, chosen.user).id, chosen.id):
            raise people.AccountError(f"user {chosen.user} has no key {chosen.id}: see `outrider-tracker key list`")
    _say(f"API key {chosen.id} of user {chosen.user} opens nothing from now on.")
    return 0


def _set_project(chosen: argparse.Namespace) -> int:
    entity, _, name = chosen.project.partition("/")
    if not entity or not name:
        raise ValueError(f"{chosen.project}: ENTITY/NAME is expected")
    with changing(chosen.data) as connection:
        found = projects.find_project(connection, entity, name)
        if found is None:
            raise people.AccountError(f"there is no project {name!r} in {entity}: its first run makes it")
        projects.set_visibility(connection, found.id, Visibility(chosen.visibility))
    _say(f"Project {entity}/{name} is {chosen.visibility}.")
    return 0


def _list_projects(chosen: argparse.Namespace) -> int:
    with changing(chosen.data) as connection:
        if accounts.find_entity(connection, chosen.entity) is None:
            raise people.AccountError(f"there is no entity {chosen.entity!r}")
        for project in projects.list_projects(connection, chosen.entity):
            creator = None if project.creator is None else accounts.account_by_id(connection, project.creator)
            _say(f"{project.name}\t{project.visibility.value}\t{'-' if creator is None else creator.name}")
    return 0


def _account(connection: sqlite3.Connection, name: str) -> accounts.Account:
    found = accounts.find_account(connection, name)
    if found is None:
        raise people.unknown_user(name)
    return found


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
